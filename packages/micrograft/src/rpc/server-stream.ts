import type { ServerStream, ServiceError } from '@micrograft/contracts'
import { protocolError } from '../transport/protocol-error.js'
import { windowFrame } from './frame-writer.js'
import { StreamSender, type StreamSenderOptions } from './stream-sender.js'
import { endedError, ReceiveQueue, type WindowSize } from './stream-window.js'

/** A stream at the server, as its handler has it. */
export class IncomingStream implements ServerStream {
  readonly messages: ReceiveQueue
  readonly #sender: StreamSender
  #peerEnded = false
  #ended = false

  /** @param window What the client may send before it is given more. */
  constructor(options: StreamSenderOptions, window: WindowSize) {
    this.#sender = new StreamSender(options)
    this.messages = new ReceiveQueue({
      windowBytes: window.windowBytes,
      windowMessages: window.windowMessages,
      grant: (bytes, messages) => {
        if (!this.#ended && !this.#peerEnded) options.outbox.send(windowFrame(options.slot, bytes, messages))
      },
      left: () => undefined,
    })
  }

  send(body: Uint8Array): Promise<void> {
    return this.#sender.send(body)
  }

  /** Resolves when what the handler sent has gone out. */
  settled(): Promise<void> {
    return this.#sender.settled()
  }

  /** @throws `protocol` */
  data(body: Uint8Array): void {
    if (this.#peerEnded) throw protocolError('a stream sends after its end')
    this.messages.push(body)
  }

  grant(bytes: number, messages: number): void {
    this.#sender.window.grant(bytes, messages)
  }

  /** @throws `protocol` */
  peerEnd(): void {
    if (this.#peerEnded) throw protocolError('a stream ends twice')
    this.#peerEnded = true
    this.messages.end()
  }

  /** The handler has ended, or `error` ends the stream. */
  finish(error?: ServiceError): void {
    if (this.#ended) return
    this.#ended = true
    this.#sender.window.fail(error ?? endedError())
    this.messages.fail(error ?? endedError(), true)
  }
}
