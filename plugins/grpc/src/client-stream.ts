import { ServiceError, type CallOptions, type ClientStream, type Metadata } from '@micrograft/contracts'
import type { Exchange, ExchangeSink } from './client-exchange.js'
import { MessageQueue } from './message-queue.js'

/** A stream at the client. */
export class GrpcClientStream implements ClientStream, ExchangeSink {
  exchange: Exchange | undefined
  readonly metadata: Promise<Metadata>
  readonly messages: AsyncIterable<Uint8Array>
  readonly #queue: MessageQueue
  readonly #maxMessageBytes: number
  readonly #opened: () => void
  readonly #refused: (error: Error) => void
  #ending = false
  #known!: (metadata: Metadata) => void
  #unknown!: (error: Error) => void

  /**
   * @param opened Called when it is on its way.
   * @param refused Called where it never gets so far.
   */
  constructor(maxMessageBytes: number, opened: () => void, refused: (error: Error) => void) {
    this.#maxMessageBytes = maxMessageBytes
    this.#opened = opened
    this.#refused = refused
    this.metadata = new Promise((resolve, reject) => {
      this.#known = resolve
      this.#unknown = reject
    })
    this.metadata.catch(() => undefined)
    this.#queue = new MessageQueue({
      pause: () => this.exchange?.pause(),
      resume: () => this.exchange?.resume(),
      left: () => this.#cancel(),
    })
    this.messages = this.#queue
  }

  async send(body: Uint8Array, { signal }: CallOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    const exchange = this.exchange as Exchange
    if (exchange.over) throw exchange.error ?? endedByPeer()
    if (this.#ending) throw new ServiceError('closed', 'the stream was ended; nothing more is sent')
    if (!exchange.writable) throw endedByPeer()
    if (body.length > this.#maxMessageBytes) {
      throw new ServiceError(
        'too-large',
        `a message of ${body.length} bytes is above the limit of ${this.#maxMessageBytes}`,
      )
    }
    await new Promise<void>((resolve, reject) => {
      const aborted = () => reject(signal?.reason as Error)
      signal?.addEventListener('abort', aborted, { once: true })
      const done = (error?: Error | null) => {
        signal?.removeEventListener('abort', aborted)
        if (!error) resolve()
        else if (exchange.over && !exchange.error) resolve()
        else reject(exchange.error ?? endedByPeer(error))
      }
      if (exchange.write(body, done)) done()
    })
  }

  async end(): Promise<void> {
    this.#ending = true
    this.exchange?.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancel()
  }

  opened(): void {
    this.#opened()
  }

  headers(metadata: Metadata): void {
    if (Object.keys(metadata).length > 0) this.#known(metadata)
  }

  message(body: Buffer): void {
    this.#queue.put(body)
  }

  ended(metadata: Metadata, error: ServiceError | undefined): void {
    if (error) this.#unknown(error)
    else this.#known(metadata)
    this.#queue.end(error)
  }

  failed(error: Error): void {
    this.#refused(error)
    this.#unknown(error)
    this.#queue.fail(error)
  }

  #cancel(): void {
    this.exchange?.fail(new ServiceError('canceled', 'the stream was canceled'))
  }
}

function endedByPeer(cause?: Error): ServiceError {
  return new ServiceError('closed', 'the peer has ended the stream', { cause })
}
