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

/** Calls that began in one turn. */
interface Young {
  readonly calls: LocalCall[]
  count: number
}

/** So many calls that wait may have begun in one turn until they are looked through before its end. */
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
  #young: Young | undefined
  #isTurnWatched = false
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
    return found?.definition.kind === 'unary' ? found : undefined
  }

  /**
   * @param served What `find` gave, in the same turn.
   * @param again Makes another try, unless there is to be none.
   */
  call(
    served: ServedEndpoint,
    endpoint: string,
    request: unknown,
    metadata: Metadata,
    options: RequestOptions,
    again: Again,
  ): Promise<unknown> {
    const { signal, parent } = options
    if (signal?.aborted || parent || options.timeoutMs !== undefined) {
      const refused = this.#refused(endpoint, options)
      if (refused) return refused
    }
    // Time may have passed since it was looked at.
    const timeoutMs = parent
      ? Math.max(1, allowed(options, this.#options))
      : (options.timeoutMs ?? this.#options.timeoutMs)
    const call = new LocalCall(this, served, endpoint, request, metadata, options, timeoutMs, again)
    let result: unknown
    try {
      result = runHandler(this.#options.chains, served.definition, request, call)
    } catch (thrown) {
      return this.failed(call, thrown)
    }
    // What ended in the turn in which it was found needs nothing to stay for it.
    return isPromise(result) ? this.#wait(call, result) : Promise.resolve(call.answer(result))
  }

  failed(call: LocalCall, thrown: unknown): Promise<unknown> {
    try {
      const error = handlerFailure(thrown, call, this.#options.log)
      const more = call.ended ? undefined : call.again(call, error, this.#options.nodes)
      return more ?? Promise.reject(error)
    } catch (error) {
      // Of what the caller wants to be asked whether to try again.
      return Promise.reject(error)
    }
  }

  settled(call: LocalCall): void {
    if (call.timed) this.#wheel.remove(call.timed)
    else if (!call.isTimed) this.#endless.delete(call)
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

  // The parts of a call are apart so that V8 puts those that one needs into one piece of code: worth 20 ns of 120.
  #wait(call: LocalCall, result: PromiseLike<unknown>): Promise<unknown> {
    call.served.of?.enter()
    this.#waiting++
    const young = (this.#young ??= this.#beginTurn())
    young.calls[young.count++] = call
    if (young.count === maxYoung) this.#sift(young)
    return call.wait(result)
  }

  #refused(endpoint: string, options: RequestOptions): Promise<never> | undefined {
    const { signal, parent } = options
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (parent?.signal.aborted) return Promise.reject(parent.signal.reason)
    try {
      if (allowed(options, this.#options) > 0) return undefined
      throw deadlinePassed(endpoint, this.service)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #beginTurn(): Young {
    if (!this.#isTurnWatched) {
      this.#isTurnWatched = true
      setImmediate(() => {
        this.#isTurnWatched = false
        this.#mature()
      })
    }
    // oxlint-disable-next-line unicorn/no-new-array -- of its full length at once: one that grows is copied
    return { calls: new Array<LocalCall>(maxYoung), count: 0 }
  }

  /** Lets go of those that are answered. Where most are not, all get their place among the deadlines at once. */
  #sift({ calls }: Young): void {
    const young = (this.#young = this.#beginTurn())
    for (const call of calls) if (!call.ended) young.calls[young.count++] = call
    if (young.count > maxYoung / 2) this.#mature()
  }

  /** Gives those that are not answered yet their place among the deadlines. */
  #mature(): void {
    const young = this.#young
    if (!young) return
    this.#young = undefined
    const now = DeadlineWheel.now()
    for (let i = 0; i < young.count; i++) {
      const call = young.calls[i] as LocalCall
      if (call.ended) continue
      if (!call.isTimed) this.#endless.add(call)
      else this.#wheel.add((call.timed ??= new LocalDeadline(call, now)), now)
    }
  }
}
