import {
  ServiceError,
  type Connection,
  type ConnectionHandler,
  type Dispatcher,
  type ErrorCode,
  type Message,
  type Metadata,
  type ServerReply,
} from '@micrograft/contracts'
import { DeadlineWheel } from '../deadlines/deadline-wheel.js'
import { IncomingRequest, type RequestOwner } from '../rpc/server-request.js'
import { Brake, type BrakeOptions } from './brake.js'
import { endOfStream, micro } from './headers.js'
import { readError } from './mucp-error.js'
import {
  errorMessage,
  replyMessage,
  replyTo,
  streamEnd,
  streamHeader,
  streamMessage,
  understand,
  type ReplyTo,
  type Understood,
} from './server-messages.js'
import { MucpServerStream } from './server-stream.js'
import { StreamInbox } from './stream-inbox.js'
import { StreamOutbox } from './stream-outbox.js'

/** How long a connection that is to end waits for a request that is under way to it. */
const lastRequestMs = 250
/** Streams that have ended and whose late messages are known as such. */
const maxEnded = 256
const maxIdLength = 256

export interface MucpConnectionOptions extends BrakeOptions {
  readonly maxStreams: number
}

/** What the connections of one server share. */
export interface MucpConnectionOwner {
  readonly dispatcher: Dispatcher
  readonly options: MucpConnectionOptions
  readonly wheel: DeadlineWheel
  /** A handler has ended, or the connection has. */
  changed(connection: MucpServerConnection): void
}

interface Open {
  readonly request: IncomingRequest
  readonly replyTo: ReplyTo
  /** Of its body, while it counts as a call that waits. */
  readonly bytes: number
  /** Whose turn it is by `Micro-Id`, or the stream's id. */
  readonly key: string
  readonly stream: MucpServerStream | undefined
}

/** One connection of a client. Requests are told apart by `Micro-Stream` and `Micro-Id`. */
export class MucpServerConnection implements ConnectionHandler, RequestOwner {
  readonly remote: string
  readonly #owner: MucpConnectionOwner
  readonly #connection: Connection
  readonly #brake: Brake
  readonly #open = new Map<IncomingRequest, Open>()
  readonly #streams = new Map<string, Open>()
  /** Calls behind one with the same id, which are answered in order. */
  readonly #behind = new Map<string, Message[]>()
  readonly #ended = new Set<string>()
  /** Handlers that have not ended, also where nobody waits for them any longer. */
  #running = 0
  #usedAt = DeadlineWheel.now()
  #aborted = false
  #closing = false
  #over = false
  #lastRequest: NodeJS.Timeout | undefined
  #lastRead: NodeJS.Immediate | undefined

  constructor(connection: Connection, owner: MucpConnectionOwner) {
    this.remote = connection.remote
    this.#connection = connection
    this.#owner = owner
    this.#brake = new Brake(connection, owner.options)
  }

  get running(): number {
    return this.#running
  }

  /** Whether it waits for a last request that may be on its way. */
  get lingers(): boolean {
    return this.#lastRequest !== undefined
  }

  get over(): boolean {
    return this.#over
  }

  /** Since when nothing is under way on it; `Infinity` while something is. */
  get idleSince(): number {
    return this.#open.size > 0 ? Infinity : this.#usedAt
  }

  message(message: Message): void {
    if (this.#over) return
    this.#usedAt = DeadlineWheel.now()
    const { header } = message
    if (header['connection'] === 'close') this.#closing = true
    const id = micro(header, 'micro-id')
    const stream = micro(header, 'micro-stream')
    if (id.length > maxIdLength || stream.length > maxIdLength)
      this.#refuse(message, new ServiceError('bad-request', `an id has more than ${maxIdLength} characters`))
    else if (micro(header, 'micro-topic') !== '')
      this.#refuse(
        message,
        new ServiceError('unsupported', 'events are not taken here; publish them to the broker'),
      )
    else if (stream !== '') this.#streamMessage(stream, message)
    else this.#callMessage(id, message)
  }

  closed(): void {
    this.#over = true
    this.#stopLingering()
    this.#behind.clear()
    const error = new ServiceError('canceled', `the caller ${this.remote} is gone`)
    for (const open of this.#open.values()) {
      this.#release(open)
      open.request.abort(error)
      open.stream?.finish(error)
    }
    this.#owner.changed(this)
  }

  /** Ends with the last call; one that is on its way to it is still answered, so that none is lost. */
  retire(): void {
    if (this.#closing) return
    this.#closing = true
    if (this.#open.size === 0) this.#linger()
  }

  expired(request: IncomingRequest): void {
    const error = new ServiceError('timeout', `${request.endpoint} did not end within the caller's deadline`)
    request.abort(error)
    const open = this.#open.get(request)
    if (open) this.#fail(open, error)
  }

  /** Answers what is open with `error` and aborts it, and takes nothing more. */
  abort(error: ServiceError): void {
    this.#aborted = true
    for (const open of this.#open.values()) {
      open.request.abort(error)
      this.#fail(open, error)
    }
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  #callMessage(key: string, message: Message): void {
    this.#brake.callTaken(message.body.length)
    const behind = this.#behind.get(key)
    if (behind) behind.push(message)
    else this.#call(key, message)
  }

  #call(key: string, message: Message): void {
    const bytes = message.body.length
    const to = replyTo(message.header)
    try {
      const understood = understand(message, to)
      const open = this.#begin(understood, 'unary', { key, bytes, stream: undefined })
      this.#behind.set(key, [])
      let reply: Promise<ServerReply>
      try {
        reply = this.#owner.dispatcher.unary(open.request, understood.body)
      } catch (error) {
        reply = Promise.reject(error as Error)
      }
      reply.then(
        (reply) => this.#answered(open, () => replyMessage(open.replyTo, reply)),
        (error: unknown) => this.#failed(open, error),
      )
    } catch (error) {
      this.#brake.callDone(bytes)
      this.#send(errorMessage(to, ServiceError.from(error)))
      this.#closeIfIdle()
    }
  }

  #streamMessage(key: string, message: Message): void {
    const { header } = message
    const error = micro(header, 'micro-error')
    const open = this.#streams.get(key)
    if (open) {
      this.#onStream(open, message, error)
      return
    }
    // Late messages of a stream that has ended, and the end of one that is not known, are for nobody.
    if (this.#ended.has(key) || error === endOfStream) return
    const to = replyTo(header)
    try {
      this.#openStream(key, understand(message, to))
    } catch (error) {
      this.#streamDone(key)
      this.#send(errorMessage(to, ServiceError.from(error)))
      this.#closeIfIdle()
    }
  }

  /** The body of the first message is thrown away: go-micro's clients send one that means nothing. */
  #openStream(key: string, understood: Understood): void {
    const { maxStreams } = this.#owner.options
    if (this.#streams.size >= maxStreams)
      throw new ServiceError('overloaded', `the connection has ${maxStreams} streams already`)
    const to = understood.replyTo
    const header = streamHeader(to, key, understood)
    const inbox = new StreamInbox({
      full: (full) => (full ? this.#brake.hold() : this.#brake.release()),
      left: () => undefined,
    })
    const stream = new MucpServerStream(inbox, new StreamOutbox(this.#connection), (body) =>
      streamMessage(to, header, body),
    )
    const open = this.#begin(understood, 'stream', { key, bytes: 0, stream })
    this.#streams.set(key, open)
    void this.#serve(open, stream)
  }

  async #serve(open: Open, stream: MucpServerStream): Promise<void> {
    try {
      const metadata: Metadata = await this.#owner.dispatcher.stream(open.request, stream)
      await stream.settled()
      this.#answered(open, () => streamEnd(open.replyTo, metadata))
    } catch (error) {
      this.#failed(open, error)
    } finally {
      stream.finish()
    }
  }

  #onStream({ stream, replyTo, request }: Open, { body }: Message, error: string): void {
    if (error === endOfStream) stream?.messages.end()
    else if (error !== '') stream?.messages.fail(readError(error, request.service))
    else {
      try {
        stream?.messages.push(replyTo.envelope?.openRequest(body).body ?? body)
      } catch (cause) {
        stream?.messages.fail(cause)
      }
    }
  }

  /** Counts a request in. @throws why it is not taken. */
  #begin(
    { service, endpoint, contentType, metadata, timeoutMs, replyTo }: Understood,
    kind: 'unary' | 'stream',
    { key, bytes, stream }: Pick<Open, 'key' | 'bytes' | 'stream'>,
  ): Open {
    const refuse = (code: ErrorCode, why: string) => new ServiceError(code, why, { id: service || undefined })
    if (this.#aborted) throw refuse('unavailable', `${service} takes no new calls; it stops`)
    const known = this.#owner.dispatcher.kind(endpoint)
    if (known === undefined) throw refuse('not-found', `${service} has no endpoint ${endpoint}`)
    if (known !== kind)
      throw refuse(
        'bad-request',
        `${endpoint} of ${service} is ${known === 'unary' ? 'no' : 'a'} stream; call it as one`,
      )
    if (timeoutMs <= 0) throw refuse('timeout', `the caller's deadline of ${endpoint} has passed already`)
    const dueAt = timeoutMs === Infinity ? Infinity : DeadlineWheel.now() + timeoutMs
    const request = new IncomingRequest(this, 0, dueAt, { service, endpoint, contentType }, metadata)
    const open: Open = { request, replyTo, bytes, key, stream }
    this.#open.set(request, open)
    this.#running++
    this.#owner.wheel.add(request)
    return open
  }

  #answered(open: Open, message: () => Message): void {
    this.#running--
    if (this.#open.has(open.request)) {
      try {
        this.#finish(open, message())
      } catch (error) {
        this.#fail(open, replyError(open.request, error))
      }
    }
    this.#owner.changed(this)
  }

  #failed(open: Open, error: unknown): void {
    this.#running--
    this.#fail(open, ServiceError.from(error, 'internal', open.request.service))
    this.#owner.changed(this)
  }

  #fail(open: Open, error: ServiceError): void {
    if (!this.#open.has(open.request)) return
    open.stream?.finish(error)
    this.#finish(open, errorMessage(open.replyTo, error))
  }

  /** Sends the last message of a request. @throws `too-large`, `bad-request`; then it is still to be answered. */
  #finish(open: Open, { header, body }: Message): void {
    const last = this.#closing && this.#open.size === 1 && (this.#behind.get(open.key)?.length ?? 0) === 0
    this.#send({ header: last ? { ...header, connection: 'close' } : header, body })
    this.#release(open)
    this.#usedAt = DeadlineWheel.now()
    // The client was told, and closes; until then a request may be on its way.
    if (last) this.#linger()
  }

  #release({ request, key, bytes, stream }: Open): void {
    request.answered = true
    this.#open.delete(request)
    this.#owner.wheel.remove(request)
    if (stream) {
      this.#streamDone(key)
      return
    }
    this.#brake.callDone(bytes)
    const behind = this.#behind.get(key)
    this.#behind.delete(key)
    const next = behind?.shift()
    if (!next) return
    this.#call(key, next)
    if (this.#behind.has(key)) this.#behind.set(key, behind as Message[])
    else for (const each of behind as Message[]) this.#call(key, each)
  }

  #streamDone(key: string): void {
    this.#streams.delete(key)
    this.#ended.add(key)
    if (this.#ended.size <= maxEnded) return
    for (const oldest of this.#ended) {
      this.#ended.delete(oldest)
      break
    }
  }

  #refuse(message: Message, error: ServiceError): void {
    this.#send(errorMessage({ ...replyTo(message.header), id: '' }, error))
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
    if (this.#over) return
    clearTimeout(this.#lastRequest)
    const before = this.#usedAt
    this.#lastRequest = setTimeout(() => {
      // After a stall, what came meanwhile is read first.
      this.#lastRead = setImmediate(() => {
        if (this.#open.size === 0 && this.#usedAt !== before) return this.#linger()
        this.#closeIfIdle()
        this.#owner.changed(this)
      })
    }, lastRequestMs)
  }

  #closeIfIdle(): void {
    if (!this.#closing || this.#over || this.#open.size > 0) return
    this.#stopLingering()
    void this.#connection.close()
  }

  #stopLingering(): void {
    clearTimeout(this.#lastRequest)
    clearImmediate(this.#lastRead)
    this.#lastRequest = undefined
  }
}

/** What the caller is told of a reply that cannot be sent. */
function replyError({ endpoint, service }: IncomingRequest, cause: unknown): ServiceError {
  const error = ServiceError.from(cause)
  if (error.code === 'too-large') return error
  return new ServiceError('internal', `the reply of ${endpoint} cannot be sent: ${error.message}`, {
    id: service,
    cause,
  })
}
