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
import { compare, mergeRecords, nodeRecords, type NodeRecord, type NodeWatcher } from '@micrograft/plugin-kit'
import { redisDefaults, redisEndpoints, RedisLink, type RedisOptions } from '@micrograft/redis-link'
import { NodeCommands } from './node-commands.js'
import { NodeView } from './node-view.js'
import { OwnNodes, type OwnNode } from './own-nodes.js'

export interface RedisRegistryOptions extends RedisOptions {
  /** Comes before every key and the channel; registries of one prefix see the same nodes. @default `micrograft:registry:` */
  readonly prefix?: string | undefined
  /**
   * How often a registry that has watchers or nodes of its own takes out what has expired and looks
   * whether it missed a change, in milliseconds. @default 1000
   */
  readonly sweepMs?: number | undefined
  /** Largest record of one node, in bytes of JSON. @default 262_144 (256 KiB) */
  readonly maxRecordBytes?: number | undefined
}

const what = 'the redis registry'
/** So many nodes go to the server at a time, which does nothing else meanwhile. */
const chunk = 100

/** Keeps nodes in hashes, for all processes with the same prefix. */
export async function redisRegistry(
  options: RedisRegistryOptions | undefined,
  { log, signal }: ComponentContext,
): Promise<Registry> {
  const resolved = resolveOptions(
    'the options of the redis registry',
    { ...redisDefaults, prefix: 'micrograft:registry:', sweepMs: 1000, maxRecordBytes: 262_144 },
    options,
  )
  requireNumbers(what, resolved, { sweepMs: aTimer, maxRecordBytes: aCount })
  const endpoints = redisEndpoints(what, resolved)
  let registry: RedisRegistry | undefined
  const link = await RedisLink.open(
    {
      ...resolved,
      what,
      endpoints,
      log,
      async prepare(client) {
        await registry?.prepare((channel, listener) => client.subscribe(channel, listener))
      },
    },
    signal,
  )
  registry = new RedisRegistry(link, resolved, log)
  return registry
}

type Subscribe = (channel: string, listener: (message: string) => void) => Promise<void>

class RedisRegistry implements Registry {
  readonly name = 'redis'
  readonly capabilities: RegistryCapabilities
  readonly #link: RedisLink
  readonly #prefix: string
  readonly #maxRecordBytes: number
  readonly #log: Logger
  readonly #own = new OwnNodes()
  readonly #commands: NodeCommands
  readonly #view: NodeView
  readonly #watchers = new Set<NodeWatcher>()
  readonly #timer: NodeJS.Timeout
  readonly #hear = (message: string): void => this.#view.hear(message)
  #subscribers = 0
  #reload = false
  #ticking = false
  #disposed: Promise<void> | undefined

  constructor(
    link: RedisLink,
    { prefix, sweepMs, maxRecordBytes }: { prefix: string; sweepMs: number; maxRecordBytes: number },
    log: Logger,
  ) {
    this.#link = link
    this.#prefix = prefix
    this.#maxRecordBytes = maxRecordBytes
    this.#log = log
    this.capabilities = Object.freeze({ expiry: true, visibleWithinMs: sweepMs })
    this.#commands = new NodeCommands(link, prefix, log, (state) => this.#own.seen(state))
    this.#view = new NodeView(
      (json) => this.#commands.parse(json),
      () => this.#tick(),
    )
    this.#timer = setInterval(() => {
      if (this.#view.isWatched || this.#own.size > 0) this.#tick()
    }, sweepMs).unref()
  }

  /** On each new connection. */
  async prepare(subscribe: Subscribe): Promise<void> {
    if (this.#subscribers > 0) {
      await subscribe(`${this.#prefix}changes`, this.#hear)
      this.#reload = true
    }
    setImmediate(() => this.#tick())
  }

  async register(service: ServiceRecord, { signal, ttlMs }: RegisterOptions = {}): Promise<void> {
    this.#ready(signal)
    const ttl = ttlOf(ttlMs)
    const nodes = nodeRecords(service).map((record): OwnNode => {
      const json = JSON.stringify(record)
      if (Buffer.byteLength(json) > this.#maxRecordBytes)
        throw new ServiceError(
          'too-large',
          `the record of ${record.nodes[0].id} has more than ${this.#maxRecordBytes} bytes; describe less, or raise maxRecordBytes`,
        )
      return { name: record.name, id: record.nodes[0].id, version: record.version, json, ttlMs: ttl }
    })
    // Before it is sent: where no answer comes it may have been done, and is then ours to take out.
    for (const node of nodes) this.#own.add(node)
    for (const some of chunks(nodes)) await this.#commands.register(some, ttl, '', { signal })
  }

  async deregister(service: ServiceRecord, { signal }: CallOptions = {}): Promise<void> {
    this.#ready(signal)
    for (const some of chunks(nodeRecords(service))) {
      // Before it is sent, so that nothing registers them again in between.
      const own = some.flatMap(({ name, version, nodes }) => this.#own.take(name, nodes[0].id, version) ?? [])
      try {
        await this.#commands.deregister(some, { signal })
      } catch (error) {
        // They may be there still, and are then ours to take out.
        for (const restore of own) restore()
        throw error
      }
    }
  }

  async get(name: string, { signal }: CallOptions = {}): Promise<readonly ServiceRecord[]> {
    this.#ready(signal)
    return mergeRecords(await this.#commands.get(name, { signal }))
  }

  async list({ signal }: CallOptions = {}): Promise<readonly ServiceRecord[]> {
    this.#ready(signal)
    const services = new Map<string, NodeRecord[]>()
    const { records } = await this.#commands.list({ signal })
    for (const record of records) {
      const same = services.get(record.name)
      if (same) same.push(record)
      else services.set(record.name, [record])
    }
    return [...services.keys()].sort(compare).flatMap((name) => mergeRecords(services.get(name) ?? []))
  }

  async watch(options: WatchOptions = {}): Promise<RegistryWatcher> {
    const { signal } = options
    this.#ready(signal)
    this.#subscribers++
    try {
      await this.#link.run((client) => client.subscribe(`${this.#prefix}changes`, this.#hear), { signal })
      // What is known must hold all of what happened before, or it would be told as news.
      while (!this.#view.has(await this.#commands.state({ signal }))) await this.#load({ signal })
      this.#ready(signal)
    } catch (error) {
      this.#subscribers--
      throw error
    }
    const watcher = this.#view.watch(options, (ended) => {
      this.#watchers.delete(ended)
      this.#subscribers--
    })
    this.#watchers.add(watcher)
    return watcher
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose()
    return this.#disposed
  }

  async #dispose(): Promise<void> {
    clearInterval(this.#timer)
    for (const watcher of this.#watchers) watcher.end(closedError())
    try {
      for (const some of chunks(this.#own.all())) await this.#commands.disown(some)
    } catch (error) {
      this.#log.warn('nodes are left behind', { nodes: this.#own.size, error })
    }
    await this.#link[Symbol.asyncDispose]()
  }

  async #load({ signal }: CallOptions): Promise<void> {
    signal?.throwIfAborted()
    await this.#view.load(() => this.#commands.list())
  }

  /** Takes out what has expired, and mends what is not as it should be. One at a time; it never rejects. */
  #tick(): void {
    if (this.#ticking || this.#disposed || !this.#link.isConnected) return
    this.#ticking = true
    this.#mend()
      .catch((error: unknown) => this.#log.warn('cannot look for changes', { error }))
      .finally(() => (this.#ticking = false))
  }

  async #mend(): Promise<void> {
    this.#own.expire()
    const state = await this.#commands.state()
    await this.#registerLost()
    if (this.#subscribers === 0) {
      this.#view.clear()
    } else if (this.#reload || !this.#view.has(state)) {
      this.#reload = false
      await this.#load({}).catch((error: unknown) => {
        this.#reload = true
        throw error
      })
    }
  }

  /** One by one: each has a time to live of its own. What is there was registered by somebody since. */
  async #registerLost(): Promise<void> {
    if (!this.#own.lost) return
    this.#log.warn('the server lost data: nodes are registered again', { nodes: this.#own.size })
    this.#own.lost = false
    try {
      for (const node of this.#own.all()) {
        // It may have been deregistered meanwhile, or all of them are being taken out.
        if (this.#own.has(node) && !this.#disposed)
          await this.#commands.register([node], this.#own.leftMs(node), 'absent', {})
      }
    } catch (error) {
      this.#own.lost = true
      throw error
    }
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#disposed) throw closedError()
  }
}

function closedError(): ServiceError {
  return new ServiceError('closed', `${what} is closed; open another`)
}

/** Milliseconds, `Infinity` where there is no limit. @throws `invalid-option` */
function ttlOf(ttlMs: number | undefined): number {
  if (ttlMs === undefined) return Infinity
  if (typeof ttlMs === 'number' && ttlMs > 0) return ttlMs
  throw new ServiceError('invalid-option', `a time to live of ${ttlMs} ms is none; give a number above 0`)
}

function* chunks<T>(all: readonly T[]): Iterable<readonly T[]> {
  for (let start = 0; start < all.length; start += chunk) yield all.slice(start, start + chunk)
}
