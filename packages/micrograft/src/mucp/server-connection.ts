import { ServiceError, type Connection, type Message } from '@micrograft/contracts'
import { DeadlineWheel } from '../deadlines/deadline-wheel.js'
import type { ConnectionOwner, ServedConnection } from '../serve/connection-server.js'
import { Brake, type BrakeOptions } from './brake.js'
import { longIdError, maxIdLength, micro } from './headers.js'
import { LastRequest } from './last-request.js'
import { OpenRequests, type Open } from './open-requests.js'
import { ServerCalls } from './server-calls.js'
import { errorMessage, replyTo, type ReplyTo } from './server-messages.js'
import { ServerStreams } from './server-streams.js'

export interface MucpConnectionOptions extends BrakeOptions {
  readonly maxStreams: number
}

/** One connection of a client. Requests are told apart by `Micro-Stream` and `Micro-Id`. */
export class MucpServerConnection implements ServedConnection {
  readonly remote: string
  readonly #owner: ConnectionOwner
  readonly #connection: Connection
  readonly #brake: Brake
  readonly #requests: OpenRequests
  readonly #calls: ServerCalls
  readonly #streams: ServerStreams
  readonly #lastRequest: LastRequest
  #usedAt = DeadlineWheel.now()
  #closing = false
  #over = false

  constructor(connection: Connection, owner: ConnectionOwner, options: MucpConnectionOptions) {
    const { dispatcher, wheel } = owner
    const { remote } = connection
    this.remote = remote
    this.#connection = connection
    this.#owner = owner
    const brake = new Brake(connection, options)
    const requests = new OpenRequests({
      remote,
      dispatcher,
      wheel,
      finish: (open, message) => this.#finish(open, message),
      unanswerable: (error) => connection.destroy(error),
      released: (open) => (open.stream ? this.#streams.ended(open.key) : this.#calls.released(open)),
      changed: () => owner.changed(this),
    })
    const refuse = (to: ReplyTo, error: ServiceError) => this.#refuse(to, error)
    const { maxStreams } = options
    this.#brake = brake
    this.#requests = requests
    this.#calls = new ServerCalls({ requests, dispatcher, brake, refuse })
    this.#streams = new ServerStreams({ requests, dispatcher, connection, brake, maxStreams, refuse })
    this.#lastRequest = new LastRequest(
      () => this.idleSince,
      () => {
        this.#closeIfIdle()
        owner.changed(this)
      },
    )
  }

  get running(): number {
    return this.#requests.running
  }

  /** Whether it waits for a last request that may be on its way. */
  get lingers(): boolean {
    return this.#lastRequest.awaited
  }

  get over(): boolean {
    return this.#over
  }

  /** Since when nothing is under way on it; `Infinity` while something is. */
  get idleSince(): number {
    return this.#requests.size > 0 ? Infinity : this.#usedAt
  }

  message(message: Message): void {
    if (this.#over) return
    this.#usedAt = DeadlineWheel.now()
    const { header } = message
    if (header['connection'] === 'close') this.#closing = true
    const id = micro(header, 'micro-id')
    const stream = micro(header, 'micro-stream')
    if (id.length > maxIdLength || stream.length > maxIdLength) this.#refuseMessage(message, longIdError())
    else if (micro(header, 'micro-topic') !== '')
      this.#refuseMessage(
        message,
        new ServiceError('unsupported', 'events are not taken here; publish them to the broker'),
      )
    else if (stream !== '') this.#streams.message(stream, message)
    else this.#calls.message(id, message)
  }

  closed(): void {
    this.#over = true
    this.#lastRequest.stop()
    this.#calls.clear()
    this.#requests.drop(new ServiceError('canceled', `the caller ${this.remote} is gone`))
    this.#owner.changed(this)
  }

  /** Ends with the last call; one that is on its way to it is still answered, so that none is lost. */
  retire(): void {
    if (this.#closing) return
    this.#closing = true
    if (this.#requests.size === 0) this.#linger()
  }

  /** Answers what is open with `error` and aborts it, and takes nothing more. */
  abort(error: ServiceError): void {
    this.#requests.abort(error)
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  /** @throws `too-large`, `bad-request`; then it is still to be answered. */
  #finish(open: Open, { header, body }: Message): void {
    const last = this.#closing && this.#requests.size === 1 && !this.#calls.hasNext(open.key)
    this.#send({ header: last ? { ...header, connection: 'close' } : header, body })
    this.#requests.release(open)
    this.#usedAt = DeadlineWheel.now()
    // The client was told, and closes; until then a request may be on its way.
    if (last) this.#linger()
  }

  #refuseMessage({ header }: Message, error: ServiceError): void {
    this.#refuse({ ...replyTo(header), id: '' }, error)
  }

  #refuse(to: ReplyTo, error: ServiceError): void {
    this.#send(errorMessage(to, error))
    this.#closeIfIdle()
  }

  /** @throws `too-large`, `bad-request` */
  #send(message: Message): void {
    if (this.#over) return
    try {
      if (!this.#connection.send(message)) void this.#brake.congested()
    } catch (error) {
      // The connection has ended, which `closed` tells.
      if (!(error instanceof ServiceError) || error.code !== 'closed') throw error
    }
  }

  /** Waits a while for a request that is on its way, or for the client's end, and then closes. */
  #linger(): void {
    if (!this.#over) this.#lastRequest.await()
  }

  #closeIfIdle(): void {
    if (!this.#closing || this.#over || this.#requests.size > 0) return
    this.#lastRequest.stop()
    void this.#connection.close()
  }
}
