import type { RemoteInfo } from 'node:dgram'
import { randomInt } from 'node:crypto'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import {
  resolveOptions,
  ServiceError,
  type CallOptions,
  type ComponentContext,
  type RegisterOptions,
  type Registry,
  type RegistryCapabilities,
  type RegistryWatcher,
  type ServiceRecord,
  type WatchOptions,
} from '@micrograft/contracts'
import { abortable } from './abortable.js'
import {
  decodeDnsMessage,
  dnsTypes,
  encodeDnsMessage,
  type DnsMessage,
  type DnsQuestion,
} from './dns-message.js'
import { labelsOf } from './dns-name.js'
import { MdnsBrowser } from './mdns-browser.js'
import {
  entriesOf,
  instanceRecords,
  listedServices,
  listing,
  listingRecords,
  mdnsNode,
  serviceName,
  serviceRecords,
  type MdnsEntry,
} from './mdns-records.js'
import { MdnsOwnNodes, type OwnNode } from './mdns-own-nodes.js'
import { MdnsSockets, type MdnsPlace } from './mdns-sockets.js'
import { compare, mergeRecords, nodeRecords, type NodeRecord } from './node-record.js'
import { closedError, ttlOf } from './registry-checks.js'

export interface MdnsRegistryOptions {
  /** Peers of one domain see each other. @default `micro` */
  readonly domain?: string | undefined
  /** The multicast group, of IPv4 or IPv6. @default `224.0.0.251` */
  readonly group?: string | undefined
  /** @default 5353 */
  readonly port?: number | undefined
  /** The address of the interface to use, e.g. `127.0.0.1` for this machine alone. @default the system's choice */
  readonly interface?: string | undefined
  /** Group and port, as `--registry_address` gives them, e.g. `239.0.0.1:5353`. @default those above */
  readonly addresses?: readonly string[] | undefined
  /** How long answers are waited for, in milliseconds; while they still come in, up to thirty times as long. @default 100 */
  readonly timeoutMs?: number | undefined
  /** Most nodes of others that are kept. @default 10_000 */
  readonly maxNodes?: number | undefined
}

const defaults = {
  domain: 'micro',
  group: '224.0.0.251',
  port: 5353,
  interface: undefined,
  addresses: undefined,
  timeoutMs: 100,
  maxNodes: 10_000,
}

const response = 0x8000
const authoritative = 0x0400
/** Opcode and response code: whoever sets them wants something else. */
const foreign = 0x780f
const unicastWanted = 0x8000
const maxServices = 1000

/** Nodes of a network that carries multicast, as go-micro's mdns registry finds and tells them. */
export function mdnsRegistry(options: MdnsRegistryOptions | undefined, _context: ComponentContext): Registry {
  const resolved = resolveOptions('the options of the mdns registry', defaults, options)
  const domain = resolved.domain.replace(/^\.+|\.+$/g, '')
  const { timeoutMs, maxNodes } = resolved
  return new MdnsRegistry(placeOf(resolved), { domain, timeoutMs, maxNodes })
}

function placeOf({
  group,
  port,
  interface: by,
  addresses,
}: { [K in keyof typeof defaults]: unknown }): MdnsPlace {
  const [address, ...more] = (addresses ?? []) as readonly string[]
  const [, givenGroup, givenPort] = /^\[?(.*?)\]?:(\d+)$/.exec(address ?? '') ?? []
  const place = {
    group: (address === undefined ? group : givenGroup) as string,
    port: address === undefined ? (port as number) : Number(givenPort),
    interface: by as string | undefined,
  }
  if (more.length > 0 || isIP(place.group) === 0 || !(place.port > 0 && place.port < 65_536)) {
    throw new ServiceError(
      'invalid-option',
      `the mdns registry takes one group and port, e.g. 224.0.0.251:5353, not ${[address ?? `${group}:${port}`, ...more].join(',')}`,
    )
  }
  return place
}

interface Settings {
  readonly domain: string
  readonly timeoutMs: number
  readonly maxNodes: number
}

class MdnsRegistry implements Registry {
  readonly name = 'mdns'
  readonly capabilities: RegistryCapabilities = Object.freeze({ expiry: true, visibleWithinMs: 1000 })
  readonly #place: MdnsPlace
  readonly #settings: Settings
  readonly #host = hostname()
  readonly #own: MdnsOwnNodes
  readonly #browser: MdnsBrowser
  /** Those who wait for answers. */
  readonly #listeners = new Set<(message: DnsMessage) => void>()
  readonly #closing = new AbortController()
  #opening: Promise<MdnsSockets> | undefined
  #sockets: MdnsSockets | undefined

  constructor(place: MdnsPlace, settings: Settings) {
    this.#place = place
    this.#settings = settings
    const isOwn = ({ name, nodes }: NodeRecord): boolean => this.#own.find(name, nodes[0].id) !== undefined
    this.#browser = new MdnsBrowser(
      settings.maxNodes,
      isOwn,
      (service) => void this.#question(service).catch(() => undefined),
    )
    this.#own = new MdnsOwnNodes({
      announce: (node) => this.#announce(node, node.ttlSeconds),
      goodbye: (node) => this.#announce(node, 0),
      changed: (node) => this.#browser.own(node.mdns.record),
      gone: (record) => this.#browser.leave(record),
    })
  }

  async register(service: ServiceRecord, { signal, ttlMs }: RegisterOptions = {}): Promise<void> {
    this.#ready(signal)
    const ttl = ttlOf(ttlMs)
    const nodes = nodeRecords(service).map((record) => {
      const node = mdnsNode(record, this.#host)
      for (const each of instanceRecords(node, this.#settings.domain, 0)) labelsOf(each.name)
      return node
    })
    await abortable(
      this.#open().then(() => this.#own.add(nodes, ttl)),
      signal,
    )
  }

  async deregister(service: ServiceRecord, { signal }: CallOptions = {}): Promise<void> {
    this.#ready(signal)
    await abortable(this.#own.remove(nodeRecords(service)), signal)
  }

  async get(name: string, { signal }: CallOptions = {}): Promise<readonly ServiceRecord[]> {
    this.#ready(signal)
    return abortable(this.#find(name, signal), signal)
  }

  async list({ signal }: CallOptions = {}): Promise<readonly ServiceRecord[]> {
    this.#ready(signal)
    const found = (async () => {
      const names = (await this.#names(signal)).toSorted(compare)
      return (await Promise.all(names.map((name) => this.#find(name, signal)))).flat()
    })()
    return abortable(found, signal)
  }

  async watch(options: WatchOptions = {}): Promise<RegistryWatcher> {
    this.#ready(options.signal)
    const { service, signal } = options
    const release = this.#browser.hold()
    const known = (async () => {
      const names = service === undefined ? await this.#names(signal) : [service]
      await Promise.all(names.map((name) => this.#find(name, signal)))
      this.#ready(undefined)
    })()
    try {
      await abortable(known, signal)
    } catch (error) {
      release()
      throw error
    }
    return this.#browser.watch(options, release)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return
    const closed = closedError('mdns')
    this.#closing.abort(closed)
    this.#browser.end(closed)
    const sockets = this.#sockets ?? (await this.#opening?.catch(() => undefined))
    await this.#own.removeAll()
    this.#browser.table.clear()
    sockets?.close()
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closing.signal.aborted) throw closedError('mdns')
  }

  async #open(): Promise<MdnsSockets> {
    this.#opening ??= MdnsSockets.open(this.#place, (bytes, from) => this.#hear(bytes, from))
    try {
      this.#sockets = await this.#opening
    } catch (error) {
      this.#opening = undefined
      throw error
    }
    this.#ready(undefined)
    return this.#sockets
  }

  async #find(name: string, signal: AbortSignal | undefined): Promise<readonly ServiceRecord[]> {
    const found = new Map<string, NodeRecord>()
    await this.#collect(name, signal, (message) => {
      for (const { record, ttl } of entriesOf(message, this.#settings.domain)) {
        if (record.name !== name) continue
        if (ttl === 0) found.delete(record.nodes[0].id)
        else if (found.size < this.#settings.maxNodes) found.set(record.nodes[0].id, record)
      }
    })
    for (const { mdns } of this.#own.of(name)) found.set(mdns.record.nodes[0].id, mdns.record)
    return mergeRecords(found.values())
  }

  async #names(signal: AbortSignal | undefined): Promise<readonly string[]> {
    const names = new Set<string>()
    await this.#collect(listing, signal, (message) => {
      for (const each of listedServices(message, this.#settings.domain))
        if (names.size < maxServices) names.add(each)
    })
    for (const each of this.#own.services()) names.add(each)
    return [...names]
  }

  /** Asks, and hands over what is heard until the time is over and answers have stopped coming. */
  async #collect(
    name: string,
    signal: AbortSignal | undefined,
    listener: (message: DnsMessage) => void,
  ): Promise<void> {
    const { timeoutMs, domain } = this.#settings
    const signals = [this.#closing.signal, ...(signal ? [signal] : [])]
    let heard = false
    const listen = (message: DnsMessage): void => {
      if (message.questions[0]?.name === serviceName(name, domain)) heard = true
      listener(message)
    }
    this.#listeners.add(listen)
    try {
      await this.#question(name)
      await turns(timeoutMs / 2, signals)
      // A datagram may be lost.
      if (!heard) await this.#question(name)
      await turns(timeoutMs / 2, signals)
      const last = performance.now() + timeoutMs * 29
      while (heard && performance.now() < last) {
        heard = false
        await turns(timeoutMs / 2, signals)
      }
      this.#ready(undefined)
    } finally {
      this.#listeners.delete(listen)
    }
  }

  /** A name that DNS cannot write has no node, and nobody is asked. */
  async #question(service: string): Promise<void> {
    const sockets = await this.#open()
    const question = { name: serviceName(service, this.#settings.domain), type: dnsTypes.PTR, class: 1 }
    let bytes: Buffer
    try {
      bytes = encodeDnsMessage({ id: randomInt(65_536), flags: 0, questions: [question], answers: [] }, false)
    } catch {
      return
    }
    await sockets.ask(bytes)
  }

  #hear(bytes: Buffer, from: RemoteInfo): void {
    let message: DnsMessage
    try {
      message = decodeDnsMessage(bytes)
    } catch {
      // Anybody may send anything to the group.
      return
    }
    if ((message.flags & foreign) !== 0) return
    if ((message.flags & response) === 0) return this.#reply(message, from)
    for (const listener of this.#listeners) listener(message)
    const takesBack = message.answers.some(({ ttl }) => ttl === 0)
    if (!takesBack && !this.#browser.held) return
    const entries = entriesOf(message, this.#settings.domain)
    for (const entry of entries) this.#rescue(entry)
    this.#browser.hear(entries)
  }

  /** Somebody took back what is still true: another registry of this node has been disposed. */
  #rescue({ record, ttl }: MdnsEntry): void {
    const own = ttl === 0 ? this.#own.find(record.name, record.nodes[0].id) : undefined
    if (own) this.#announce(own, own.ttlSeconds).catch(() => undefined)
  }

  #reply({ id, questions }: DnsMessage, from: RemoteInfo): void {
    const { domain } = this.#settings
    for (const question of questions) {
      if (question.type !== dnsTypes.PTR && question.type !== dnsTypes.ANY) continue
      if (question.name === serviceName(listing, domain)) {
        for (const service of this.#own.services()) {
          this.#answer(id, question, listingRecords(service, this.#host, domain, 120), from)
        }
      }
      for (const service of this.#own.services()) {
        if (question.name !== serviceName(service, domain)) continue
        for (const { mdns, ttlSeconds } of this.#own.of(service)) {
          this.#answer(id, question, serviceRecords(mdns, domain, ttlSeconds), from)
        }
      }
    }
  }

  /** A message for each node, and the question in it: Go's client passes over answers without. */
  #answer(id: number, question: DnsQuestion, answers: DnsMessage['answers'], from: RemoteInfo): void {
    const unicast = (question.class & unicastWanted) !== 0
    const message = { id: unicast ? id : 0, flags: response | authoritative, questions: [question], answers }
    this.#sockets?.answer(encodeDnsMessage(message, true), from)
  }

  async #announce({ mdns }: OwnNode, ttl: number): Promise<void> {
    const answers = instanceRecords(mdns, this.#settings.domain, ttl)
    await this.#sockets?.tell(encodeDnsMessage({ id: 0, flags: response, questions: [], answers }, false))
  }
}

/** Waits, and then until what came in while this process was busy has been read; or until a signal is aborted. */
async function turns(ms: number, signals: readonly AbortSignal[]): Promise<void> {
  let end = (): void => undefined
  const over = new Promise<void>((resolve) => (end = resolve))
  const timer = setTimeout(() => setImmediate(end), ms)
  for (const each of signals) each.addEventListener('abort', end)
  for (const each of signals) if (each.aborted) end()
  await over
  clearTimeout(timer)
  for (const each of signals) {
    each.removeEventListener('abort', end)
    each.throwIfAborted()
  }
}
