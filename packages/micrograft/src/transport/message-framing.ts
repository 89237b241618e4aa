import type { ConnectionHandler, Message } from '@micrograft/contracts'
import { takesRanges } from './bare-messages.js'
import type { Framer, Framing } from './framing.js'
import { headerBytes, MessageReader, prefixBytes, writeBareHead, writeHead } from './message-frame.js'
import { protocolError } from './protocol-error.js'

const bareHeadBytes = prefixBytes + 1

/** The project's own framing, `docs/wire.md`: a length, the header, the body. */
export function messageFraming(maxMessageBytes: number): Framing {
  return { open: () => new MessageFramer(maxMessageBytes) }
}

class MessageFramer implements Framer {
  /** The prefix, and the number of entries: a body of the limit with no header passes. */
  readonly uncounted = bareHeadBytes
  readonly last = false
  readonly received = 0
  readonly #maxMessageBytes: number
  #reader: MessageReader | undefined

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes
  }

  head(message: Message | undefined): number {
    return message === undefined ? bareHeadBytes : prefixBytes + headerBytes(message.header)
  }

  write(
    target: Buffer,
    offset: number,
    message: Message | undefined,
    headBytes: number,
    bodyBytes: number,
  ): number {
    return message === undefined
      ? writeBareHead(target, offset, bodyBytes)
      : writeHead(target, offset, message, headBytes - prefixBytes)
  }

  attach(handler: ConnectionHandler): void {
    this.#reader = new MessageReader(
      this.#maxMessageBytes,
      (message) => handler.message(message),
      takesRanges(handler) ? (bytes, start, end) => handler.range(bytes, start, end) : undefined,
    )
  }

  get unfinished(): boolean {
    return this.#reader?.unfinished === true
  }

  push(chunk: Buffer): void {
    this.#reader?.push(chunk)
  }

  end(): void {
    if (this.unfinished) throw protocolError('the peer ended the connection inside a message')
  }

  stop(): void {
    this.#reader?.stop()
  }

  farewell(): undefined {
    return undefined
  }
}
