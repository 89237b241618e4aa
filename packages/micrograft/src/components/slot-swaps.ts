import { ServiceError, type ComponentType } from '@micrograft/contracts'
import type { Candidate, Generation } from './generation.js'
import type { Keeper } from './keeper.js'
import type { Seat } from './seat.js'
import { prepare, retire } from './succession.js'
import { SwapNews, swapReport, type TellSwap } from './swap-news.js'
import {
  checkShare,
  resolveSwapOptions,
  type ResolvedSwapOptions,
  type SwapOptions,
  type SwapReport,
} from './swap-options.js'
import { Tally } from './tally.js'
import { Underway } from './underway.js'

export interface SlotSwapsOptions<T> {
  readonly type: ComponentType
  /** Of the slot. */
  readonly name: string
  readonly seat: Seat<T>
  readonly keeper: Keeper<T>
  /** Whether calls may be shared between two components. */
  readonly shares: boolean
  readonly tell: TellSwap | undefined
}

/** A swap whose new component is being made. */
interface Preparing<T> {
  readonly label: string
  readonly since: number
  readonly stopping: AbortController
  readonly next: Promise<Generation<T>>
}

/** How often it is told what is still under way on the old component. */
const progressMs = 500

/**
 * The swaps of one slot, one after another: prepare, perhaps share, switch, watch, drain, and from each
 * the way back. Until the switch nothing has changed; `Slot` says what each method promises.
 */
export class SlotSwaps<T> {
  readonly #options: SlotSwapsOptions<T>
  readonly #news: SwapNews
  #preparing: Preparing<T> | undefined
  #underway: Underway<T> | undefined
  #previous: Candidate<T> | undefined
  #turn: Promise<unknown> = Promise.resolve()
  /** Swaps that wait for their turn. */
  #waiting = 0
  /** Aborted when what drains is not waited for any more. */
  readonly #cut = new AbortController()

  constructor(options: SlotSwapsOptions<T>) {
    this.#options = options
    this.#news = new SwapNews(options.type, options.name, options.tell)
  }

  /** The swap whose two components are both there. */
  get underway(): Underway<T> | undefined {
    return this.#underway
  }

  /** What sat there before the last swap that is over. */
  get previous(): Candidate<T> | undefined {
    return this.#previous
  }

  swap(candidate: Candidate<T>, options: SwapOptions): Promise<SwapReport> {
    const resolved = resolveSwapOptions(options)
    const { type, seat, shares } = this.#options
    if (resolved.share < 1 && !shares)
      return Promise.reject(
        new ServiceError('unsupported', `a ${type} cannot share its calls between two; swap it whole`),
      )
    if (!seat.shared) this.#underway?.end(undefined)
    this.#waiting++
    return this.#inTurn(() => {
      this.#waiting--
      return this.#swap(candidate, resolved)
    })
  }

  async share(share: number): Promise<SwapReport> {
    checkShare(share)
    const { shared } = this.#options.seat
    if (!shared)
      throw new ServiceError(
        'not-found',
        `no two components of ${this.#options.name} share its calls; swap it with a share first`,
      )
    shared.share = share
    this.#news.tell(shared, 'sharing')
    if (share < 1) return swapReport(shared, 'sharing', false)
    return this.#inTurn(() => this.#complete(shared))
  }

  async rollback(by: string): Promise<SwapReport> {
    resolveSwapOptions({ by })
    const { name, seat } = this.#options
    if (this.#preparing) return this.#giveUp(this.#preparing, by)
    const underway = this.#underway
    if (underway) {
      const reason = new ServiceError('canceled', `${underway.next.label} was rolled back by ${by}`)
      underway.end(reason)
      if (seat.shared) await this.#inTurn(() => this.#goBack(underway, reason))
      else await this.#turn
      // It was over, or calls could not go back: then it is made again.
      if (seat.current !== underway.old) return this.rollback(by)
      return swapReport({ old: underway.next, next: underway.old, since: underway.since }, 'swapped', true)
    }
    const previous = this.#previous
    if (!previous)
      throw new ServiceError(
        'not-found',
        `${name} has ${seat.current?.label ?? 'nothing'} and had nothing before it to go back to`,
      )
    return this.swap(previous, { by, watchMs: 0 })
  }

  /**
   * Ends what is under way: one that is being made or shares calls is given up, one that is watched is taken
   * for good. What drains has as long as the component has to be disposed.
   */
  async end(): Promise<void> {
    const { seat } = this.#options
    this.#preparing?.stopping.abort(seat.closedError())
    this.#underway?.end(undefined)
    const timer = setTimeout(() => this.#cut.abort(seat.closedError()), seat.current?.closeMs ?? 0)
    await this.#turn
    if (this.#underway) await this.#goBack(this.#underway, seat.closedError()).catch(() => undefined)
    clearTimeout(timer)
  }

  /** Gives up a swap that is being prepared. */
  async #giveUp({ label, since, stopping, next }: Preparing<T>, by: string): Promise<SwapReport> {
    stopping.abort(new ServiceError('canceled', `${label} was given up by ${by}`))
    await next.catch(() => undefined)
    // It was made already: it goes back as one that is watched.
    if (this.#underway) return this.rollback(by)
    const current = { label: this.#options.seat.current?.label ?? '' }
    return swapReport({ old: { label, active: 0 }, next: current, since }, 'swapped', true)
  }

  async #swap(candidate: Candidate<T>, options: ResolvedSwapOptions): Promise<SwapReport> {
    const { name, seat, keeper } = this.#options
    seat.throwIfClosed()
    if (seat.shared)
      throw new ServiceError(
        'conflict',
        `${name} shares its calls with ${seat.shared.next.label}; give that all of them, or roll it back first`,
      )
    const old = await seat.take()
    seat.throwIfClosed()
    const since = performance.now()
    const about = { old, next: { label: candidate.label }, options, since, share: options.share }
    this.#news.tell(about, 'preparing')
    const stopping = new AbortController()
    const preparing = prepare(candidate, keeper, options, stopping.signal)
    this.#preparing = { label: candidate.label, since, stopping, next: preparing }
    let next: Generation<T>
    try {
      next = await preparing
    } catch (error) {
      this.#news.tell(about, 'failed', error as Error)
      throw error
    } finally {
      this.#preparing = undefined
    }
    const underway = new Underway(old, next, options, since)
    this.#underway = underway
    // Closed when it was made already: it is taken for good, as one that is watched.
    if (seat.isClosed) underway.end(undefined)
    return options.share < 1 ? this.#begin(underway) : this.#complete(underway)
  }

  /** Lets the two share calls. */
  #begin(underway: Underway<T>): SwapReport {
    this.#options.seat.share(underway)
    underway.old.tally = new Tally()
    this.#news.tell(underway, 'sharing')
    void this.#endShareOnFailure(underway)
    return swapReport(underway, 'sharing', false)
  }

  async #endShareOnFailure(underway: Underway<T>): Promise<void> {
    const reason = await underway.ended
    if (reason && this.#options.seat.shared === underway)
      await this.#inTurn(() => this.#goBack(underway, reason)).catch(() => undefined)
  }

  /** The switch and all that follows it. */
  async #complete(underway: Underway<T>): Promise<SwapReport> {
    const { seat, keeper } = this.#options
    const { old, next, options } = underway
    if (this.#underway !== underway)
      throw new ServiceError('canceled', `${next.label} was given up before it had all calls`)
    seat.unshare()
    try {
      this.#switch(next, old)
    } catch (error) {
      await this.#abandon(underway, error as Error)
      throw error
    }
    underway.share = 1
    this.#news.tell(underway, 'switched')
    await keeper
      .settled?.(next, old)
      .catch((error: unknown) => underway.end(ServiceError.from(error, 'unavailable')))
    if (this.#waiting > 0) underway.end(undefined)
    const reason = await underway.watched()
    if (reason) {
      await this.#goBack(underway, reason)
      throw reason
    }
    this.#over(underway)
    this.#news.tell(underway, 'draining')
    const progress = setInterval(() => this.#news.tell(underway, 'draining'), progressMs).unref()
    const { drained, error } = await retire(old, keeper, options.drainMs, this.#cut.signal)
    clearInterval(progress)
    this.#news.tell(underway, 'done', error, drained)
    return swapReport(underway, 'swapped', drained)
  }

  #switch(next: Generation<T>, old: Generation<T>): void {
    const { seat, keeper } = this.#options
    keeper.switched?.(next, old)
    seat.give(next)
    next.candidate.taken?.()
  }

  /** There is no way back to the old component any more but to make it again. */
  #over({ old, next }: Underway<T>): void {
    this.#underway = undefined
    old.tally = next.tally = undefined
    this.#previous = old.candidate
  }

  /** Sends calls to the old component again, and gives up the new one. */
  async #goBack(underway: Underway<T>, reason: Error): Promise<void> {
    if (this.#underway !== underway) return
    const { seat, keeper } = this.#options
    const { old, next, options } = underway
    if (seat.current === next) {
      try {
        await keeper.prepare?.(old, { ...options, copy: false })
        this.#switch(old, next)
      } catch (error) {
        await this.#stay(underway, error as Error)
      }
      // Who could not be told finds out from the component that goes.
      await keeper.settled?.(old, next).catch(() => undefined)
    }
    await this.#abandon(underway, reason)
  }

  /** Gives up the old component, as calls cannot go back to it. */
  async #stay(underway: Underway<T>, cause: Error): Promise<never> {
    const { old, next, options } = underway
    const error = new ServiceError(
      'unavailable',
      `calls stay on ${next.label}, as they cannot go back to ${old.label}: ${cause.message}`,
      { cause },
    )
    this.#over(underway)
    const { drained } = await retire(old, this.#options.keeper, options.drainMs, this.#cut.signal)
    this.#news.tell(underway, 'done', error, drained)
    throw error
  }

  /** Gives up the new component. */
  async #abandon(underway: Underway<T>, reason: Error): Promise<void> {
    const { seat, keeper } = this.#options
    const { old, next, options } = underway
    seat.unshare()
    this.#underway = undefined
    old.tally = undefined
    this.#news.tell(underway, 'went-back', reason)
    await retire(next, keeper, options.drainMs, this.#cut.signal)
  }

  /** Waits for the swaps before, whatever came of them. */
  #inTurn<R>(work: () => Promise<R>): Promise<R> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }
}
