import {
  ServiceError,
  type CallOptions,
  type ClientRequest,
  type ClientStream,
  type Connection,
  type ConnectionHandler,
  type Message,
  type Metadata,
} from '@micrograft/contracts'
import { outgoing, readIncoming, requestMessage, type Incoming, type Outgoing } from './client-messages.js'
import { endOfStream } from './headers.js'
import type { Pending } from './pending.js'
import { StreamInbox } from './stream-inbox.js'
import { endedError, StreamOutbox } from './stream-outbox.js'

const noBody = new Uint8Array(0)

export interface MucpStreamOptions {
  readonly request: ClientRequest
  readonly id: string
  readonly from: string
  readonly legacy: boolean
  readonly opened: () => void
  readonly refused: (error: unknown) => void
  /** The stream has ended, whichever way; told once. */
  readonly ended: () => void
  /** The transport has let go of its connection. */
  readonly over: () => void
}

/** A stream at the client, on a connection of its own. */
export class MucpStream implements ClientStream, ConnectionHandler {
  readonly messages: StreamInbox
  readonly metadata: Promise<Metadata>
  pending!: Pending
  readonly #options: MucpStreamOptions
  #connection: Connection | undefined
  #outbox: StreamOutbox | undefined
  #sent: Outgoing | undefined
  #ended = false
  #endSent = false
  #resolveMetadata!: (metadata: Metadata) => void
  #rejectMetadata!: (error: unknown) => void

  constructor(options: MucpStreamOptions) {
    this.#options = options
    this.metadata = new Promise((resolve, reject) => {
      this.#resolveMetadata = resolve
      this.#rejectMetadata = reject
    })
    // Most callers never look at it.
    this.metadata.catch(() => undefined)
    this.messages = new StreamInbox({
      full: (full) => {
        if (full) this.#connection?.pause()
        else this.#connection?.resume()
      },
      left: () => this.cancel(new ServiceError('canceled', 'the stream was left before its end')),
    })
  }

  /** Sends what opens it: a server of go-micro throws the body of that away. */
  open(connection: Connection): void {
    this.#connection = connection
    if (this.#ended) {
      connection.destroy()
      return
    }
    const { request, id, from, legacy } = this.#options
    this.#sent = outgoing(request, { id, from, legacy, timeoutMs: this.pending.leftMs, stream: true })
    this.#outbox = new StreamOutbox(connection)
    try {
      connection.send(requestMessage(this.#sent, noBody))
    } catch (error) {
      this.fail(error)
      return
    }
    this.#options.opened()
  }

  async send(body: Uint8Array, { signal }: CallOptions = {}): Promise<void> {
    if (this.#endSent) throw endedError()
    await this.#outbox?.send(requestMessage(this.#sent as Outgoing, body), signal)
  }

  async end(): Promise<void> {
    if (this.#endSent) return
    this.#endSent = true
    if (this.#ended) return
    const { header } = this.#sent as Outgoing
    const last: Message = { header: { ...header, 'micro-error': endOfStream }, body: noBody }
    // Where it cannot be sent the stream has failed, which `messages` tells.
    await this.#outbox?.send(last).catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cancel(new ServiceError('canceled', 'the stream was disposed'))
    this.messages.fail(endedError(), true)
  }

  message(message: Message): void {
    if (this.#ended || !this.#sent) return
    let incoming: Incoming
    try {
      incoming = readIncoming(message, this.#sent, this.#sent.header)
    } catch (error) {
      this.#settle(error, false)
      this.#connection?.destroy(error as ServiceError)
      return
    }
    if (incoming.error) {
      this.fail(incoming.error)
      return
    }
    if (incoming.ended || Object.keys(incoming.metadata).length > 0) this.#resolveMetadata(incoming.metadata)
    if (incoming.ended) this.#peerEnded()
    else this.messages.push(incoming.body)
  }

  closed(error: ServiceError | undefined): void {
    const known = error?.code === 'protocol' || error?.code === 'unavailable' ? error : undefined
    this.#settle(
      known ??
        new ServiceError('unavailable', 'the connection ended before the stream did', { cause: error }),
      false,
    )
    this.#options.over()
  }

  /** Ends it from this side: the end of its connection is all that tells the handler. */
  cancel(reason: unknown): void {
    if (this.#ended) return
    this.#settle(reason, true)
    // What was sent goes before it, so that the handler is told, and is not missing.
    void this.#connection?.close()
  }

  /** Ends it and its connection at once. */
  destroy(error: ServiceError): void {
    this.#settle(error, true)
    this.#connection?.destroy(error)
  }

  /** Ends it with what the server answered, or what it could not be opened for; what came before is read first. */
  fail(error: unknown): void {
    if (this.#ended) return
    this.#settle(error, false)
    void this.#connection?.close()
  }

  #peerEnded(): void {
    this.#ended = true
    this.pending.settle()
    this.messages.end()
    this.#outbox?.fail(endedError())
    this.#options.ended()
    void this.#connection?.close()
  }

  #settle(error: unknown, now: boolean): void {
    if (this.#ended) return
    this.#ended = true
    this.pending.settle()
    if (this.#outbox) {
      this.#outbox.fail(error)
      this.messages.fail(error, now)
    } else {
      this.#options.refused(error)
    }
    this.#rejectMetadata(error)
    this.#options.ended()
  }
}
