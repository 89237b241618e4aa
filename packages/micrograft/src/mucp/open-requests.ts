import { ServiceError, type Dispatcher, type ErrorCode, type Message } from '@micrograft/contracts'
import { DeadlineWheel } from '../deadlines/deadline-wheel.js'
import { IncomingRequest, type RequestOwner } from '../rpc/server-request.js'
import { errorMessage, type ReplyTo, type Understood } from './server-messages.js'
import type { MucpServerStream } from './server-stream.js'

/** A request that was taken and not answered yet. */
export interface Open {
  readonly request: IncomingRequest
  readonly replyTo: ReplyTo
  /** Of its body, while it counts as a call that waits. */
  readonly bytes: number
  /** Whose turn it is by `Micro-Id`, or the stream's id. */
  readonly key: string
  readonly stream: MucpServerStream | undefined
}

export interface OpenRequestsOptions {
  readonly remote: string
  readonly dispatcher: Dispatcher
  readonly wheel: DeadlineWheel
  /** Sends the last message of a request and releases it. Where it throws, the request is still to be answered. */
  readonly finish: (open: Open, message: Message) => void
  /** Not even a short error can be sent: the connection is of no use. */
  readonly unanswerable: (error: ServiceError) => void
  /** Nobody waits for it any longer. */
  readonly released: (open: Open) => void
  /** A handler has ended. */
  readonly changed: () => void
}

/**
 * The requests that are under way on one connection. Each is answered once, by whatever is first: its
 * handler, its deadline or the end of the server.
 */
export class OpenRequests implements RequestOwner {
  readonly remote: string
  readonly #options: OpenRequestsOptions
  readonly #open = new Map<IncomingRequest, Open>()
  #running = 0
  #aborted = false

  constructor(options: OpenRequestsOptions) {
    this.remote = options.remote
    this.#options = options
  }

  get size(): number {
    return this.#open.size
  }

  /** Handlers that have not ended, also where nobody waits for them any longer. */
  get running(): number {
    return this.#running
  }

  /** Counts a request in. @throws why it is not taken. */
  begin(
    understood: Understood,
    kind: 'unary' | 'stream',
    { key, bytes, stream }: Pick<Open, 'key' | 'bytes' | 'stream'>,
  ): Open {
    const { service, endpoint, contentType, metadata, timeoutMs, replyTo } = understood
    const { dispatcher, wheel } = this.#options
    if (this.#aborted) throw refusal(service, 'unavailable', `${service} takes no new calls; it stops`)
    requireKind(understood, kind, dispatcher.kind(endpoint))
    if (timeoutMs <= 0)
      throw refusal(service, 'timeout', `the caller's deadline of ${endpoint} has passed already`)
    const dueAt = timeoutMs === Infinity ? Infinity : DeadlineWheel.now() + timeoutMs
    const request = new IncomingRequest(this, 0, dueAt, { service, endpoint, contentType }, metadata)
    const open: Open = { request, replyTo, bytes, key, stream }
    this.#open.set(request, open)
    this.#running++
    wheel.add(request)
    return open
  }

  /** Its handler has ended well; `message` is made only where somebody waits for it. */
  answered(open: Open, message: () => Message): void {
    this.#running--
    if (this.#open.has(open.request)) {
      try {
        this.#options.finish(open, message())
      } catch (error) {
        this.#fail(open, replyError(open.request, error))
      }
    }
    this.#options.changed()
  }

  /** Its handler has failed. */
  failed(open: Open, error: unknown): void {
    this.#running--
    this.#fail(open, ServiceError.from(error, 'internal', open.request.service))
    this.#options.changed()
  }

  expired(request: IncomingRequest): void {
    const error = new ServiceError('timeout', `${request.endpoint} did not end within the caller's deadline`)
    request.abort(error)
    const open = this.#open.get(request)
    if (open) this.#fail(open, error)
  }

  release(open: Open): void {
    const { request } = open
    request.answered = true
    this.#open.delete(request)
    this.#options.wheel.remove(request)
    this.#options.released(open)
  }

  /** Answers what is open with `error` and aborts it, and takes nothing more. */
  abort(error: ServiceError): void {
    this.#aborted = true
    for (const open of this.#open.values()) {
      open.request.abort(error)
      this.#fail(open, error)
    }
  }

  /** Aborts what is open, as nobody is there to be answered. */
  drop(error: ServiceError): void {
    for (const open of this.#open.values()) {
      this.release(open)
      open.request.abort(error)
      open.stream?.finish(error)
    }
  }

  #fail(open: Open, error: ServiceError): void {
    if (!this.#open.has(open.request)) return
    open.stream?.finish(error)
    const { finish, unanswerable } = this.#options
    try {
      finish(open, errorMessage(open.replyTo, error))
    } catch {
      try {
        finish(open, errorMessage(open.replyTo, textless(error)))
      } catch (cause) {
        unanswerable(ServiceError.from(cause))
      }
    }
  }
}

/** For a transport that takes no header as large as the error itself. */
function textless({ code }: ServiceError): ServiceError {
  return new ServiceError(code, 'the text of the error is too large to be sent')
}

function requireKind(
  { service, endpoint }: Understood,
  kind: 'unary' | 'stream',
  known: 'unary' | 'stream' | undefined,
): void {
  if (known === undefined) throw refusal(service, 'not-found', `${service} has no endpoint ${endpoint}`)
  if (known !== kind)
    throw refusal(
      service,
      'bad-request',
      `${endpoint} of ${service} is ${known === 'unary' ? 'no' : 'a'} stream; call it as one`,
    )
}

function refusal(service: string, code: ErrorCode, why: string): ServiceError {
  return new ServiceError(code, why, { id: service || undefined })
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
