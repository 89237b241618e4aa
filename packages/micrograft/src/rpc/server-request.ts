import type { Metadata, ServerRequest, ServiceError } from '@micrograft/contracts'
import { DeadlineWheel, type Timed } from '../deadlines/deadline-wheel.js'
import type { CallTarget } from './frame.js'

export interface RequestOwner {
  readonly remote: string
  /** The caller's deadline has passed. */
  expired(request: IncomingRequest): void
}

/** A call or stream at the server. Its signal is made only for a handler that looks at it. */
export class IncomingRequest implements ServerRequest, Timed {
  readonly service: string
  readonly endpoint: string
  readonly contentType: string
  readonly metadata: Metadata
  readonly slot: number
  dueAt: number
  wheelSlot = -1
  wheelNext: Timed | undefined = undefined
  wheelPrevious: Timed | undefined = undefined
  /** The caller has its last frame. */
  answered = false
  readonly #owner: RequestOwner
  #controller: AbortController | undefined = undefined
  #reason: ServiceError | undefined = undefined

  constructor(owner: RequestOwner, slot: number, dueAt: number, target: CallTarget, metadata: Metadata) {
    this.#owner = owner
    this.slot = slot
    this.dueAt = dueAt
    this.service = target.service
    this.endpoint = target.endpoint
    this.contentType = target.contentType
    this.metadata = metadata
  }

  get remote(): string {
    return this.#owner.remote
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.#reason) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  get deadline(): number | undefined {
    return this.dueAt === Infinity ? undefined : Date.now() + (this.dueAt - DeadlineWheel.now())
  }

  abort(reason: ServiceError): void {
    if (this.#reason) return
    this.#reason = reason
    this.#controller?.abort(reason)
  }

  expire(): void {
    this.#owner.expired(this)
  }
}
