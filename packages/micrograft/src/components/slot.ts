import type { ComponentType, ComponentTypes } from '@micrograft/contracts'
import type { Candidate, Generation } from './generation.js'
import type { Keeper, SlotView } from './keeper.js'
import { makeReference } from './reference.js'
import { Seat } from './seat.js'
import { SlotSwaps } from './slot-swaps.js'
import type { TellSwap } from './swap-news.js'
import type { SlotReport, SwapOptions, SwapReport } from './swap-options.js'

export interface SlotOptions<T> {
  /** E.g. `client`, or `handler greeter`. @default the type */
  readonly name?: string | undefined
  /** Called when a component is needed and none is there yet; it ends in `fill` or `fail`. */
  readonly begin?: (() => void) | undefined
  readonly keeper?: ((slot: SlotView<T>) => Keeper<T>) | undefined
  readonly tell?: TellSwap | undefined
  /** Whether calls may be shared between two components. @default false */
  readonly shares?: boolean | undefined
}

/**
 * The place in a service where a component sits, and the only way to it: a seat that calls go to, and
 * the swaps that put another component there. Until the switch of a swap nothing has changed; the
 * switch is one assignment; a call ends on the component where it began.
 */
export class Slot<K extends ComponentType> implements AsyncDisposable, SlotView<ComponentTypes[K]> {
  readonly type: K
  readonly name: string
  /** The component as everybody else holds it: a reference that stays right when the slot is swapped. */
  readonly reference: ComponentTypes[K]
  readonly #seat: Seat<ComponentTypes[K]>
  readonly #swaps: SlotSwaps<ComponentTypes[K]>

  constructor(
    type: K,
    { name = type, begin, keeper, tell, shares = false }: SlotOptions<ComponentTypes[K]> = {},
  ) {
    this.type = type
    this.name = name
    const seat = new Seat<ComponentTypes[K]>(type, begin)
    const kept = keeper?.(seat) ?? { methods: {} }
    this.#seat = seat
    this.#swaps = new SlotSwaps({ type, name, seat, keeper: kept, shares, tell })
    this.reference = makeReference(type, seat, kept.methods)
  }

  get current(): Generation<ComponentTypes[K]> | undefined {
    return this.#seat.current
  }

  /** What all calls go to; `undefined` while two share them. */
  get only(): Generation<ComponentTypes[K]> | undefined {
    return this.#seat.only
  }

  /** All that calls go to: one, or two that share them. */
  get serving(): readonly Generation<ComponentTypes[K]>[] {
    return this.#seat.serving
  }

  /** What sits here, e.g. `nats 1.2.0`; `undefined` while nothing does. */
  get label(): string | undefined {
    return this.#seat.current?.label
  }

  take(): Promise<Generation<ComponentTypes[K]>> {
    return this.#seat.take()
  }

  /** The generation for a call that begins now: the current one, or by the share that the next one has. */
  pick(): Generation<ComponentTypes[K]> {
    return this.#seat.pick()
  }

  /** Puts the first component in. */
  fill(candidate: Candidate<ComponentTypes[K]>, component: ComponentTypes[K]): void {
    this.#seat.fill(candidate, component)
  }

  /** Says that no component comes: calls that wait for it fail, and a later one asks for it again. */
  fail(error: unknown): void {
    this.#seat.fail(error)
  }

  /**
   * Makes another component and sends calls to it. Swaps of one slot go one after another; one that
   * comes while the last is still watched takes that for good.
   *
   * @throws what making it failed with: nothing has changed then. `conflict` while two components share
   *   calls, `unsupported` for a share where there is none, and what made it go back.
   */
  swap(candidate: Candidate<ComponentTypes[K]>, options: SwapOptions = {}): Promise<SwapReport> {
    return this.#swaps.swap(candidate, options)
  }

  /**
   * Gives the component that has a part of the calls another part; 1 is all, and ends the swap.
   * @throws `not-found` where no two components share calls, `canceled` where the swap was given up
   *   meanwhile, `invalid-option`.
   */
  share(share: number): Promise<SwapReport> {
    return this.#swaps.share(share)
  }

  /**
   * Goes back: ends a share, or undoes a switch that is still watched, or makes the component of before again.
   * @throws `not-found` where there is nothing to go back to.
   */
  rollback(by = 'code'): Promise<SwapReport> {
    return this.#swaps.rollback(by)
  }

  report(): SlotReport {
    const { current, shared } = this.#seat
    const { underway, previous } = this.#swaps
    const tally = ({ label, tally: seen }: Generation<unknown>) => (seen ? { [label]: seen.report() } : {})
    return {
      slot: this.name,
      type: this.type,
      current: this.label ?? '',
      previous: underway && !shared ? underway.old.label : previous?.label,
      next: underway?.next.label,
      share: underway && (shared ? underway.share : 1),
      active: (current?.active ?? 0) + (shared?.next.active ?? 0),
      tallies: underway && { ...tally(underway.old), ...tally(underway.next) },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#seat.close()
    await this.#swaps.end()
    await this.#seat.empty()?.release()
  }
}
