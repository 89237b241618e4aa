import {
  ServiceError,
  type CallOptions,
  type ClientRequest,
  type ClientStream,
  type Metadata,
} from '@micrograft/contracts'
import { protocolError } from '../transport/protocol-error.js'
import type { ClientConnection } from './client-connection.js'
import { Exchange, type ExchangeOwner } from './client-exchange.js'
import { FrameType } from './frame.js'
import type { FrameReader } from './frame-reader.js'
import { callHead, endFrame, windowFrame, type Scratch, type WireTarget } from './frame-writer.js'
import { StreamSender } from './stream-sender.js'
import { endedError, ReceiveQueue, type WindowSize } from './stream-window.js'

const noBody = new Uint8Array(0)

export interface StreamOpening {
  readonly request: ClientRequest
  readonly owner: ExchangeOwner
  /** What the server may send before it is given more. */
  readonly window: WindowSize
  readonly opened: () => void
  readonly refused: (error: unknown) => void
}

/** A stream at the client. */
export class StreamExchange extends Exchange implements ClientStream {
  readonly messages: ReceiveQueue
  readonly metadata: Promise<Metadata>
  readonly #opening: StreamOpening
  #sender: StreamSender | undefined
  #endSent = false
  #resolveMetadata!: (metadata: Metadata) => void
  #rejectMetadata!: (error: unknown) => void

  constructor(opening: StreamOpening) {
    super(opening.request, opening.owner)
    this.#opening = opening
    this.metadata = new Promise((resolve, reject) => {
      this.#resolveMetadata = resolve
      this.#rejectMetadata = reject
    })
    // Most callers never look at it.
    this.metadata.catch(() => undefined)
    this.messages = new ReceiveQueue({
      ...opening.window,
      grant: (bytes, messages) => {
        if (!this.ended) this.connection?.outbox.send(windowFrame(this.slot, bytes, messages))
      },
      left: () => this.cancel(new ServiceError('canceled', 'the stream was left before its end'), 'canceled'),
    })
  }

  override get body(): Uint8Array {
    return noBody
  }

  override writeHead(scratch: Scratch, slot: number, timeoutMs: number, target: WireTarget): number {
    return callHead(scratch, FrameType.open, slot, timeoutMs, target, this.request.metadata)
  }

  override started({ outbox, peer }: ClientConnection): void {
    this.#sender = new StreamSender({
      outbox,
      slot: this.slot,
      window: peer,
      maxFrameBytes: peer.maxFrameBytes,
    })
    this.#opening.opened()
  }

  async send(body: Uint8Array, { signal }: CallOptions = {}): Promise<void> {
    if (this.#endSent) throw endedError()
    await this.#sender?.send(body, signal)
  }

  async end(): Promise<void> {
    if (this.#endSent) return
    this.#endSent = true
    await this.#sender?.settled()
    if (!this.ended) this.connection?.outbox.send(endFrame(this.slot))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cancel(new ServiceError('canceled', 'the stream was disposed'), 'canceled')
    this.messages.fail(endedError(), true)
  }

  override take(type: number, reader: FrameReader): boolean {
    switch (type) {
      case FrameType.data:
        if (!this.ended) this.messages.push(reader.rest())
        return false
      case FrameType.window:
        this.#grant(reader)
        return false
      case FrameType.end:
        if (!this.ended) this.#peerEnded(reader)
        return true
      default:
        throw protocolError('a stream was answered as a call is')
    }
  }

  #grant(reader: FrameReader): void {
    const bytes = reader.varint()
    const messages = reader.varint()
    reader.done()
    if (!this.ended) this.#sender?.window.grant(bytes, messages)
  }

  #peerEnded(reader: FrameReader): void {
    const metadata = reader.metadata()
    reader.done()
    this.finish()
    this.#resolveMetadata(metadata)
    this.messages.end()
    this.#sender?.window.fail(endedError())
  }

  protected override fail(error: unknown, now: boolean): void {
    if (this.#sender) {
      this.#sender.window.fail(error)
      this.messages.fail(error, now)
    } else {
      this.#opening.refused(error)
    }
    this.#rejectMetadata(error)
  }
}
