import {
  aCount,
  aTimer,
  requireNumber,
  resolveOptions,
  ServiceError,
  type CallOptions,
  type ComponentContext,
  type ListOptions,
  type Logger,
  type SetOptions,
  type Store,
  type StoreCapabilities,
} from '@micrograft/contracts'
import { connectionDefaults, NatsLink, type NatsConnectionOptions } from '@micrograft/nats-link'
import { requireKey, requireTtl, requireValue } from '@micrograft/plugin-kit'
import { Bucket } from './bucket.js'
import { decodeKey, encodeKey, filterOf, KeyPage } from './store-key.js'

export interface NatsStoreOptions extends NatsConnectionOptions {
  /** The bucket; it is made where there is none, with what follows here. @default `micrograft` */
  readonly database?: string | undefined
  /** Keeps the keys of one bucket apart. @default the service's name */
  readonly table?: string | undefined
  /** @default `file` */
  readonly storage?: 'file' | 'memory' | undefined
  /** Servers of a cluster that keep a copy each. @default 1 */
  readonly replicas?: number | undefined
  /** Largest value, in bytes; the server’s `max_payload` holds in any case. @default as the server has it */
  readonly maxValueBytes?: number | undefined
  /** Most bytes of the bucket, which JetStream sets aside; a set above it is refused with `overloaded`. @default 268_435_456 (256 MiB) */
  readonly maxBytes?: number | undefined
  /** Lifetime of every entry of the bucket, in milliseconds, beside its own. @default they do not expire */
  readonly bucketTtlMs?: number | undefined
  /** How often entries that have expired are taken out, in milliseconds. @default 300_000 (5 minutes) */
  readonly sweepMs?: number | undefined
}

const defaults = {
  ...connectionDefaults,
  database: 'micrograft',
  table: undefined,
  storage: 'file' as 'file' | 'memory',
  replicas: 1,
  maxValueBytes: undefined,
  maxBytes: 268_435_456,
  bucketTtlMs: undefined,
  sweepMs: 300_000,
}

/** Keeps entries in a KV bucket of NATS. */
export async function natsStore(
  options: NatsStoreOptions | undefined,
  { service, log, signal }: ComponentContext,
): Promise<Store> {
  const resolved = resolveOptions('the options of the nats store', defaults, options)
  const {
    database,
    table = service,
    storage,
    replicas,
    maxValueBytes,
    maxBytes,
    bucketTtlMs,
    sweepMs,
    ...connection
  } = resolved
  if (!/^[\w-]{1,128}$/.test(database)) {
    const message = `${JSON.stringify(database.slice(0, 64))} is no name of a bucket; use letters, digits, "_" and "-"`
    throw new ServiceError('invalid-option', message)
  }
  if (table === '' || table.length > 128 || table.includes('/')) {
    const message = `${JSON.stringify(table.slice(0, 64))} is no table; give 1 to 128 characters without "/"`
    throw new ServiceError('invalid-option', message)
  }
  if (storage !== 'file' && storage !== 'memory') {
    const message = `storage is ${JSON.stringify(storage)}; give file or memory`
    throw new ServiceError('invalid-option', message)
  }
  const what = 'the options of the nats store'
  requireNumber(`sweepMs of ${what}`, sweepMs, aTimer)
  for (const [name, value] of Object.entries({ replicas, maxValueBytes, maxBytes, bucketTtlMs }))
    if (value !== undefined) requireNumber(`${name} of ${what}`, value, aCount)
  const link = await NatsLink.open(connection, { what: 'the nats store', service, log, signal })
  try {
    const kv = {
      history: 1,
      storage: storage as never,
      replicas,
      max_bytes: maxBytes,
      ...(maxValueBytes !== undefined && { maxValueSize: maxValueBytes }),
      ...(bucketTtlMs !== undefined && { ttl: bucketTtlMs }),
    }
    const bucket = await Bucket.open(link, database, kv, signal)
    return new NatsStore(link, bucket, { table, storage, maxValueBytes, sweepMs }, log)
  } catch (error) {
    await link.close()
    throw error
  }
}

interface Settings {
  readonly table: string
  readonly storage: 'file' | 'memory'
  readonly maxValueBytes: number | undefined
  readonly sweepMs: number
}

/** A delete that loses against a set each time has to end somewhere. */
const mostTries = 100
/** Expired entries that are taken out before it is looked for more. */
const mostRemovals = 1000

class NatsStore implements Store {
  readonly name = 'nats'
  readonly capabilities: StoreCapabilities
  readonly #link: NatsLink
  readonly #bucket: Bucket
  /** What the keys of the table begin with. */
  readonly #prefix: string
  readonly #maxValueBytes: number
  readonly #log: Logger
  readonly #sweep: NodeJS.Timeout
  #removing = false
  #closed = false

  constructor(
    link: NatsLink,
    bucket: Bucket,
    { table, storage, maxValueBytes = Infinity, sweepMs }: Settings,
    log: Logger,
  ) {
    this.#link = link
    this.#bucket = bucket
    this.#prefix = `${encodeKey(table)}.`
    this.capabilities = Object.freeze({ durable: storage === 'file', shared: true })
    this.#maxValueBytes = maxValueBytes
    this.#log = log
    this.#sweep = setInterval(() => this.#sweepNow(), sweepMs).unref()
  }

  async get(key: string, { signal }: CallOptions = {}): Promise<Uint8Array | undefined> {
    this.#ready(signal)
    requireKey(key)
    const found = await this.#bucket.find(this.#encoded(key), signal)
    return found && !found.expired ? found.value : undefined
  }

  async set(key: string, value: Uint8Array, { signal, ttlMs }: SetOptions = {}): Promise<void> {
    this.#ready(signal)
    requireKey(key)
    requireTtl(ttlMs)
    requireValue(key, value, this.#maxValueBytes)
    const expiresAt = ttlMs === undefined ? undefined : Date.now() + Math.ceil(ttlMs)
    await this.#bucket.put(this.#encoded(key), value, expiresAt, signal)
  }

  async delete(key: string, { signal }: CallOptions = {}): Promise<boolean> {
    this.#ready(signal)
    requireKey(key)
    const encoded = this.#encoded(key)
    for (let tries = 0; tries < mostTries; tries++) {
      const found = await this.#bucket.find(encoded, signal)
      if (!found) return false
      // Where it is gone by now, somebody else has deleted it, or set it anew.
      if (await this.#bucket.remove(encoded, found.sequence, signal)) return !found.expired
    }
    throw new ServiceError('conflict', `${key} is set again and again while it is to be deleted; try again`)
  }

  async list(options: ListOptions = {}): Promise<readonly string[]> {
    const { signal, prefix = '' } = options
    this.#ready(signal)
    const page = new KeyPage(options)
    await this.#look(filterOf(prefix), (key) => page.add(key), signal)
    return page.keys()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    clearInterval(this.#sweep)
    await this.#link.close()
  }

  async #look(filter: string, tell: (key: string) => void, signal: AbortSignal | undefined): Promise<void> {
    const expired: [encoded: string, sequence: number][] = []
    const take = (encoded: string, sequence: number, gone: boolean): void => {
      if (gone) {
        if (expired.length < mostRemovals) expired.push([encoded, sequence])
        return
      }
      const key = decodeKey(encoded.slice(this.#prefix.length))
      if (key !== undefined) tell(key)
    }
    await this.#bucket.keys(`${this.#prefix}${filter}`, take, signal)
    if (expired.length > 0 && !this.#removing) void this.#remove(expired)
  }

  #sweepNow(): void {
    if (!this.#link.connected || this.#removing) return
    this.#look('>', () => undefined, undefined).catch((error: unknown) => {
      this.#log.debug('cannot look for expired entries', { error })
    })
  }

  async #remove(expired: readonly [encoded: string, sequence: number][]): Promise<void> {
    this.#removing = true
    try {
      for (const [encoded, sequence] of expired) await this.#bucket.remove(encoded, sequence)
    } catch (error) {
      if (!this.#closed) this.#log.debug('cannot take out expired entries', { error })
      return
    } finally {
      this.#removing = false
    }
    // There may be more: left to the next sweep, they would grow where they expire faster than it comes.
    if (expired.length === mostRemovals) this.#sweepNow()
  }

  #encoded(key: string): string {
    return `${this.#prefix}${encodeKey(key)}`
  }

  #ready(signal: AbortSignal | undefined): void {
    if (this.#closed) throw this.#link.closed()
    this.#link.ready(signal)
  }
}
