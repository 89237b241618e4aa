import {
  aCount,
  aTimer,
  requireNumbers,
  resolveOptions,
  ServiceError,
  type CallOptions,
  type ComponentContext,
  type Logger,
  type RegisterOptions,
  type Registry,
  type RegistryCapabilities,
  type RegistryWatcher,
  type ServiceRecord,
  type WatchOptions,
} from '@micrograft/contracts'
import {
  abortable,
  compare,
  mergeRecords,
  nodeRecords,
  NodeWatcher,
  type NodeRecord,
} from '@micrograft/plugin-kit'
import { closedError, EtcdClient } from './etcd-client.js'
import { EtcdEndpoint, type EtcdTls } from './etcd-endpoint.js'
import { EtcdFeed } from './etcd-feed.js'
import { readPrefix } from './etcd-kv.js'
import { nodeKey, readRecord, serviceKey, writeRecord } from './etcd-record.js'
import { OwnNodes } from './own-nodes.js'

export interface EtcdRegistryOptions {
  /** Members, used in turn: `host:port` or `https://user:password@host:port`. @default `127.0.0.1:2379` */
  readonly addresses?: readonly string[] | undefined
  /** What all keys begin with. @default `/micro/registry/`, which is go-micro's */
  readonly prefix?: string | undefined
  /** @default that of an address, else the variable `ETCD_USERNAME` */
  readonly user?: string | undefined
  /** @default that of an address, else the variable `ETCD_PASSWORD` */
  readonly password?: string | undefined
  /** For addresses without `http://`: TLS, and what it is made with; the server's certificate is verified. @default none, or what an address says */
  readonly tls?: EtcdTls | undefined
  /** Longest time of one call to etcd, over all members, in milliseconds. @default 5000 */
  readonly timeoutMs?: number | undefined
  /** Time between two looks whether the member that a watcher is told by still answers, in milliseconds. @default 10_000 */
  readonly checkIntervalMs?: number | undefined
  /** Largest record of a node, in bytes. @default 524_288 (512 KiB) */
  readonly maxRecordBytes?: number | undefined
  /** Largest answer that is read, in bytes. @default 67_108_864 (64 MiB) */
  readonly maxAnswerBytes?: number | undefined
}

/** Nodes in etcd, under go-micro's keys and as its records. */
export function etcdRegistry(
  given: EtcdRegistryOptions | undefined,
  { log }: Pick<ComponentContext, 'log'>,
): Registry {
  const what = 'the options of the etcd registry'
  const options = resolveOptions(
    what,
    {
      addresses: ['127.0.0.1:2379'] as readonly string[],
      prefix: '/micro/registry/',
      user: undefined,
      password: undefined,
      tls: undefined,
      timeoutMs: 5000,
      checkIntervalMs: 10_000,
      maxRecordBytes: 524_288,
      maxAnswerBytes: 67_108_864,
    },
    given,
  )
  requireNumbers(what, options, {
    timeoutMs: aTimer,
    checkIntervalMs: aTimer,
    maxRecordBytes: aCount,
    maxAnswerBytes: aCount,
  })
  const { addresses, tls, prefix } = options
  if (!Array.isArray(addresses) || addresses.length === 0)
    throw new ServiceError(
      'invalid-option',
      `${what}: addresses are no list of members; give one, or leave the option out`,
    )
  if (typeof prefix !== 'string' || !prefix.endsWith('/'))
    throw new ServiceError(
      'invalid-option',
      `the prefix ${JSON.stringify(prefix)} does not end with a slash; add one`,
    )
  const endpoints = addresses.map((address) => new EtcdEndpoint(address, tls))
  const told = endpoints.find(({ account }) => account)?.account
  const user = options.user ?? told?.user ?? process.env['ETCD_USERNAME']
  const password = options.password ?? told?.password ?? process.env['ETCD_PASSWORD'] ?? ''
  const client = new EtcdClient({ ...options, endpoints, account: user ? { user, password } : undefined })
  return new EtcdRegistry(client, prefix, options.maxRecordBytes, log)
}

class EtcdRegistry implements Registry {
  readonly name = 'etcd'
  readonly capabilities: RegistryCapabilities = Object.freeze({ expiry: true, visibleWithinMs: 1000 })
  readonly #client: EtcdClient
  readonly #prefix: string
  readonly #maxRecordBytes: number
  readonly #log: Logger
  readonly #own: OwnNodes
  readonly #watchers = new Set<NodeWatcher>()
  readonly #work = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined

  constructor(client: EtcdClient, prefix: string, maxRecordBytes: number, log: Logger) {
    this.#client = client
    this.#prefix = prefix
    this.#maxRecordBytes = maxRecordBytes
    this.#log = log
    this.#own = new OwnNodes(client, log)
  }

  async register(service: ServiceRecord, { signal, ttlMs }: RegisterOptions = {}): Promise<void> {
    this.#ready(signal)
    const values = new Map<string, string>()
    for (const record of nodeRecords(service)) values.set(nodeKey(this.#prefix, record), this.#write(record))
    await this.#doing(this.#own.register(values, seconds(ttlMs)), signal)
  }

  async deregister(service: ServiceRecord, { signal }: CallOptions = {}): Promise<void> {
    this.#ready(signal)
    const versions = new Map(nodeRecords(service).map((record) => [nodeKey(this.#prefix, record), record]))
    const isMeant = (key: string, value: string) => {
      const there = this.#read(key, value)
      const meant = versions.get(key)
      return there?.version === meant?.version && there?.name === meant?.name
    }
    await this.#doing(
      this.#own.remove([...versions.keys()], ({ key, value }) => isMeant(key, value)),
      signal,
    )
  }

  async get(name: string, { signal }: CallOptions = {}): Promise<readonly ServiceRecord[]> {
    this.#ready(signal)
    const { entries } = await this.#doing(readPrefix(this.#client, serviceKey(this.#prefix, name)), signal)
    const records = entries.map(({ key, value }) => this.#read(key, value))
    // Another service may have the same key: `a/b` and `a-b` have.
    return mergeRecords(records.filter((record) => record !== undefined).filter((each) => each.name === name))
  }

  async list({ signal }: CallOptions = {}): Promise<readonly ServiceRecord[]> {
    this.#ready(signal)
    const { entries } = await this.#doing(readPrefix(this.#client, this.#prefix), signal)
    const services = new Map<string, NodeRecord[]>()
    for (const { key, value } of entries) {
      const record = this.#read(key, value)
      if (!record) continue
      const same = services.get(record.name)
      if (same) same.push(record)
      else services.set(record.name, [record])
    }
    return [...services.keys()].sort(compare).flatMap((name) => mergeRecords(services.get(name) ?? []))
  }

  async watch({ service, signal }: WatchOptions = {}): Promise<RegistryWatcher> {
    this.#ready(signal)
    const prefix = service === undefined ? this.#prefix : serviceKey(this.#prefix, service)
    const feed = new EtcdFeed(this.#client, prefix, this.#log, (event) => watcher.tell(event))
    const watcher = new NodeWatcher(service, signal, (ended) => {
      feed[Symbol.dispose]()
      this.#watchers.delete(ended)
    })
    this.#watchers.add(watcher)
    try {
      await this.#doing(feed.start(), signal)
    } catch (error) {
      watcher.end()
      throw error
    }
    return watcher
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    for (const watcher of this.#watchers) watcher.end(closedError())
    // What is under way may still add a node.
    await Promise.allSettled(this.#work)
    try {
      await this.#own.removeAll()
    } catch (error) {
      this.#log.warn('nodes left behind', { reason: (error as Error).message })
    }
    this.#client[Symbol.dispose]()
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closing) throw closedError()
  }

  #doing<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const settled = work.then(
      () => undefined,
      () => undefined,
    )
    this.#work.add(settled)
    void settled.then(() => this.#work.delete(settled))
    return abortable(work, signal)
  }

  #write(record: NodeRecord): string {
    const text = writeRecord(record)
    const size = Buffer.byteLength(text)
    if (size <= this.#maxRecordBytes) return text
    throw new ServiceError(
      'too-large',
      `the record of ${record.nodes[0].id} has ${size} bytes and the registry takes ${this.#maxRecordBytes}; say less in it`,
    )
  }

  #read(key: string, value: string): NodeRecord | undefined {
    try {
      return readRecord(value)
    } catch (error) {
      this.#log.warn('entry ignored', { key, reason: (error as Error).message })
      return undefined
    }
  }
}

/** The longest that etcd takes. */
const longestTtl = 9_000_000_000

/** What a lease takes: whole seconds; `undefined` has no end. @throws `invalid-option` */
function seconds(ttlMs: number | undefined): number | undefined {
  if (ttlMs === undefined || ttlMs === Infinity) return undefined
  if (typeof ttlMs === 'number' && ttlMs > 0) return Math.min(longestTtl, Math.ceil(ttlMs / 1000))
  throw new ServiceError('invalid-option', `a time to live of ${ttlMs} ms is none; give a number above 0`)
}
