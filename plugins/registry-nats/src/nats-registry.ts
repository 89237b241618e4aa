import { randomUUID } from 'node:crypto'
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
import { connectionDefaults, NatsLink, within, type NatsConnectionOptions } from '@micrograft/nats-link'
import { compare, mergeRecords, nodeRecords, type NodeRecord } from '@micrograft/plugin-kit'
import { KnownNodes, type KnownNodesSettings } from './known-nodes.js'
import { groups } from './own-nodes.js'
import { Peers, type PeersSettings } from './peers.js'
import type { Claim } from './wire.js'

export interface NatsRegistryOptions extends NatsConnectionOptions {
  /** What its subjects begin with; peers must have the same. @default `micro.registry.nats`, go-micro's */
  readonly prefix?: string | undefined
  /** How long answers are waited for, in milliseconds; while they still come in, up to thirty times as long. @default 100 */
  readonly queryMs?: number | undefined
  /** How often watchers ask whether nodes that gave no time to live are still there, in milliseconds; one that has not answered for two and a half times as long is gone. @default 30_000 */
  readonly refreshMs?: number | undefined
  /** Most nodes that watchers know of, and that one question brings. @default 20_000 */
  readonly maxNodes?: number | undefined
}

const defaults = {
  ...connectionDefaults,
  prefix: 'micro.registry.nats',
  queryMs: 100,
  refreshMs: 30_000,
  maxNodes: 20_000,
}

/** Nodes that answer for themselves on NATS, as go-micro's nats registry finds and tells them. */
export async function natsRegistry(
  options: NatsRegistryOptions | undefined,
  { service, log, signal }: ComponentContext,
): Promise<Registry> {
  const resolved = resolveOptions('the options of the nats registry', defaults, options)
  const { prefix, queryMs, refreshMs, maxNodes, ...connection } = resolved
  if (!/^[\w-]+(?:\.[\w-]+)*$/.test(prefix)) {
    throw new ServiceError(
      'invalid-option',
      `${JSON.stringify(prefix)} is no prefix; write e.g. ${defaults.prefix}`,
    )
  }
  const settings = { queryMs, refreshMs, maxNodes }
  requireNumbers('the options of the nats registry', settings, {
    queryMs: aTimer,
    refreshMs: aTimer,
    maxNodes: aCount,
  })
  const what = 'the nats registry'
  const link = await NatsLink.open(connection, { what, service, log, signal, noEcho: true })
  const registry = new NatsRegistry(link, { prefix, ...settings }, log)
  try {
    await within(registry.listen(), signal)
    return registry
  } catch (error) {
    await link.close()
    throw error
  }
}

class NatsRegistry implements Registry {
  readonly name = 'nats'
  readonly capabilities: RegistryCapabilities = Object.freeze({ expiry: true, visibleWithinMs: 100 })
  readonly #link: NatsLink
  readonly #log: Logger
  readonly #owner = randomUUID()
  readonly #peers: Peers
  readonly #nodes: KnownNodes
  #since = 0
  #ended: Promise<void> | undefined

  constructor(link: NatsLink, settings: PeersSettings & KnownNodesSettings, log: Logger) {
    this.#link = link
    this.#log = log
    this.#peers = new Peers(link, settings, log)
    this.#nodes = new KnownNodes(this.#peers, settings)
  }

  /** Answers and hears from now on. */
  async listen(): Promise<void> {
    this.#link.onLost(() => this.#nodes.pause())
    this.#link.onBack(() => this.#nodes.resume())
    await this.#peers.listen({
      asked: (name) => groups(this.#nodes.own.of(name)),
      told: (announcement) => this.#nodes.hear(announcement),
    })
  }

  async register(service: ServiceRecord, { signal, ttlMs }: RegisterOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    if (this.#ended) throw this.#link.closed()
    if (ttlMs !== undefined && !(typeof ttlMs === 'number' && ttlMs > 0)) {
      const message = `a time to live of ${String(ttlMs)} ms is none; give a number above 0`
      throw new ServiceError('invalid-option', message)
    }
    const records = nodeRecords(service)
    const claim = this.#claim(ttlMs)
    const known = records.filter((record) => this.#nodes.own.find(record))
    const action = known.length === records.length ? 'update' : 'create'
    const messages = this.#peers.announcements(action, records, claim)
    // What was registered before is renewed even where nobody can be told: it is told when the server is back.
    for (const record of known) this.#nodes.own.set(record, claim)
    this.#link.ready(signal)
    for (const record of records) this.#nodes.add(record, claim)
    try {
      await this.#peers.tell(messages, signal)
    } catch (error) {
      for (const record of records) if (!known.includes(record)) this.#nodes.drop(record)
      throw error
    }
  }

  async deregister(service: ServiceRecord, { signal }: CallOptions = {}): Promise<void> {
    this.#ready(signal)
    const records = nodeRecords(service)
    const messages = this.#peers.announcements('delete', records, undefined)
    for (const record of records) this.#nodes.remove(record)
    await this.#peers.tell(messages, signal)
  }

  async get(name: string, { signal }: CallOptions = {}): Promise<readonly ServiceRecord[]> {
    this.#ready(signal)
    const found = new Map<string, NodeRecord>()
    await this.#peers.ask(name, signal, (record) => {
      if (record.name === name) found.set(record.nodes[0].id, record)
    })
    for (const { record } of this.#nodes.own.of(name)) found.set(record.nodes[0].id, record)
    return mergeRecords(found.values())
  }

  async list({ signal }: CallOptions = {}): Promise<readonly ServiceRecord[]> {
    this.#ready(signal)
    const found = new Map<string, Map<string, NodeRecord>>()
    const put = (record: NodeRecord): void => {
      const same = found.get(record.name) ?? new Map<string, NodeRecord>()
      found.set(record.name, same.set(record.nodes[0].id, record))
    }
    await this.#peers.ask(undefined, signal, put)
    for (const { record } of this.#nodes.own.of()) put(record)
    const names = [...found.keys()].sort(compare)
    return names.flatMap((name) => mergeRecords(found.get(name)?.values() ?? []))
  }

  async watch(options: WatchOptions = {}): Promise<RegistryWatcher> {
    const { service, signal } = options
    this.#ready(signal)
    const release = this.#nodes.hold(service)
    try {
      await this.#nodes.look(service, signal)
      this.#ready(signal)
    } catch (error) {
      release()
      throw error
    }
    return this.#nodes.watch(options, release)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#ended ??= this.#end())
  }

  async #end(): Promise<void> {
    this.#nodes.rest()
    const closed = this.#link.closed()
    this.#peers.end(closed)
    // Whoever took over a node has said so before; when the server answers, it has been heard.
    await this.#link.flush().catch(() => undefined)
    this.#nodes.end(closed)
    const own = this.#nodes.own.of()
    for (const { record } of own) this.#nodes.own.delete(record)
    try {
      const goodbyes = groups(own).flatMap(([claim, records]) =>
        this.#peers.announcements('delete', records, claim),
      )
      if (goodbyes.length > 0) await this.#peers.tell(goodbyes)
    } catch (error) {
      this.#log.debug('cannot say that nodes are gone', { error })
    }
    await this.#link.close()
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#ended) throw this.#link.closed()
    this.#link.ready()
  }

  #claim(ttlMs: number | undefined): Claim {
    // Later than the one before, also within one millisecond.
    this.#since = Math.max(this.#since + 1, Date.now())
    return { owner: this.#owner, since: this.#since, ttlMs }
  }
}
