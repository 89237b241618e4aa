import { ServiceError, type HandlerContext, type Metadata, type Node } from '@micrograft/contracts'
import { DeadlineWheel, type Timed } from '../deadlines/deadline-wheel.js'
import type { ServedEndpoint } from '../handle/endpoints.js'
import type { RequestOptions } from './caller-types.js'

/**
 * Makes another try after `error`, on other nodes than those of this process where there are any;
 * `undefined` where there is to be none.
 */
export type Again = (
  call: LocalCall,
  error: ServiceError,
  nodes: () => readonly Node[],
) => Promise<unknown> | undefined

/** What a local call is part of. */
export interface LocalOwner {
  readonly service: string
  /** What the caller gets for what the handler threw: an error, or what another try gives. */
  failed(call: LocalCall, thrown: unknown): Promise<unknown>
  /** The caller has its answer. */
  settled(call: LocalCall): void
}

/** A call that never leaves the process: what the handler knows of it, and what the caller waits for. */
export class LocalCall implements HandlerContext {
  readonly definition: ServedEndpoint
  readonly endpoint: string
  readonly metadata: Metadata
  readonly request: unknown
  readonly options: RequestOptions
  /** 0 has none. */
  readonly timeoutMs: number
  readonly again: Again
  /** Its place among the deadlines, once it has waited for a turn: few do. */
  timed: LocalDeadline | undefined = undefined
  /** The caller has its answer; the handler may still be at work. */
  ended: boolean = false
  readonly #owner: LocalOwner
  #replyMetadata: Record<string, string> | undefined = undefined
  #controller: AbortController | undefined = undefined
  #reason: ServiceError | undefined = undefined
  #reject: ((error: unknown) => void) | undefined = undefined
  #onAbort: (() => void) | undefined = undefined

  constructor(
    owner: LocalOwner,
    definition: ServedEndpoint,
    endpoint: string,
    request: unknown,
    metadata: Metadata,
    options: RequestOptions,
    timeoutMs: number,
    again: Again,
  ) {
    this.#owner = owner
    this.definition = definition
    this.endpoint = endpoint
    this.request = request
    this.metadata = metadata
    this.options = options
    this.timeoutMs = timeoutMs
    this.again = again
  }

  get service(): string {
    return this.#owner.service
  }

  get remote(): string {
    return 'local'
  }

  get replyMetadata(): Record<string, string> {
    return (this.#replyMetadata ??= {})
  }

  /** The clock is read for who looks at it: that costs as much as the rest of a call. */
  get deadline(): number | undefined {
    if (this.timeoutMs === 0) return undefined
    const now = DeadlineWheel.now()
    this.timed ??= new LocalDeadline(this, now)
    return Date.now() + (this.timed.dueAt - now)
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.#reason) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  /** What the caller gets where the handler gave `value`. */
  answer(value: unknown): unknown {
    const { onMetadata } = this.options
    if (!onMetadata) return value
    try {
      onMetadata(this.replyMetadata)
      return value
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Waits for what the handler gives later. */
  wait(result: PromiseLike<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#reject = reject
      this.#listen()
      result.then(
        (value) => {
          this.definition.of?.leave()
          if (this.ended) return
          this.#settle()
          resolve(this.answer(value))
        },
        (thrown: unknown) => {
          this.definition.of?.leave()
          const outcome = this.#owner.failed(this, thrown)
          if (!this.ended) this.#settle()
          resolve(outcome)
          outcome.catch(() => undefined)
        },
      )
    })
  }

  /** Ends it for the caller with `reason`; the handler is told that nobody waits. */
  cancel(reason: unknown): void {
    if (this.ended) return
    this.#settle()
    this.#reason = ServiceError.from(reason, 'canceled', this.service)
    this.#controller?.abort(this.#reason)
    this.#reject?.(reason)
  }

  #listen(): void {
    const { signal, parent } = this.options
    if (!signal && !parent) return
    this.#onAbort = () => this.cancel(signal?.aborted ? signal.reason : parent?.signal.reason)
    signal?.addEventListener('abort', this.#onAbort)
    parent?.signal.addEventListener('abort', this.#onAbort)
  }

  #settle(): void {
    this.ended = true
    if (this.#onAbort) {
      this.options.signal?.removeEventListener('abort', this.#onAbort)
      this.options.parent?.signal.removeEventListener('abort', this.#onAbort)
      this.#onAbort = undefined
    }
    this.#owner.settled(this)
  }
}

/** When a local call is to end. */
export class LocalDeadline implements Timed {
  readonly dueAt: number
  wheelSlot: number = -1
  wheelNext: Timed | undefined = undefined
  wheelPrevious: Timed | undefined = undefined
  readonly call: LocalCall

  constructor(call: LocalCall, now: number) {
    this.call = call
    this.dueAt = now + call.timeoutMs
  }

  expire(): void {
    const { service, endpoint, timeoutMs } = this.call
    this.call.cancel(
      new ServiceError('timeout', `${service} did not answer ${endpoint} within ${timeoutMs} ms`),
    )
  }
}
