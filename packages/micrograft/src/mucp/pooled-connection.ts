import {
  ServiceError,
  type Connection,
  type ConnectionHandler,
  type DialOptions,
  type Message,
  type Transport,
} from '@micrograft/contracts'
import { DeadlineWheel } from '../deadlines/deadline-wheel.js'
import { protocolError } from '../transport/protocol-error.js'
import type { CallPlace, ClientCall } from './client-call.js'
import {
  outgoing,
  readIncoming,
  repeatsRequest,
  requestMessage,
  type Incoming,
  type Outgoing,
} from './client-messages.js'
import type { Header } from './headers.js'

/**
 * How long a connection rests after a reply of a server that cannot tell its calls apart. Such a server
 * forgets a call only after it has answered, and drops one that comes before (go-micro 4.10 and later,
 * `util/socket.Pool`): without the rest 1 to 4 of 30,000 calls in a row to 4.11 and 5.5 got no answer.
 */
const restMs = 20

export interface PooledConnectionOwner {
  /** Who calls, for `Micro-From-Service`. */
  readonly from: string
  nextId(): string
  /** It has no call and can take one. */
  free(connection: PooledConnection): void
  /** It takes no more calls; told once. */
  gone(connection: PooledConnection): void
  /** The transport has let go of it; told once. */
  over(connection: PooledConnection): void
}

interface Active {
  readonly call: ClientCall
  readonly sent: Outgoing
}

/**
 * One connection with one call at a time: servers of go-micro 4.10 and later take two for one, as they
 * do not see `Micro-Id` over HTTP.
 */
export class PooledConnection implements ConnectionHandler, CallPlace {
  readonly createdAt: number = DeadlineWheel.now()
  /** Since when it has no call. */
  idleSince: number = DeadlineWheel.now()
  readonly #owner: PooledConnectionOwner
  #connection: Connection | undefined
  #active: Active | undefined
  #first: Header | undefined
  /** It ends once its call has. */
  #retired = false
  #gone = false
  /** The server has repeated an id, so it tells calls apart. */
  #seesIds = false
  #resting: NodeJS.Timeout | undefined
  #error: ServiceError | undefined

  private constructor(owner: PooledConnectionOwner) {
    this.#owner = owner
  }

  /** @throws `unavailable`, the signal's reason */
  static async dial(
    transport: Transport,
    address: string,
    owner: PooledConnectionOwner,
    options: DialOptions,
  ): Promise<PooledConnection> {
    const pooled = new PooledConnection(owner)
    const connection = await transport.dial(address, pooled, options)
    pooled.#connection = connection
    if (pooled.#gone) connection.destroy()
    else if (pooled.#retired) pooled.close()
    return pooled
  }

  /** Whether it was asked to move, and lost nothing by it. */
  get moved(): boolean {
    return this.#retired && this.#error === undefined
  }

  get usable(): boolean {
    return !this.#gone && !this.#retired
  }

  /** Why it is of no use. */
  get error(): ServiceError {
    return this.#error ?? new ServiceError('unavailable', `${this.#remote} closed the connection at once`)
  }

  /** Sends `call`, or fails it; `unsent` where the connection has ended and another may take it. */
  start(call: ClientCall): 'started' | 'failed' | 'unsent' {
    const sent = outgoing(call.request, {
      id: this.#owner.nextId(),
      from: this.#owner.from,
      timeoutMs: call.pending.leftMs,
      legacy: call.legacy,
      stream: false,
    })
    try {
      this.#connection?.send(requestMessage(sent, call.request.body))
    } catch (error) {
      if (error instanceof ServiceError && error.code === 'closed') {
        this.destroy()
        return 'unsent'
      }
      call.failed(error)
      return 'failed'
    }
    this.#first ??= sent.header
    this.#active = { call, sent }
    call.place = this
    return 'started'
  }

  message(message: Message): void {
    if (this.#gone) return
    const active = this.#active
    let incoming: Incoming
    try {
      if (!active) throw protocolError(`${this.#remote} sent a reply to no call`)
      incoming = readIncoming(message, active.sent, this.#first as Header)
      if (incoming.ended) throw protocolError(`${this.#remote} ended a call as if it were a stream`)
    } catch (error) {
      this.destroy(error as ServiceError)
      return
    }
    this.#active = undefined
    const { call } = active
    call.place = undefined
    this.idleSince = DeadlineWheel.now()
    this.#seesIds ||= tellsCallsApart(message, active.sent)
    if (this.#retired || message.header['connection'] === 'close') this.close()
    // A transport that was told to close with this message has done so by then.
    else if (this.#seesIds) queueMicrotask(() => this.#owner.free(this))
    else this.#resting = setTimeout(() => this.#owner.free(this), restMs).unref()
    if (incoming.error) call.failed(incoming.error)
    else call.done({ metadata: incoming.metadata, contentType: incoming.contentType, body: incoming.body })
  }

  /** Nothing on the wire says that a caller gave up but the end of the connection. */
  abandon(): void {
    this.#active = undefined
    this.destroy()
  }

  retire(): void {
    this.#retired = true
    if (!this.#active) this.close()
  }

  closed(error: ServiceError | undefined): void {
    this.#fail(this.#lost(error))
    this.#owner.over(this)
  }

  /** Ends it; it has no call. */
  close(): void {
    this.#leave()
    void this.#connection?.close()
  }

  /** Ends it at once; a call that is under way fails with `error`. */
  destroy(error?: ServiceError): void {
    this.#fail(error ?? this.#lost(undefined))
    this.#connection?.destroy(error)
  }

  get #remote(): string {
    return this.#connection?.remote ?? 'the server'
  }

  #fail(error: ServiceError): void {
    this.#error ??= error
    this.#leave()
    const active = this.#active
    this.#active = undefined
    active?.call.failed(error)
  }

  #leave(): void {
    if (this.#gone) return
    this.#gone = true
    clearTimeout(this.#resting)
    this.#owner.gone(this)
  }

  #lost(cause: unknown): ServiceError {
    if (cause instanceof ServiceError && (cause.code === 'protocol' || cause.code === 'unavailable'))
      return cause
    return new ServiceError('unavailable', `the connection to ${this.#remote} ended before the answer`, {
      cause,
    })
  }
}

/** Whether a reply shows that its server has seen the id of the call, other than in an envelope: there all see it. */
function tellsCallsApart(message: Message, { envelope }: Outgoing): boolean {
  return !repeatsRequest(message) || (envelope === undefined && message.header['x-micro-id'] !== undefined)
}
