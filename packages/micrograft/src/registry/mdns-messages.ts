import type { RemoteInfo } from 'node:dgram'
import { randomInt } from 'node:crypto'
import {
  decodeDnsMessage,
  dnsTypes,
  encodeDnsMessage,
  type DnsMessage,
  type DnsQuestion,
  type DnsRecord,
} from './dns-message.js'
import { MdnsSockets, type MdnsPlace } from './mdns-sockets.js'

const response = 0x8000
const authoritative = 0x0400
/** Opcode and response code: whoever sets them wants something else. */
const foreign = 0x780f
const unicastWanted = 0x8000

export interface MdnsMessagesOptions {
  readonly place: MdnsPlace
  /** Aborted when no sockets are to be opened any more. */
  readonly closing: AbortSignal
  readonly asked: (message: DnsMessage, from: RemoteInfo) => void
  readonly told: (message: DnsMessage) => void
}

/** The DNS messages of one registry, on sockets that are opened when they are first needed. What is no message is passed over. */
export class MdnsMessages {
  readonly #options: MdnsMessagesOptions
  #opening: Promise<MdnsSockets> | undefined
  #sockets: MdnsSockets | undefined

  constructor(options: MdnsMessagesOptions) {
    this.#options = options
  }

  /** From here on it is heard what others say. @throws `unavailable`, and why `closing` was aborted. */
  async open(): Promise<MdnsSockets> {
    const { place, closing } = this.#options
    this.#opening ??= MdnsSockets.open(place, (bytes, from) => this.#hear(bytes, from))
    try {
      this.#sockets = await this.#opening
    } catch (error) {
      this.#opening = undefined
      throw error
    }
    closing.throwIfAborted()
    return this.#sockets
  }

  /** Resolves when the sockets are there, or are not to be had, where they are being opened. */
  async opened(): Promise<void> {
    if (!this.#sockets) await this.#opening?.catch(() => undefined)
  }

  /** Asks for a name. One that DNS cannot write has no node, and nobody is asked. */
  async ask(name: string): Promise<void> {
    const sockets = await this.open()
    const question = { name, type: dnsTypes.PTR, class: 1 }
    let bytes: Buffer
    try {
      bytes = encodeDnsMessage({ id: randomInt(65_536), flags: 0, questions: [question], answers: [] }, false)
    } catch {
      return
    }
    await sockets.ask(bytes)
  }

  /** Tells what nobody asked for. */
  async tell(answers: readonly DnsRecord[]): Promise<void> {
    await this.#sockets?.tell(encodeDnsMessage({ id: 0, flags: response, questions: [], answers }, false))
  }

  /** Answers one question of a message, and says it again: Go's client passes over answers without. */
  answer(id: number, question: DnsQuestion, answers: readonly DnsRecord[], to: RemoteInfo): void {
    const unicast = (question.class & unicastWanted) !== 0
    const message = { id: unicast ? id : 0, flags: response | authoritative, questions: [question], answers }
    this.#sockets?.answer(encodeDnsMessage(message, true), to)
  }

  close(): void {
    this.#sockets?.close()
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
    if ((message.flags & response) === 0) this.#options.asked(message, from)
    else this.#options.told(message)
  }
}
