import { Resolver } from 'node:dns/promises'
import { isIP, isIPv6 } from 'node:net'
import {
  requireLimits,
  resolveOptions,
  ServiceError,
  timerMs,
  type CallOptions,
  type ComponentContext,
  type Logger,
  type Selection,
  type Selector,
} from '@micrograft/contracts'
import { checkChoice, choiceDefaults, type Choice, type ChoiceOptions } from './choice-options.js'
import { NodeSelection } from './node-selection.js'

export interface DnsSelectorOptions extends ChoiceOptions {
  /** Where `_<service>._tcp.<domain>` is looked up. @default `local` */
  readonly domain?: string | undefined
  /** Addresses of name servers, e.g. `127.0.0.1:53`. @default the system's */
  readonly servers?: readonly string[] | undefined
  /** How often a service is looked up again, in milliseconds. @default 30_000 */
  readonly refreshMs?: number | undefined
  /** Longest wait for one name server, in milliseconds; each is asked twice. @default 2000 */
  readonly timeoutMs?: number | undefined
  /** Metadata of every node, e.g. the `protocol` that it speaks. @default {} */
  readonly metadata?: Readonly<Record<string, string>> | undefined
}

interface Settings {
  readonly domain: string
  readonly servers: readonly string[] | undefined
  readonly refreshMs: number
  readonly timeoutMs: number
  readonly metadata: Readonly<Record<string, string>>
}

/** More than any service has: what a name server says is not to be trusted with all memory. */
const maxNodes = 10_000

/**
 * Nodes that DNS tells of: a service `host:port` by the addresses of the host, any other by SRV
 * records, of which those with the best priority count.
 */
export function dnsSelector(options: DnsSelectorOptions | undefined, { log }: ComponentContext): Selector {
  const defaults = {
    ...choiceDefaults,
    domain: 'local',
    servers: undefined,
    refreshMs: 30_000,
    timeoutMs: 2000,
    metadata: {},
  }
  const what = 'the options of the dns selector'
  const resolved = resolveOptions(what, defaults, options)
  const { domain, servers, refreshMs, timeoutMs, metadata, ...choice } = resolved
  checkChoice(choice)
  requireLimits(what, { refreshMs, timeoutMs })
  const settings = { domain, servers, refreshMs, timeoutMs, metadata: Object.freeze({ ...metadata }) }
  openResolver(settings).cancel()
  return new DnsSelector(settings, choice, log)
}

/** @throws `invalid-option` for a server that is none. */
function openResolver({ servers, timeoutMs }: Settings): Resolver {
  const resolver = new Resolver({ timeout: Math.ceil(timerMs(timeoutMs)), tries: 2 })
  try {
    if (servers) resolver.setServers(servers)
  } catch (error) {
    const message = `${servers?.join(', ')} are no name servers; give IP addresses, with ports where they have others than 53`
    throw new ServiceError('invalid-option', message, { cause: error })
  }
  return resolver
}

class DnsSelector implements Selector {
  readonly name = 'dns'
  readonly #settings: Settings
  readonly #choice: Choice
  readonly #log: Logger
  readonly #open = new Set<Selection>()
  #closed = false

  constructor(settings: Settings, choice: Choice, log: Logger) {
    this.#settings = settings
    this.#choice = choice
    this.#log = log
  }

  async select(service: string, { signal }: CallOptions = {}): Promise<Selection> {
    signal?.throwIfAborted()
    this.#ready()
    const resolver = openResolver(this.#settings)
    let timer: NodeJS.Timeout | undefined
    let ended = false
    const selection = new NodeSelection(service, this.#choice, () => {
      ended = true
      clearInterval(timer)
      resolver.cancel()
      this.#open.delete(selection)
    })
    this.#open.add(selection)
    const look = async (): Promise<void> => {
      const addresses = await lookUp(resolver, service, this.#settings.domain)
      const { metadata } = this.#settings
      const nodes = addresses.map((address) => Object.freeze({ id: address, address, metadata }))
      if (!ended) selection.reset(nodes.map((node) => ({ node, version: undefined, endpoints: [] })))
    }
    const onAbort = (): void => resolver.cancel()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      await look()
      this.#ready()
    } catch (error) {
      await selection[Symbol.asyncDispose]()
      signal?.throwIfAborted()
      this.#ready()
      throw error
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
    // A failure leaves the nodes as they were.
    const again = (): Promise<void> =>
      look().catch((error: unknown) => {
        if (!ended) this.#log.warn('look-up failed, going on with the nodes known before', { service, error })
      })
    timer = setInterval(() => void again(), timerMs(this.#settings.refreshMs)).unref()
    return selection
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#open].map((each) => each[Symbol.asyncDispose]()))
  }

  #ready(): void {
    if (this.#closed) throw new ServiceError('closed', 'the dns selector is closed; open another')
  }
}

/** @throws `unavailable` where no name server answers. */
async function lookUp(resolver: Resolver, service: string, domain: string): Promise<readonly string[]> {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(service) ?? []
  const host = bracketed ?? plain
  if (host !== undefined) return addressesOf(resolver, host, Number(port))
  const name = `_${service}._tcp.${domain}`
  const records = await none(name, () => resolver.resolveSrv(name))
  const best = Math.min(...records.map(({ priority }) => priority))
  const targets = records.filter(({ priority }) => priority === best).slice(0, maxNodes)
  const found = await Promise.all(targets.map((each) => addressesOf(resolver, each.name, each.port)))
  return [...new Set(found.flat())].slice(0, maxNodes)
}

async function addressesOf(resolver: Resolver, host: string, port: number): Promise<readonly string[]> {
  const ips = isIP(host) ? [host] : await ipsOf(resolver, host)
  return ips.map((ip) => (isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`))
}

async function ipsOf(resolver: Resolver, host: string): Promise<readonly string[]> {
  const [v4, v6] = await Promise.allSettled([
    none(host, () => resolver.resolve4(host)),
    none(host, () => resolver.resolve6(host)),
  ])
  if (v4.status === 'rejected') throw v4.reason
  if (v6.status === 'fulfilled') return [...v4.value, ...v6.value]
  // Some name servers fail when they are asked for addresses of IPv6 and have none (RFC 4074 §4).
  if (v4.value.length === 0) throw v6.reason
  return v4.value
}

/** A name that is not there has no records; a name server that is not there is an error. */
async function none<T>(name: string, resolve: () => Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await resolve()
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException
    if (code === 'ENOTFOUND' || code === 'ENODATA') return []
    const message = `cannot look up ${name}: ${code}; are the name servers right?`
    throw new ServiceError('unavailable', message, { cause: error })
  }
}
