import { STATUS_CODES } from 'node:http'
import type { ConnectionHandler, Message, ServiceError } from '@micrograft/contracts'
import type { FramedConnection, Framer, Framing } from '../transport/framing.js'
import type { HttpHead } from '../transport/http-head.js'
import { HttpReader, type HttpReaderLimits, type HttpReaderOwner } from '../transport/http-reader.js'
import { HttpRefusal } from '../transport/http-refusal.js'
import { protocolError } from '../transport/protocol-error.js'

/** Longest time from the first byte of a message to its last, in milliseconds. */
const messageTimeoutMs = 30_000

/** In the header of a post: what it asks for. No peer can send a field of that name. */
export const targetEntry = ':target'

/** In the header of an answer whose status is another than 200. */
export const statusEntry = ':status'

export interface PostAnswer {
  readonly status: number
  /** JSON, or nothing. */
  readonly body: string
}

/** What the accepting side does with a post. It must not throw. */
export type AnswerPost = (target: string, body: Uint8Array) => PostAnswer

/**
 * Posts and their answers as HTTP/1.1, in the order of the posts. Who dialled posts, who accepted answers
 * each as soon as it is whole.
 */
export function postFraming(limits: HttpReaderLimits, answer: AnswerPost): Framing {
  return {
    messageTimeoutMs,
    open: (connection) =>
      connection.dialled === undefined
        ? new AnsweringFramer(connection, limits, answer)
        : new PostingFramer(connection, limits),
  }
}

abstract class PostFramer implements Framer, HttpReaderOwner {
  readonly last: boolean = false
  uncounted = 0
  protected handler: ConnectionHandler | undefined
  protected readonly connection: FramedConnection
  readonly #reader: HttpReader
  #refused: HttpRefusal | undefined

  constructor(kind: 'request' | 'response', connection: FramedConnection, limits: HttpReaderLimits) {
    this.connection = connection
    this.#reader = new HttpReader(kind, limits, this)
  }

  abstract head(message: Message | undefined, bodyBytes: number): number
  abstract write(target: Buffer, offset: number): number
  abstract began(head: HttpHead): void
  abstract ended(message: Message, head: HttpHead): void

  get unfinished(): boolean {
    return this.#reader.unfinished
  }

  get received(): number {
    return this.#reader.received
  }

  attach(handler: ConnectionHandler): void {
    this.handler = handler
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
    if (this.connection.dialled !== undefined) return undefined
    if (this.#refused) return refusal(this.#refused.status, this.#refused.message)
    return code === 'timeout' ? refusal(408, 'the request did not come in time') : undefined
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

class PostingFramer extends PostFramer {
  readonly #rest: string
  #head = ''

  constructor(connection: FramedConnection, limits: HttpReaderLimits) {
    super('response', connection, limits)
    this.#rest = ` HTTP/1.1\r\nHost: ${connection.dialled}\r\nContent-Type: application/json\r\nContent-Length: `
  }

  head(message: Message | undefined, bodyBytes: number): number {
    this.#head = `POST ${message?.header[targetEntry] ?? '/'}${this.#rest}${bodyBytes}\r\n\r\n`
    return this.#head.length
  }

  write(target: Buffer, offset: number): number {
    return offset + target.write(this.#head, offset, 'latin1')
  }

  began(): void {
    // Nothing is to be said before the body.
  }

  ended(message: Message, { close }: HttpHead): void {
    if (close) this.stop()
    this.handler?.message(message)
    if (close) this.connection.finish()
  }
}

class AnsweringFramer extends PostFramer {
  readonly #answer: AnswerPost

  constructor(connection: FramedConnection, limits: HttpReaderLimits, answer: AnswerPost) {
    super('request', connection, limits)
    this.#answer = answer
  }

  /** Answers are all that goes this way. */
  head(): number {
    return 0
  }

  write(_target: Buffer, offset: number): number {
    return offset
  }

  began({ expects, body }: HttpHead): void {
    if (expects && body !== 0) this.connection.answer('HTTP/1.1 100 Continue\r\n\r\n')
  }

  ended({ body }: Message, { close, target }: HttpHead): void {
    if (close) this.stop()
    this.connection.answer(response(this.#answer(target, body), close))
    if (close) this.connection.finish()
  }
}

const taken = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'

function response({ status, body }: PostAnswer, close: boolean): string {
  if (status === 200 && body === '' && !close) return taken
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`,
    ...(close ? ['Connection: close'] : []),
    ...(status === 405 ? ['Allow: POST'] : []),
    ...(body === '' ? [] : ['Content-Type: application/json']),
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n')
}

/** Go-micro's error, behind which the connection ends. */
function refusal(code: number, detail: string): string {
  const body = JSON.stringify({ id: 'go.micro.broker', code, detail, status: STATUS_CODES[code] ?? '' })
  return response({ status: code, body }, true)
}
