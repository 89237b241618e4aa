import type { Message, ServerStream, ServiceError } from '@micrograft/contracts'
import type { StreamInbox } from './stream-inbox.js'
import { endedError, type StreamOutbox } from './stream-outbox.js'

/** A stream at the server, as its handler has it. */
export class MucpServerStream implements ServerStream {
  readonly messages: StreamInbox
  readonly #outbox: StreamOutbox
  readonly #wrap: (body: Uint8Array) => Message

  /** @param wrap Makes the message that a body goes in. */
  constructor(inbox: StreamInbox, outbox: StreamOutbox, wrap: (body: Uint8Array) => Message) {
    this.messages = inbox
    this.#outbox = outbox
    this.#wrap = wrap
  }

  send(body: Uint8Array): Promise<void> {
    return this.#outbox.send(this.#wrap(body))
  }

  /** Resolves when what the handler sent has gone out. */
  settled(): Promise<void> {
    return this.#outbox.settled()
  }

  /** The handler has ended, or `error` ends the stream. */
  finish(error: ServiceError = endedError()): void {
    this.#outbox.fail(error)
    this.messages.fail(error, true)
  }
}
