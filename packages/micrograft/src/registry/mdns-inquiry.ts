import { timerMs } from '@micrograft/contracts'
import type { NodeRecord } from '@micrograft/plugin-kit'
import type { DnsMessage } from './dns-message.js'
import type { MdnsMessages } from './mdns-messages.js'
import { entriesOf, listedServices, listing, serviceName } from './mdns-records.js'

const maxServices = 1000

export interface MdnsInquiryOptions {
  readonly messages: MdnsMessages
  readonly domain: string
  /** How long answers are waited for, in milliseconds; while they still come in, up to thirty times as long. */
  readonly timeoutMs: number
  readonly maxNodes: number
  readonly closing: AbortSignal
}

/** Asks the network, and gathers what it answers in time. */
export class MdnsInquiry {
  readonly #options: MdnsInquiryOptions
  /** Those who wait for answers. */
  readonly #listeners = new Set<(message: DnsMessage) => void>()

  constructor(options: MdnsInquiryOptions) {
    this.#options = options
  }

  /** The nodes of a service that others answer for, by their ids. */
  async nodes(name: string, signal: AbortSignal | undefined): Promise<Map<string, NodeRecord>> {
    const { domain, maxNodes } = this.#options
    const found = new Map<string, NodeRecord>()
    await this.#collect(name, signal, (message) => {
      for (const { record, ttl } of entriesOf(message, domain)) {
        if (record.name !== name) continue
        if (ttl === 0) found.delete(record.nodes[0].id)
        else if (found.size < maxNodes) found.set(record.nodes[0].id, record)
      }
    })
    return found
  }

  /** The names of services that others answer for. */
  async services(signal: AbortSignal | undefined): Promise<Set<string>> {
    const names = new Set<string>()
    await this.#collect(listing, signal, (message) => {
      for (const each of listedServices(message, this.#options.domain))
        if (names.size < maxServices) names.add(each)
    })
    return names
  }

  /** Asks for the nodes of a service, and does not wait for answers. */
  ask(service: string): Promise<void> {
    return this.#options.messages.ask(serviceName(service, this.#options.domain))
  }

  hear(message: DnsMessage): void {
    for (const listener of this.#listeners) listener(message)
  }

  /** Asks, and hands over what is heard until the time is over and answers have stopped coming. */
  async #collect(
    name: string,
    signal: AbortSignal | undefined,
    listener: (message: DnsMessage) => void,
  ): Promise<void> {
    const { timeoutMs, domain, closing } = this.#options
    const signals = [closing, ...(signal ? [signal] : [])]
    let heard = false
    const listen = (message: DnsMessage): void => {
      if (message.questions[0]?.name === serviceName(name, domain)) heard = true
      listener(message)
    }
    this.#listeners.add(listen)
    try {
      await this.ask(name)
      await turns(timeoutMs / 2, signals)
      // A datagram may be lost.
      if (!heard) await this.ask(name)
      await turns(timeoutMs / 2, signals)
      const last = performance.now() + timeoutMs * 29
      while (heard && performance.now() < last) {
        heard = false
        await turns(timeoutMs / 2, signals)
      }
      closing.throwIfAborted()
    } finally {
      this.#listeners.delete(listen)
    }
  }
}

/** Waits, and then until what came in while this process was busy has been read; or until a signal is aborted. */
async function turns(ms: number, signals: readonly AbortSignal[]): Promise<void> {
  let end = (): void => undefined
  const over = new Promise<void>((resolve) => (end = resolve))
  const timer = setTimeout(() => setImmediate(end), timerMs(ms))
  for (const each of signals) each.addEventListener('abort', end)
  for (const each of signals) if (each.aborted) end()
  await over
  clearTimeout(timer)
  for (const each of signals) {
    each.removeEventListener('abort', end)
    each.throwIfAborted()
  }
}
