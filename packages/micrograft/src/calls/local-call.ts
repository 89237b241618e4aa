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

/**
 * A call that never leaves the process: what the handler knows of it, and what the caller waits for.
 *
 * Its fields are declared only, and get their values in the constructor: V8 11 takes 25 ns for the
 * initializers of a class, those of `#private` fields among them, and a call is 120.
 */
export class LocalCall implements HandlerContext {
  declare readonly served: ServedEndpoint
  declare readonly endpoint: string
  declare readonly metadata: Metadata
  declare readonly request: unknown
  declare readonly options: RequestOptions
  /** Milliseconds; 0 and less, and `Infinity`, stand for no deadline. */
  declare readonly timeoutMs: number
  declare readonly again: Again
  /** Its place among the deadlines, once it has waited for a turn: few do. */
  declare timed: LocalDeadline | undefined
  /** The caller has its answer; the handler may still be at work. */
  declare ended: boolean
  declare private readonly owner: LocalOwner
  declare private reject: ((error: unknown) => void) | undefined
  declare private seldom: Seldom | undefined

  constructor(
    owner: LocalOwner,
    served: ServedEndpoint,
    endpoint: string,
    request: unknown,
    metadata: Metadata,
    options: RequestOptions,
    timeoutMs: number,
    again: Again,
  ) {
    this.served = served
    this.endpoint = endpoint
    this.metadata = metadata
    this.request = request
    this.options = options
    this.timeoutMs = timeoutMs
    this.again = again
    this.timed = undefined
    this.ended = false
    this.owner = owner
    this.reject = undefined
    this.seldom = undefined
  }

  get service(): string {
    return this.owner.service
  }

  get remote(): string {
    return 'local'
  }

  get isTimed(): boolean {
    return this.timeoutMs > 0 && this.timeoutMs < Infinity
  }

  get replyMetadata(): Record<string, string> {
    return (this.more.replyMetadata ??= {})
  }

  /** The clock is read for who looks at it: that costs as much as the rest of a call. */
  get deadline(): number | undefined {
    if (!this.isTimed) return undefined
    const now = DeadlineWheel.now()
    this.timed ??= new LocalDeadline(this, now)
    return Date.now() + (this.timed.dueAt - now)
  }

  get signal(): AbortSignal {
    const { more } = this
    if (!more.controller) {
      more.controller = new AbortController()
      if (more.reason) more.controller.abort(more.reason)
    }
    return more.controller.signal
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
      this.reject = reject
      if (this.options.signal || this.options.parent) this.listen()
      result.then(
        (value) => {
          this.served.of?.leave()
          if (this.ended) return
          this.settle()
          resolve(this.answer(value))
        },
        (thrown: unknown) => {
          this.served.of?.leave()
          const outcome = this.owner.failed(this, thrown)
          if (!this.ended) this.settle()
          resolve(outcome)
          outcome.catch(() => undefined)
        },
      )
    })
  }

  /** Ends it for the caller with `reason`; the handler is told that nobody waits. */
  cancel(reason: unknown): void {
    if (this.ended) return
    this.settle()
    const { more } = this
    more.reason = ServiceError.from(reason, 'canceled', this.service)
    more.controller?.abort(more.reason)
    this.reject?.(reason)
  }

  private listen(): void {
    const { signal, parent } = this.options
    const onAbort = () => this.cancel(signal?.aborted ? signal.reason : parent?.signal.reason)
    this.more.onAbort = onAbort
    signal?.addEventListener('abort', onAbort)
    parent?.signal.addEventListener('abort', onAbort)
  }

  private settle(): void {
    this.ended = true
    const onAbort = this.seldom?.onAbort
    if (onAbort) {
      this.options.signal?.removeEventListener('abort', onAbort)
      this.options.parent?.signal.removeEventListener('abort', onAbort)
    }
    this.owner.settled(this)
  }

  private get more(): Seldom {
    return (this.seldom ??= {})
  }
}

/** What few calls have. */
interface Seldom {
  replyMetadata?: Record<string, string>
  /** Made for a handler that looks at its signal. */
  controller?: AbortController
  /** Why it was ended. */
  reason?: ServiceError
  onAbort?: () => void
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
