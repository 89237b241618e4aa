import { hostname } from 'node:os'
import {
  requireLimits,
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
import { abortable, compare, mergeRecords, nodeRecords, type NodeRecord } from '@micrograft/plugin-kit'
import type { DnsMessage } from './dns-message.js'
import { labelsOf } from './dns-name.js'
import { MdnsBrowser } from './mdns-browser.js'
import { MdnsInquiry } from './mdns-inquiry.js'
import { MdnsMessages } from './mdns-messages.js'
import { MdnsOwnNodes } from './mdns-own-nodes.js'
import { placeOf } from './mdns-place.js'
import { entriesOf, instanceRecords, listingRecords, mdnsNode } from './mdns-records.js'
import { MdnsResponder } from './mdns-responder.js'
import type { MdnsPlace } from './mdns-sockets.js'
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

/** Nodes of a network that carries multicast, as go-micro's mdns registry finds and tells them. */
export function mdnsRegistry(options: MdnsRegistryOptions | undefined, _context: ComponentContext): Registry {
  const what = 'the options of the mdns registry'
  const resolved = resolveOptions(what, defaults, options)
  const { timeoutMs, maxNodes } = resolved
  requireLimits(what, { timeoutMs, maxNodes })
  return new MdnsRegistry(placeOf(resolved), { domain: domainOf(resolved.domain), timeoutMs, maxNodes })
}

/** Without dots around it. */
function domainOf(given: unknown): string {
  const domain = String(given).replace(/^\.+|\.+$/g, '')
  try {
    if (typeof given === 'string' && labelsOf(domain).length > 0) return domain
  } catch {
    // It is told below.
  }
  throw new ServiceError(
    'invalid-option',
    `the domain of the mdns registry is ${JSON.stringify(given)}, which is no DNS name`,
  )
}

interface Settings {
  readonly domain: string
  readonly timeoutMs: number
  readonly maxNodes: number
}

class MdnsRegistry implements Registry {
  readonly name = 'mdns'
  readonly capabilities: RegistryCapabilities = Object.freeze({ expiry: true, visibleWithinMs: 1000 })
  readonly #domain: string
  readonly #host = hostname()
  readonly #closing = new AbortController()
  readonly #messages: MdnsMessages
  readonly #inquiry: MdnsInquiry
  readonly #own: MdnsOwnNodes
  readonly #responder: MdnsResponder
  readonly #browser: MdnsBrowser

  constructor(place: MdnsPlace, { domain, timeoutMs, maxNodes }: Settings) {
    const closing = this.#closing.signal
    const messages = new MdnsMessages({
      place,
      closing,
      asked: (message, from) => this.#responder.reply(message, from),
      told: (message) => this.#hear(message),
    })
    const own: MdnsOwnNodes = new MdnsOwnNodes({
      announce: (node) => this.#responder.announce(node, node.ttlSeconds),
      goodbye: (node) => this.#responder.announce(node, 0),
      changed: (node) => this.#browser.own(node.mdns.record),
      gone: (record) => this.#browser.leave(record),
    })
    const isOwn = ({ name, nodes }: NodeRecord): boolean => own.find(name, nodes[0].id) !== undefined
    this.#domain = domain
    this.#messages = messages
    this.#inquiry = new MdnsInquiry({ messages, domain, timeoutMs, maxNodes, closing })
    this.#own = own
    this.#responder = new MdnsResponder({ messages, own, domain, host: this.#host })
    this.#browser = new MdnsBrowser(
      maxNodes,
      isOwn,
      (service) => void this.#inquiry.ask(service).catch(() => undefined),
    )
  }

  async register(service: ServiceRecord, { signal, ttlMs }: RegisterOptions = {}): Promise<void> {
    this.#ready(signal)
    const ttl = ttlOf(ttlMs)
    const nodes = nodeRecords(service).map((record) => {
      const node = mdnsNode(record, this.#host)
      // Also what is told only when somebody asks: there it would end the process.
      const listed = listingRecords(record.name, this.#host, this.#domain, 0)
      for (const each of [...instanceRecords(node, this.#domain, 0), ...listed]) labelsOf(each.name)
      return node
    })
    await abortable(
      this.#messages.open().then(() => this.#own.add(nodes, ttl)),
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
    await this.#messages.opened()
    await this.#own.removeAll()
    this.#browser.table.clear()
    this.#messages.close()
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closing.signal.aborted) throw closedError('mdns')
  }

  async #find(name: string, signal: AbortSignal | undefined): Promise<readonly ServiceRecord[]> {
    const found = await this.#inquiry.nodes(name, signal)
    for (const { mdns } of this.#own.of(name)) found.set(mdns.record.nodes[0].id, mdns.record)
    return mergeRecords(found.values())
  }

  async #names(signal: AbortSignal | undefined): Promise<readonly string[]> {
    const names = await this.#inquiry.services(signal)
    for (const each of this.#own.services()) names.add(each)
    return [...names]
  }

  #hear(message: DnsMessage): void {
    this.#inquiry.hear(message)
    const takesBack = message.answers.some(({ ttl }) => ttl === 0)
    if (!takesBack && !this.#browser.held) return
    const entries = entriesOf(message, this.#domain)
    for (const entry of entries) this.#responder.rescue(entry)
    this.#browser.hear(entries)
  }
}
