import { ServiceError, type Logger } from '@micrograft/contracts'
import type { EtcdClient } from './etcd-client.js'
import {
  chunks,
  grant,
  keepAlive,
  leaseIsGone,
  read,
  remove,
  revoke,
  write,
  type Entry,
  type Put,
} from './etcd-kv.js'

interface Own {
  readonly value: string
  /** In seconds. */
  readonly ttl: number | undefined
  readonly lease: string | undefined
  /** Of the entry as this registry wrote it: an entry of another revision is somebody else's by now. */
  readonly revision: number
}

/** Calls about leases that are under way at a time. */
const concurrency = 16
/** Entries that change again and again while they are taken out are left. */
const removeTries = 10

/** The nodes that a registry was the last to register, each with a lease of its own. */
export class OwnNodes {
  readonly #client: EtcdClient
  readonly #log: Logger
  readonly #nodes = new Map<string, Own>()

  constructor(client: EtcdClient, log: Logger) {
    this.#client = client
    this.#log = log
  }

  /**
   * Writes what is not there as it should be, and renews the rest.
   *
   * @param values Records by key.
   * @param ttl In seconds.
   */
  async register(values: ReadonlyMap<string, string>, ttl: number | undefined): Promise<void> {
    for (let tries = 2; ; tries--) {
      const puts: Put[] = []
      await each([...values], async ([key, value]) => {
        puts.push({ key, value, lease: ttl === undefined ? undefined : await this.#lease(key, ttl) })
      })
      const wanted = await this.#outdated(puts)
      try {
        await write(this.#client, wanted, (part, revision) => this.#written(part, ttl, revision))
        return
      } catch (error) {
        // It ended between being renewed and being used.
        if (tries === 1 || !leaseIsGone(error)) throw error
        for (const { key } of wanted) this.#nodes.delete(key)
      }
    }
  }

  /** Takes out those of these keys that match, whoever registered them, and forgets all of them. */
  async remove(keys: readonly string[], matches: (entry: Entry) => boolean): Promise<void> {
    const leases: string[] = []
    for (const part of chunks(keys, (key) => key.length)) {
      for (let tries = removeTries; ; tries--) {
        const entries = (await read(this.#client, part)).filter(matches)
        if (entries.length === 0 || (await remove(this.#client, entries))) {
          for (const { key } of entries) {
            const lease = this.#nodes.get(key)?.lease
            if (lease !== undefined) leases.push(lease)
            this.#nodes.delete(key)
          }
          break
        }
        if (tries === 1)
          throw new ServiceError(
            'conflict',
            `${part[0]} is changed again and again; try again when that is over`,
          )
      }
    }
    await this.#revoke(leases)
  }

  /** Takes out what this registry was the last to write. */
  async removeAll(): Promise<void> {
    const nodes = new Map(this.#nodes)
    if (nodes.size === 0) return
    await this.remove([...nodes.keys()], ({ key, revision }) => revision === nodes.get(key)?.revision)
  }

  /** The node's lease, renewed, or a new one where it has none of this length or lost it. */
  async #lease(key: string, ttl: number): Promise<string> {
    const own = this.#nodes.get(key)
    if (own?.lease !== undefined && own.ttl === ttl && (await keepAlive(this.#client, own.lease)))
      return own.lease
    return grant(this.#client, ttl)
  }

  /** Those that are not in etcd as this registry wrote them. */
  async #outdated(puts: readonly Put[]): Promise<readonly Put[]> {
    const same = puts.filter(({ key, value, lease }) => {
      const own = this.#nodes.get(key)
      return own?.value === value && own.lease === lease
    })
    if (same.length === 0) return puts
    const there = await read(
      this.#client,
      same.map(({ key }) => key),
    )
    const current = new Set(
      there.filter(({ key, revision }) => this.#nodes.get(key)?.revision === revision).map(({ key }) => key),
    )
    return puts.filter(({ key }) => !current.has(key))
  }

  #written(part: readonly Put[], ttl: number | undefined, revision: number): void {
    const left: string[] = []
    for (const { key, value, lease } of part) {
      const before = this.#nodes.get(key)
      // Of two calls at once, the one that etcd took later counts.
      if (before && before.revision > revision) continue
      if (before?.lease !== undefined && before.lease !== lease) left.push(before.lease)
      this.#nodes.set(key, { value, ttl, lease, revision })
    }
    void this.#revoke(left)
  }

  /** What is not revoked ends by itself. */
  async #revoke(leases: readonly string[]): Promise<void> {
    await each(leases, async (lease) => {
      try {
        await revoke(this.#client, lease)
      } catch (error) {
        this.#log.debug('lease left to expire', { lease, reason: (error as Error).message })
      }
    })
  }
}

/** Does something for each, a few at a time. */
async function each<T>(all: readonly T[], work: (each: T) => Promise<void>): Promise<void> {
  const left = all.values()
  const worker = async () => {
    for (const one of left) await work(one)
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, all.length) }, worker))
}
