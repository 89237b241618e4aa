import { ServiceError, type Logger, type Metadata, type Node } from '@micrograft/contracts'
import { DeadlineWheel } from '../deadlines/deadline-wheel.js'
import type { Endpoints, ServedEndpoint } from '../handle/endpoints.js'
import { handlerFailure } from '../handle/handler-failure.js'
import { isPromise, runHandler } from '../handle/run-handler.js'
import type { Chains } from '../middleware/chain.js'
import { allowed, deadlinePassed } from './attempts.js'
import type { RequestOptions } from './caller-types.js'
import { LocalCall, LocalDeadline, type Again, type LocalOwner } from './local-call.js'

export interface LocalCallsOptions {
  readonly service: string
  readonly endpoints: Endpoints
  readonly chains: Chains
  /** Deadline of a call that names none, in milliseconds. */
  readonly timeoutMs: number
  readonly log: () => Logger
  /** The nodes that this process is to others. */
  readonly nodes: () => readonly Node[]
}

/** So many calls that wait may have begun in one turn until they are looked after before its end. */
const maxYoung = 256

/**
 * Calls of a service to itself. What is given goes to the handler as it is, through the middleware
 * of its side, and what the handler gives comes back: no codec, transport or node is between them.
 */
export class LocalCalls implements LocalOwner {
  readonly service: string
  readonly #options: LocalCallsOptions
  readonly #wheel = new DeadlineWheel(true)
  /** Those that began in this turn: most have ended by its end, and no clock is read for them. */
  #young: LocalCall[] = []
  /** Those that wait without a deadline. */
  readonly #endless = new Set<LocalCall>()
  /** Calls that nobody has an answer to yet. */
  #waiting = 0
  #onIdle: (() => void) | undefined
  #stopped = false

  constructor(options: LocalCallsOptions) {
    this.#options = options
    this.service = options.service
  }

  /** The endpoint of a call that is made here; `undefined` where it cannot be. */
  find(name: string): ServedEndpoint | undefined {
    if (this.#stopped) return undefined
    const found = this.#options.endpoints.find(name)
    return found?.kind === 'unary' ? found : undefined
  }

  /**
   * @param definition What `find` gave, in the same turn.
   * @param again Makes another try, unless there is to be none.
   */
  call(
    definition: ServedEndpoint,
    endpoint: string,
    request: unknown,
    metadata: Metadata,
    options: RequestOptions,
    again: Again,
  ): Promise<unknown> {
    const { signal, parent } = options
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (parent?.signal.aborted) return Promise.reject(parent.signal.reason)
    const allowedMs = allowed(options, this.#options)
    if (allowedMs <= 0) return Promise.reject(deadlinePassed(endpoint, this.service))
    const timeoutMs = allowedMs === Infinity ? 0 : allowedMs
    const call = new LocalCall(this, definition, endpoint, request, metadata, options, timeoutMs, again)
    definition.of?.enter()
    try {
      const result = runHandler(this.#options.chains, definition, request, call)
      if (isPromise(result)) {
        this.#watch(call)
        return call.wait(result)
      }
      definition.of?.leave()
      return Promise.resolve(call.answer(result))
    } catch (thrown) {
      definition.of?.leave()
      return this.failed(call, thrown)
    }
  }

  failed(call: LocalCall, thrown: unknown): Promise<unknown> {
    const error = handlerFailure(thrown, call, this.#options.log)
    const more = call.ended ? undefined : call.again(call, error, this.#options.nodes)
    return more ?? Promise.reject(error)
  }

  settled(call: LocalCall): void {
    if (call.timeoutMs === 0) this.#endless.delete(call)
    else if (call.timed) this.#wheel.remove(call.timed)
    if (--this.#waiting === 0) this.#onIdle?.()
  }

  /** Lets what is under way end; what has not by then is told that the service was stopped. Takes nothing more. */
  async stop({ graceMs }: { readonly graceMs: number }): Promise<void> {
    if (this.#waiting > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs)
        this.#onIdle = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    this.#stopped = true
    this.#mature()
    const error = new ServiceError('unavailable', `${this.service} was stopped before it had answered`)
    const timed = this.#wheel.stop() as readonly LocalDeadline[]
    for (const call of [...timed.map((each) => each.call), ...this.#endless]) call.cancel(error)
  }

  #watch(call: LocalCall): void {
    this.#waiting++
    if (call.timeoutMs === 0) {
      this.#endless.add(call)
      return
    }
    if (this.#young.length === 0) setImmediate(() => this.#mature())
    if (this.#young.push(call) === maxYoung) this.#mature()
  }

  /** Gives those that are not answered yet their place among the deadlines. */
  #mature(): void {
    const young = this.#young
    this.#young = []
    const now = DeadlineWheel.now()
    for (const call of young)
      if (!call.ended) this.#wheel.add((call.timed ??= new LocalDeadline(call, now)), now)
  }
}
