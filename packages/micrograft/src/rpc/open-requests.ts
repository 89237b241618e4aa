import { ServiceError, type Metadata, type ServerReply } from '@micrograft/contracts'
import type { DeadlineWheel } from '../deadlines/deadline-wheel.js'
import { maxNameBytes } from './frame.js'
import { endFrame, errorFrame, replyHead } from './frame-writer.js'
import type { Outbox } from './outbox.js'
import type { IncomingRequest } from './server-request.js'
import type { IncomingStream } from './server-stream.js'

export interface OpenRequest {
  readonly request: IncomingRequest
  readonly stream: IncomingStream | undefined
}

/** The requests of one connection by slot, until their caller has the last frame: each is answered once. */
export class OpenRequests {
  /** Handlers that have not ended, also where nobody waits for them any longer. */
  running = 0
  /** What the client takes. */
  maxFrameBytes = 0
  readonly #outbox: Outbox
  readonly #wheel: DeadlineWheel
  readonly #changed: () => void
  readonly #open: (OpenRequest | undefined)[] = []

  /** @param changed A handler has ended. */
  constructor(outbox: Outbox, wheel: DeadlineWheel, changed: () => void) {
    this.#outbox = outbox
    this.#wheel = wheel
    this.#changed = changed
  }

  at(slot: number): OpenRequest | undefined {
    return this.#open[slot]
  }

  /** Its handler begins. */
  add(request: IncomingRequest, stream: IncomingStream | undefined): void {
    this.running++
    this.#wheel.add(request)
    this.#open[request.slot] = { request, stream }
  }

  /** The handler of a call has ended. */
  reply(request: IncomingRequest, { contentType, metadata, body }: ServerReply): void {
    this.running--
    if (!request.answered) {
      try {
        const type = contentType === request.contentType ? '' : contentType
        if (Buffer.byteLength(type) > maxNameBytes)
          throw new ServiceError('internal', 'the content type is too long')
        const head = replyHead(this.#outbox.scratch, request.slot, type, metadata)
        this.#checkSize(head + body.length)
        this.#outbox.sendParts(head, body)
        this.#answered(request)
      } catch (error) {
        this.#fail(request, replyError(request, error))
      }
    }
    this.#changed()
  }

  /** The handler of a stream has ended. */
  ended(request: IncomingRequest, metadata: Metadata): void {
    this.running--
    if (!request.answered) {
      try {
        const frame = endFrame(request.slot, metadata)
        this.#checkSize(frame.length)
        this.#outbox.send(frame)
        this.#answered(request)
      } catch (error) {
        this.#fail(request, replyError(request, error))
      }
    }
    this.#changed()
  }

  /** The handler has thrown. */
  failed(request: IncomingRequest, error: unknown): void {
    this.running--
    this.#fail(request, ServiceError.from(error, 'internal', request.service))
    this.#changed()
  }

  /** Answers with `error`, and tells the handler that nobody waits. */
  abort(request: IncomingRequest, error: ServiceError): void {
    request.abort(error)
    this.#fail(request, error)
  }

  abortAll(error: ServiceError): void {
    for (const open of this.#open) if (open) this.abort(open.request, error)
  }

  /** The caller is gone: handlers are told, and nothing is answered. */
  abandon(error: ServiceError): void {
    for (const open of this.#open.splice(0)) {
      if (!open) continue
      open.request.answered = true
      this.#wheel.remove(open.request)
      open.request.abort(error)
      open.stream?.finish(error)
    }
  }

  #fail(request: IncomingRequest, error: ServiceError): void {
    if (request.answered) return
    this.#open[request.slot]?.stream?.finish(error)
    this.#outbox.tell((maxBytes) => errorFrame(request.slot, error, maxBytes), this.maxFrameBytes)
    this.#answered(request)
  }

  /** @throws `too-large` for a frame above what the client takes. */
  #checkSize(bytes: number): void {
    if (bytes <= this.maxFrameBytes) return
    throw new ServiceError(
      'too-large',
      `the reply has ${bytes} bytes, the caller takes ${this.maxFrameBytes}`,
    )
  }

  #answered(request: IncomingRequest): void {
    request.answered = true
    this.#open[request.slot] = undefined
    this.#wheel.remove(request)
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
