import { ServiceError, type ClientRequest } from '@micrograft/contracts'
import { DeadlineWheel, type Timed } from '../deadlines/deadline-wheel.js'

export interface PendingOptions {
  readonly request: ClientRequest
  readonly wheel: DeadlineWheel
  readonly signal: AbortSignal | undefined
  /** Longest wait where the request has no deadline of its own, in milliseconds; `Infinity` has none. */
  readonly unansweredMs: number
  /** Deadline or caller ended it; it is settled by then. */
  readonly ended: (reason: unknown) => void
}

/** What a call or stream runs under at the client: its deadline and its caller's signal. */
export class Pending implements Timed {
  dueAt: number
  wheelSlot = -1
  wheelNext: Timed | undefined = undefined
  wheelPrevious: Timed | undefined = undefined
  settled = false
  readonly #options: PendingOptions
  #onAbort: (() => void) | undefined

  constructor(options: PendingOptions) {
    const { request, wheel, signal, unansweredMs } = options
    const now = DeadlineWheel.now()
    this.#options = options
    this.dueAt = now + (request.timeoutMs ?? unansweredMs)
    wheel.add(this, now)
    if (!signal) return
    this.#onAbort = () => this.#end(signal.reason)
    signal.addEventListener('abort', this.#onAbort)
  }

  /** What is left of the caller's own deadline, in milliseconds; `undefined` has none. */
  get leftMs(): number | undefined {
    return this.#options.request.timeoutMs === undefined ? undefined : this.dueAt - DeadlineWheel.now()
  }

  expire(): void {
    const { service, endpoint, timeoutMs } = this.#options.request
    const within = `${timeoutMs ?? this.#options.unansweredMs} ms`
    this.#end(new ServiceError('timeout', `${service} did not answer ${endpoint} within ${within}`))
  }

  /** Nothing is told any more. Safe to call twice. */
  settle(): void {
    if (this.settled) return
    this.settled = true
    const { wheel, signal } = this.#options
    wheel.remove(this)
    if (this.#onAbort) signal?.removeEventListener('abort', this.#onAbort)
    this.#onAbort = undefined
  }

  #end(reason: unknown): void {
    if (this.settled) return
    this.settle()
    this.#options.ended(reason)
  }
}
