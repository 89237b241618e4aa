import { ServiceError, type ComponentType, type ComponentTypes } from '@micrograft/contracts'
import { Generation, type Candidate } from './generation.js'
import type { Keeper, SlotView } from './keeper.js'
import { makeReference } from './reference.js'
import {
  resolveSwapOptions,
  type ResolvedSwapOptions,
  type SlotReport,
  type SwapEvent,
  type SwapOptions,
  type SwapPhase,
  type SwapReport,
} from './swap-options.js'
import { Tally } from './tally.js'
import { Underway } from './underway.js'

export interface SlotOptions<T> {
  /** E.g. `client`, or `handler greeter`. @default the type */
  readonly name?: string | undefined
  /** Called when a component is needed and none is there yet; it ends in `fill` or `fail`. */
  readonly begin?: (() => void) | undefined
  readonly keeper?: ((slot: SlotView<T>) => Keeper<T>) | undefined
  readonly tell?: ((event: Omit<SwapEvent, 'service'>) => void) | undefined
  /** Whether calls may be shared between two components. @default false */
  readonly shares?: boolean | undefined
}

/** How often it is told what is still under way on the old component. */
const progressMs = 500

/**
 * The place in a service where a component sits, and the only way to it. Until the switch of a swap
 * nothing has changed; the switch is one assignment; a call ends on the component where it began.
 */
export class Slot<K extends ComponentType> implements AsyncDisposable, SlotView<ComponentTypes[K]> {
  readonly type: K
  readonly name: string
  /** The component as everybody else holds it: a reference that stays right when the slot is swapped. */
  readonly reference: ComponentTypes[K]
  readonly #options: SlotOptions<ComponentTypes[K]>
  readonly #keeper: Keeper<ComponentTypes[K]>
  #current: Generation<ComponentTypes[K]> | undefined
  #previous: Candidate<ComponentTypes[K]> | undefined
  #underway: Underway<ComponentTypes[K]> | undefined
  #sharing = false
  #turn: Promise<unknown> = Promise.resolve()
  #filled!: () => void
  #failed!: (error: unknown) => void
  #ready: Promise<void>
  #closed = false

  constructor(type: K, options: SlotOptions<ComponentTypes[K]> = {}) {
    this.type = type
    this.name = options.name ?? type
    this.#options = options
    this.#ready = this.#awaited()
    this.#keeper = options.keeper?.(this) ?? { methods: {} }
    this.reference = makeReference(
      type,
      { call: (name, a, b, c) => this.#call(name, a, b, c), direct: () => this.#require() },
      this.#keeper.methods,
    )
  }

  get current(): Generation<ComponentTypes[K]> | undefined {
    return this.#current
  }

  /** What all calls go to; `undefined` while two share them. */
  get only(): Generation<ComponentTypes[K]> | undefined {
    return this.#sharing ? undefined : this.#current
  }

  /** All that calls go to: one, or two that share them. */
  get serving(): readonly Generation<ComponentTypes[K]>[] {
    const next = this.#sharing ? this.#underway?.next : undefined
    return [this.#current, next].filter((each) => each !== undefined)
  }

  /** What sits here, e.g. `nats 1.2.0`; `undefined` while nothing does. */
  get label(): string | undefined {
    return this.#current?.label
  }

  async take(): Promise<Generation<ComponentTypes[K]>> {
    while (!this.#current) {
      if (this.#closed) throw this.#closedError()
      const ready = this.#ready
      this.#options.begin?.()
      await ready
    }
    return this.pick()
  }

  /** The generation for a call that begins now: the current one, or by the share that the next one has. */
  pick(): Generation<ComponentTypes[K]> {
    const { current } = this
    const underway = this.#underway
    if (!current) throw this.#missingError()
    return this.#sharing && underway ? underway.pick() : current
  }

  /** Puts the first component in. */
  fill(candidate: Candidate<ComponentTypes[K]>, component: ComponentTypes[K]): void {
    this.#current = new Generation(candidate, component)
    this.#filled()
  }

  /** Says that no component comes: calls that wait for it fail, and a later one asks for it again. */
  fail(error: unknown): void {
    const failed = this.#failed
    this.#ready = this.#awaited()
    failed(error)
  }

  /**
   * Makes another component and sends calls to it. Swaps of one slot go one after another; one that
   * comes while the last is still watched takes that for good.
   *
   * @throws what making it failed with: nothing has changed then. `conflict` while two components share
   *   calls, `unsupported` for a share where there is none, and what made it go back.
   */
  swap(candidate: Candidate<ComponentTypes[K]>, options: SwapOptions = {}): Promise<SwapReport> {
    const resolved = resolveSwapOptions(options)
    if (resolved.share < 1 && !this.#options.shares)
      return Promise.reject(
        new ServiceError('unsupported', `a ${this.type} cannot share its calls between two; swap it whole`),
      )
    if (!this.#sharing) this.#underway?.end(undefined)
    return this.#inTurn(() => this.#swap(candidate, resolved))
  }

  /**
   * Gives the component that has a part of the calls another part; 1 is all, and ends the swap.
   * @throws `not-found` where no two components share calls, `invalid-option`.
   */
  async share(share: number): Promise<SwapReport> {
    resolveSwapOptions({ share })
    const underway = this.#underway
    if (!underway || !this.#sharing)
      throw new ServiceError(
        'not-found',
        `no two components of ${this.name} share its calls; swap it with a share first`,
      )
    underway.share = share
    this.#tell(underway, 'sharing')
    if (share < 1) return this.#report(underway, 'sharing', false)
    return this.#inTurn(() => this.#complete(underway))
  }

  /**
   * Goes back: ends a share, or undoes a switch that is still watched, or makes the component of before again.
   * @throws `not-found` where there is nothing to go back to.
   */
  async rollback(by = 'code'): Promise<SwapReport> {
    const underway = this.#underway
    if (underway) {
      const reason = new ServiceError('canceled', `${underway.next.label} was rolled back by ${by}`)
      underway.end(reason)
      if (this.#sharing) await this.#inTurn(() => this.#goBack(underway, reason))
      else await this.#turn
      // It was over, or calls could not go back: then it is made again.
      if (this.#current !== underway.old) return this.rollback(by)
      return this.#report({ old: underway.next, next: underway.old, since: underway.since }, 'swapped', true)
    }
    const previous = this.#previous
    if (!previous)
      throw new ServiceError(
        'not-found',
        `${this.name} has ${this.label ?? 'nothing'} and had nothing before it to go back to`,
      )
    return this.swap(previous, { by, watchMs: 0 })
  }

  report(): SlotReport {
    const underway = this.#underway
    const tally = ({ label, tally: seen }: Generation<unknown>) => (seen ? { [label]: seen.report() } : {})
    return {
      slot: this.name,
      type: this.type,
      current: this.label ?? '',
      previous: underway && !this.#sharing ? underway.old.label : this.#previous?.label,
      next: underway?.next.label,
      share: underway && (this.#sharing ? underway.share : 1),
      active: (this.#current?.active ?? 0) + (this.#sharing ? (underway?.next.active ?? 0) : 0),
      tallies: underway && { ...tally(underway.old), ...tally(underway.next) },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    const underway = this.#underway
    underway?.end(undefined)
    await this.#turn
    if (this.#underway) await this.#goBack(this.#underway, this.#closedError()).catch(() => undefined)
    const last = this.#current
    this.#current = undefined
    this.#failed(this.#closedError())
    await last?.release()
  }

  async #swap(candidate: Candidate<ComponentTypes[K]>, options: ResolvedSwapOptions): Promise<SwapReport> {
    if (this.#closed) throw this.#closedError()
    if (this.#sharing)
      throw new ServiceError(
        'conflict',
        `${this.name} shares its calls with ${this.#underway?.next.label}; give that all of them, or roll it back first`,
      )
    const old = await this.take()
    const since = performance.now()
    const about = { old, next: { label: candidate.label }, options, since, share: options.share }
    this.#tell(about, 'preparing')
    let next: Generation<ComponentTypes[K]>
    try {
      next = await this.#prepare(candidate, options)
    } catch (error) {
      this.#tell(about, 'failed', error as Error)
      throw error
    }
    const underway = new Underway(old, next, options, since)
    this.#underway = underway
    if (options.share < 1) {
      this.#sharing = true
      old.tally = new Tally()
      this.#tell(underway, 'sharing')
      void this.#endShareOnFailure(underway)
      return this.#report(underway, 'sharing', false)
    }
    return this.#complete(underway)
  }

  /** Makes the component and all that lasts on it. */
  async #prepare(
    candidate: Candidate<ComponentTypes[K]>,
    options: ResolvedSwapOptions,
  ): Promise<Generation<ComponentTypes[K]>> {
    const next = new Generation(candidate, await candidate.make())
    try {
      await this.#keeper.prepare?.(next, options)
      return next
    } catch (error) {
      await next.release().catch(() => undefined)
      throw error
    }
  }

  /** The switch and all that follows it. */
  async #complete(underway: Underway<ComponentTypes[K]>): Promise<SwapReport> {
    const { old, next, options } = underway
    this.#sharing = false
    try {
      this.#switch(next, old)
    } catch (error) {
      await this.#abandon(underway, error as Error)
      throw error
    }
    underway.share = 1
    this.#tell(underway, 'switched')
    await this.#keeper
      .settled?.(next, old)
      .catch((error: unknown) => underway.end(ServiceError.from(error, 'unavailable')))
    const reason = await underway.watched()
    if (reason) {
      await this.#goBack(underway, reason)
      throw reason
    }
    this.#underway = undefined
    old.tally = next.tally = undefined
    this.#previous = old.candidate
    this.#tell(underway, 'draining')
    const progress = setInterval(() => this.#tell(underway, 'draining'), progressMs).unref()
    const { drained, error } = await this.#retire(old, options.drainMs)
    clearInterval(progress)
    this.#tell(underway, 'done', error, drained)
    return this.#report(underway, 'swapped', drained)
  }

  async #endShareOnFailure(underway: Underway<ComponentTypes[K]>): Promise<void> {
    const reason = await underway.ended
    if (reason && this.#sharing && this.#underway === underway)
      await this.#inTurn(() => this.#goBack(underway, reason)).catch(() => undefined)
  }

  #switch(next: Generation<ComponentTypes[K]>, old: Generation<ComponentTypes[K]>): void {
    this.#keeper.switched?.(next, old)
    this.#current = next
    next.candidate.taken?.()
  }

  /** Sends calls to the old component again, and gives up the new one. */
  async #goBack(underway: Underway<ComponentTypes[K]>, reason: Error): Promise<void> {
    if (this.#underway !== underway) return
    const { old, next, options } = underway
    if (this.#current === next) {
      try {
        await this.#keeper.prepare?.(old, { ...options, copy: false })
        this.#switch(old, next)
      } catch (error) {
        await this.#stay(underway, error as Error)
      }
      // Who could not be told finds out from the component that goes.
      await this.#keeper.settled?.(old, next).catch(() => undefined)
    }
    await this.#abandon(underway, reason)
  }

  /** Gives up the old component, as calls cannot go back to it. */
  async #stay(underway: Underway<ComponentTypes[K]>, cause: Error): Promise<never> {
    const { old, next, options } = underway
    const error = new ServiceError(
      'unavailable',
      `calls stay on ${next.label}, as they cannot go back to ${old.label}: ${cause.message}`,
      { cause },
    )
    this.#underway = undefined
    old.tally = next.tally = undefined
    this.#previous = old.candidate
    const { drained } = await this.#retire(old, options.drainMs)
    this.#tell(underway, 'done', error, drained)
    throw error
  }

  async #abandon(underway: Underway<ComponentTypes[K]>, reason: Error): Promise<void> {
    this.#sharing = false
    this.#underway = undefined
    const { old, next, options } = underway
    old.tally = undefined
    this.#tell(underway, 'went-back', reason)
    await this.#retire(next, options.drainMs)
  }

  /** Lets what is under way on a component end, until the deadline, and disposes it. What fails then has no effect on the other. */
  async #retire(
    generation: Generation<ComponentTypes[K]>,
    drainMs: number,
  ): Promise<{ readonly drained: boolean; readonly error: Error | undefined }> {
    const deadline = performance.now() + drainMs
    let error: Error | undefined
    const keep = (thrown: unknown) => (error ??= thrown as Error)
    await this.#keeper.release?.(generation, drainMs).catch(keep)
    const drained = await generation.idle(Math.max(0, deadline - performance.now()))
    await generation.release().catch(keep)
    return { drained, error }
  }

  /** Settles with the first component, or with why there is none. */
  #awaited(): Promise<void> {
    const ready = new Promise<void>((resolve, reject) => {
      this.#filled = resolve
      this.#failed = reject
    })
    ready.catch(() => undefined)
    return ready
  }

  /** Waits for the swaps before, whatever came of them. */
  #inTurn<R>(work: () => Promise<R>): Promise<R> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }

  #call(name: string, a: unknown, b: unknown, c: unknown): Promise<unknown> {
    if (this.#current && !this.#sharing) return this.#current.call(name, a, b, c)
    return this.#callLater(name, a, b, c)
  }

  async #callLater(name: string, a: unknown, b: unknown, c: unknown): Promise<unknown> {
    return (this.#current ? this.pick() : await this.take()).call(name, a, b, c)
  }

  #require(): ComponentTypes[K] & object {
    if (!this.#current) throw this.#missingError()
    return this.#current.component
  }

  #report(
    { old, next, since }: Pick<Underway<ComponentTypes[K]>, 'old' | 'next' | 'since'>,
    outcome: SwapReport['outcome'],
    drained: boolean,
  ): SwapReport {
    return { from: old.label, to: next.label, outcome, drained, durationMs: performance.now() - since }
  }

  #tell(
    about: Pick<Underway<ComponentTypes[K]>, 'old' | 'options' | 'since' | 'share'> & {
      readonly next: { readonly label: string }
    },
    phase: SwapPhase,
    error?: Error,
    drained?: boolean,
  ): void {
    this.#options.tell?.({
      type: this.type,
      slot: this.name,
      phase,
      from: about.old.label,
      to: about.next.label,
      by: about.options.by,
      durationMs: performance.now() - about.since,
      active: about.old.active,
      drained,
      share: about.share,
      error,
    })
  }

  #missingError(): ServiceError {
    return this.#closed
      ? this.#closedError()
      : new ServiceError('unavailable', `the service has no ${this.type} yet; start it first`)
  }

  #closedError(): ServiceError {
    return new ServiceError('closed', `the ${this.type} of the service was closed`)
  }
}
