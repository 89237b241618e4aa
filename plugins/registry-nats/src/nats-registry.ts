import { randomUUID } from 'node:crypto'
import {
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
import { createInbox, type Msg } from '@nats-io/transport-node'
import { NatsLink, within } from './nats-link.js'
import { connectionDefaults, type NatsConnectionOptions } from './nats-options.js'
import { compare, mergeRecords, nodeRecords, type NodeRecord } from './node-record.js'
import { NodeTable } from './node-table.js'
import { groups, OwnNodes } from './own-nodes.js'
import {
  announcementMessages,
  queryMessage,
  readAnnouncement,
  readQuery,
  readService,
  serviceMessages,
  type Announcement,
  type Claim,
} from './wire.js'

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
  for (const [name, value] of Object.entries({ queryMs, refreshMs, maxNodes })) {
    if (!(value > 0)) {
      throw new ServiceError('invalid-option', `${name} is ${String(value)}; give a number above 0`)
    }
  }
  const what = 'the nats registry'
  const link = await NatsLink.open(connection, { what, service, log, signal, noEcho: true })
  const registry = new NatsRegistry(link, { prefix, queryMs, refreshMs, maxNodes }, log)
  try {
    await within(registry.listen(), signal)
    return registry
  } catch (error) {
    await link.close()
    throw error
  }
}

interface Settings {
  readonly prefix: string
  readonly queryMs: number
  readonly refreshMs: number
  readonly maxNodes: number
}

class NatsRegistry implements Registry {
  readonly name = 'nats'
  readonly capabilities: RegistryCapabilities = Object.freeze({ expiry: true, visibleWithinMs: 100 })
  readonly #link: NatsLink
  readonly #settings: Settings
  readonly #log: Logger
  readonly #owner = randomUUID()
  readonly #own = new OwnNodes((record) => this.#expired(record))
  readonly #table = new NodeTable()
  /** What is watched: services by name, `undefined` for all, and by how many. */
  readonly #watched = new Map<string | undefined, number>()
  readonly #closing = new AbortController()
  #since = 0
  #refresh: NodeJS.Timeout | undefined
  #ended: Promise<void> | undefined

  constructor(link: NatsLink, settings: Settings, log: Logger) {
    this.#link = link
    this.#settings = settings
    this.#log = log
  }

  /** Answers and hears from now on. */
  async listen(): Promise<void> {
    const { prefix } = this.#settings
    this.#link.subscribe(`${prefix}.query`, (message) => this.#quietly(() => this.#answer(message)))
    this.#link.subscribe(`${prefix}.watch`, ({ data }) => this.#quietly(() => this.#hear(data)))
    this.#link.onLost(() => this.#table.pause())
    this.#link.onBack(() => this.#back())
    await this.#link.flush()
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
    const known = records.filter((record) => this.#own.find(record))
    const action = known.length === records.length ? 'update' : 'create'
    const messages = this.#announcements(action, records, claim)
    // What was registered before is renewed even where nobody can be told: it is told when the server is back.
    for (const record of known) this.#own.set(record, claim)
    this.#link.ready(signal)
    for (const record of records) {
      this.#own.set(record, claim)
      this.#table.set(record, Infinity)
    }
    try {
      await this.#tell(messages, signal)
    } catch (error) {
      for (const record of records) if (!known.includes(record)) this.#drop(record)
      throw error
    }
  }

  async deregister(service: ServiceRecord, { signal }: CallOptions = {}): Promise<void> {
    this.#ready(signal)
    const records = nodeRecords(service)
    const messages = this.#announcements('delete', records, undefined)
    for (const record of records) {
      if (this.#own.find(record)?.record.version === record.version) this.#own.delete(record)
      this.#tableDelete(record)
    }
    await this.#tell(messages, signal)
  }

  async get(name: string, { signal }: CallOptions = {}): Promise<readonly ServiceRecord[]> {
    this.#ready(signal)
    const found = new Map<string, NodeRecord>()
    await this.#ask(name, signal, (record) => {
      if (record.name === name) found.set(record.nodes[0].id, record)
    })
    for (const { record } of this.#own.of(name)) found.set(record.nodes[0].id, record)
    return mergeRecords(found.values())
  }

  async list({ signal }: CallOptions = {}): Promise<readonly ServiceRecord[]> {
    this.#ready(signal)
    const found = new Map<string, Map<string, NodeRecord>>()
    const put = (record: NodeRecord): void => {
      const same = found.get(record.name) ?? new Map<string, NodeRecord>()
      found.set(record.name, same.set(record.nodes[0].id, record))
    }
    await this.#ask(undefined, signal, put)
    for (const { record } of this.#own.of()) put(record)
    const names = [...found.keys()].sort(compare)
    return names.flatMap((name) => mergeRecords(found.get(name)?.values() ?? []))
  }

  async watch(options: WatchOptions = {}): Promise<RegistryWatcher> {
    const { service, signal } = options
    this.#ready(signal)
    const release = this.#hold(service)
    try {
      await this.#look(service, signal)
      this.#ready(signal)
    } catch (error) {
      release()
      throw error
    }
    return this.#table.watch(options, release)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#ended ??= this.#end())
  }

  async #end(): Promise<void> {
    clearInterval(this.#refresh)
    const closed = this.#link.closed()
    this.#closing.abort(closed)
    // Whoever took over a node has said so before; when the server answers, it has been heard.
    await this.#link.flush().catch(() => undefined)
    this.#table.end(closed)
    const own = this.#own.of()
    for (const { record } of own) this.#own.delete(record)
    try {
      const goodbyes = groups(own).flatMap(([claim, records]) =>
        this.#announcements('delete', records, claim),
      )
      if (goodbyes.length > 0) await this.#tell(goodbyes)
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

  /** Takes back a node of this registry whose announcement failed. */
  #drop(record: NodeRecord): void {
    this.#own.delete(record)
    this.#table.delete(record)
  }

  #expired(record: NodeRecord): void {
    this.#tableDelete(record)
    this.#quietly(() => {
      void this.#tell(this.#announcements('delete', [record], undefined)).catch(() => undefined)
    })
  }

  #tableDelete(record: NodeRecord): void {
    if (this.#table.find(record.name, record.nodes[0].id)?.version === record.version)
      this.#table.delete(record)
  }

  #announcements(
    action: Announcement['action'],
    records: readonly NodeRecord[],
    claim: Claim | undefined,
  ): readonly Buffer[] {
    try {
      return announcementMessages(action, records, claim, this.#link.maxPayload)
    } catch (cause) {
      if (cause instanceof RangeError) throw new ServiceError('too-large', cause.message, { cause })
      throw cause
    }
  }

  async #tell(messages: readonly Buffer[], signal?: AbortSignal): Promise<void> {
    const subject = `${this.#settings.prefix}.watch`
    await Promise.all(messages.map((message) => this.#link.publish(subject, message, {}, signal)))
  }

  #answer({ data, reply }: Msg): void {
    const query = readQuery(data)
    if (!query || reply === undefined || this.#ended) return
    for (const [claim, records] of groups(this.#own.of(query.name))) {
      for (const message of serviceMessages(records, claim, this.#link.maxPayload))
        this.#link.send(reply, message)
    }
  }

  #hear(data: Uint8Array): void {
    const announcement = readAnnouncement(data)
    if (!announcement) return
    const { action, records, claim } = announcement
    for (const record of records) {
      const own = this.#own.find(record)
      if (action === 'delete') this.#hearDelete(record, claim)
      else if (own && claim && isOlder(claim, own.claim)) this.#insist(record)
      else {
        // It is registered elsewhere since: that registry answers for it now.
        if (own) this.#own.delete(record)
        this.#learn(record, claim)
      }
    }
  }

  #hearDelete(record: NodeRecord, claim: Claim | undefined): void {
    const own = this.#own.find(record)
    if (own && own.record.version === record.version) {
      // A registry that is disposed speaks for itself alone; without a claim the node is to go, whoever has it.
      if (claim) return this.#insist(record)
      this.#own.delete(record)
    }
    this.#tableDelete(record)
  }

  /** Says once more what another got wrong. */
  #insist(record: NodeRecord): void {
    const own = this.#own.find(record)
    if (!own) return
    for (const message of this.#announcements('update', [own.record], own.claim)) {
      this.#link.send(`${this.#settings.prefix}.watch`, message)
    }
  }

  #learn(record: NodeRecord, claim: Claim | undefined): void {
    const { maxNodes, refreshMs } = this.#settings
    const { name, nodes } = record
    // Nobody watches it; what was its own node before is not to be told any more.
    if (!this.#watched.has(undefined) && !this.#watched.has(name)) {
      this.#table.forget((each) => each.name !== name || each.nodes[0].id !== nodes[0].id)
      return
    }
    if (this.#table.size >= maxNodes && !this.#table.find(name, nodes[0].id)) return
    this.#table.set(record, claim?.ttlMs ?? refreshMs * 2.5)
  }

  /** Keeps what is heard of a service from now on, until it is released. */
  #hold(service: string | undefined): () => void {
    this.#watched.set(service, (this.#watched.get(service) ?? 0) + 1)
    this.#refresh ??= setInterval(() => this.#lookAgain(), this.#settings.refreshMs).unref()
    let held = true
    return () => {
      if (!held) return
      held = false
      const left = (this.#watched.get(service) ?? 1) - 1
      if (left > 0) this.#watched.set(service, left)
      else this.#watched.delete(service)
      this.#table.forget(
        (record) =>
          this.#watched.has(undefined) ||
          this.#watched.has(record.name) ||
          this.#own.find(record) !== undefined,
      )
      if (this.#watched.size > 0) return
      clearInterval(this.#refresh)
      this.#refresh = undefined
    }
  }

  #look(service: string | undefined, signal: AbortSignal | undefined): Promise<void> {
    return this.#ask(service, signal, (record, claim) => {
      if (!this.#own.find(record)) this.#learn(record, claim)
    })
  }

  /** Nodes that still live answer, and so hold for longer. */
  #lookAgain(): void {
    if (!this.#link.connected) return
    const services = this.#watched.has(undefined) ? [undefined] : [...this.#watched.keys()]
    for (const service of services) this.#look(service, undefined).catch(() => undefined)
  }

  #back(): void {
    this.#table.resume()
    this.#quietly(() => {
      for (const [claim, records] of groups(this.#own.of())) {
        for (const message of this.#announcements('update', records, claim)) {
          this.#link.send(`${this.#settings.prefix}.watch`, message)
        }
      }
    })
    this.#lookAgain()
  }

  /** Asks the others, and hands over what is heard until the time is over and answers have stopped coming. */
  async #ask(
    name: string | undefined,
    signal: AbortSignal | undefined,
    listener: (record: NodeRecord, claim: Claim | undefined) => void,
  ): Promise<void> {
    const { prefix, queryMs, maxNodes } = this.#settings
    const inbox = createInbox()
    let heard = false
    let alone = false
    let count = 0
    const subscription = this.#link.subscribe(inbox, ({ data, headers }) => {
      if (headers?.code === 503) alone = true
      else {
        heard = true
        this.#quietly(() => {
          const { records, claim } = readService(data)
          for (const record of records) if (count++ < maxNodes) listener(record, claim)
        })
      }
    })
    try {
      await this.#link.publish(`${prefix}.query`, queryMessage(name), { reply: inbox }, signal)
      const last = performance.now() + queryMs * 30
      if (!alone) await this.#wait(queryMs, signal)
      while (heard && performance.now() < last) {
        heard = false
        await this.#wait(queryMs / 2, signal)
      }
    } finally {
      this.#link.unsubscribe(subscription)
    }
  }

  /** Waits, and then until what came in while this process was busy has been read. */
  async #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(() => setImmediate(resolve), ms)
    })
    try {
      await within(within(over, this.#closing.signal), signal)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Anybody may send anything on the subjects, and it must not end the connection's reading. */
  #quietly(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#log.debug('a message of the nats registry is passed over', { error })
    }
  }
}

function isOlder(a: Claim, b: Claim): boolean {
  return a.since < b.since || (a.since === b.since && a.owner < b.owner)
}
