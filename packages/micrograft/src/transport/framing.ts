import type { ConnectionHandler, Message, ServiceError } from '@micrograft/contracts'

/** What a framer asks of the connection that it is part of. */
export interface FramedConnection {
  /** The address that was dialled; `undefined` where the connection was accepted. */
  readonly dialled: string | undefined
  /** Sends `text`, behind what is queued, outside of any message. */
  answer(text: string): void
  /** Says that the peer wants no more: what is queued is sent and the connection ended. */
  finish(): void
}

/** How messages lie in the bytes of one connection. What it is given to read it may hand over as views. */
export interface Framer {
  /**
   * How many bytes go before a body of `bodyBytes`; `write` of the same message must follow, or nothing.
   * @param message `undefined` has no header.
   * @throws `bad-request` for a header that it cannot carry, `too-large`.
   */
  head(message: Message | undefined, bodyBytes: number): number
  /** How many of the bytes that `head` just gave no limit counts. */
  readonly uncounted: number
  /** Writes these bytes, and gives the offset behind them. */
  write(
    target: Buffer,
    offset: number,
    message: Message | undefined,
    headBytes: number,
    bodyBytes: number,
  ): number
  /** Whether what was just written was the last message that the peer takes. */
  readonly last: boolean

  /** Says whom messages are for; before that nothing is read. */
  attach(handler: ConnectionHandler): void
  /** Whether part of a message waits for the rest. */
  readonly unfinished: boolean
  /** How many messages have come; only where messages have a time limit. */
  readonly received: number
  /** @throws `protocol`, after which only `farewell` may be called. */
  push(chunk: Buffer): void
  /** Says that nothing more comes. @throws `protocol` inside a message. */
  end(): void
  /** Hands over nothing more, also of the chunk that is being read. */
  stop(): void
  /** What a peer that cost the connection is told, where the protocol can. */
  farewell(error: ServiceError): string | undefined
}

export interface Framing {
  open(connection: FramedConnection): Framer
  /** Longest time from the first byte of a message to its last, in milliseconds. @default for ever */
  readonly messageTimeoutMs?: number | undefined
}
