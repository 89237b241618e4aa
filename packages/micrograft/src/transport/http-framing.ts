import type { ConnectionHandler, Message, ServiceError } from '@micrograft/contracts'
import type { FramedConnection, Framer, Framing } from './framing.js'
import type { HttpHead } from './http-head.js'
import { CanonicalNames } from './http-names.js'
import { HttpReader, type HttpReaderLimits, type HttpReaderOwner } from './http-reader.js'
import { HttpRefusal, refusalResponse } from './http-refusal.js'
import { HttpWriter } from './http-writer.js'
import { protocolError } from './protocol-error.js'

const noHeader: Message['header'] = Object.freeze({})
const requestTimeout = 408

/** Messages as HTTP/1.1 requests one way and responses the other; `http-transport.ts` says how. */
export function httpFraming(limits: HttpReaderLimits, messageTimeoutMs: number): Framing {
  const names = new CanonicalNames()
  return { messageTimeoutMs, open: (connection) => new HttpFramer(connection, limits, names) }
}

class HttpFramer implements Framer, HttpReaderOwner {
  last = false
  readonly #connection: FramedConnection
  readonly #reader: HttpReader
  readonly #writer: HttpWriter
  readonly #isServer: boolean
  #handler: ConnectionHandler | undefined
  /** The peer sends nothing more, and waits for its answers and the end. */
  #closing = false
  #sent = 0
  #refused: HttpRefusal | undefined

  constructor(connection: FramedConnection, limits: HttpReaderLimits, names: CanonicalNames) {
    const { dialled } = connection
    this.#connection = connection
    this.#isServer = dialled === undefined
    this.#reader = new HttpReader(this.#isServer ? 'request' : 'response', limits, this)
    this.#writer = new HttpWriter(dialled, names, limits.maxHeaderBytes)
  }

  get uncounted(): number {
    return this.#writer.uncounted
  }

  get unfinished(): boolean {
    return this.#reader.unfinished
  }

  get received(): number {
    return this.#reader.received
  }

  head(message: Message | undefined, bodyBytes: number): number {
    return this.#writer.head(message?.header ?? noHeader, bodyBytes, this.#isLast())
  }

  write(target: Buffer, offset: number): number {
    this.last = this.#isLast()
    this.#sent++
    return this.#writer.write(target, offset)
  }

  attach(handler: ConnectionHandler): void {
    this.#handler = handler
  }

  push(chunk: Buffer): void {
    this.#guarded(() => this.#reader.push(chunk))
  }

  end(): void {
    this.#guarded(() => this.#reader.end())
  }

  stop(): void {
    this.#reader.stop()
  }

  farewell({ code }: ServiceError): string | undefined {
    if (!this.#isServer) return undefined
    if (this.#refused) return refusalResponse(this.#refused.status, this.#refused.message)
    return code === 'timeout'
      ? refusalResponse(requestTimeout, 'the request did not come in time')
      : undefined
  }

  began({ expects, body }: HttpHead): void {
    if (expects && body !== 0 && this.#isServer) this.#connection.answer('HTTP/1.1 100 Continue\r\n\r\n')
  }

  ended(message: Message, { close }: HttpHead): void {
    if (close) {
      this.#closing = true
      this.#reader.stop()
    }
    this.#handler?.message(message)
    if (close && !this.#isServer) this.#connection.finish()
  }

  /** Whether the next message is the answer to the last request of a peer that closes. */
  #isLast(): boolean {
    return this.#closing && this.#isServer && this.#sent + 1 >= this.#reader.received
  }

  #guarded(read: () => void): void {
    try {
      read()
    } catch (error) {
      if (!(error instanceof HttpRefusal)) throw error
      this.#refused = error
      throw protocolError(error.message)
    }
  }
}
