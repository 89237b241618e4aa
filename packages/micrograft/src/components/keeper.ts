import type { Generation } from './generation.js'
import type { ResolvedSwapOptions } from './swap-options.js'

/** What a keeper sees of its slot. */
export interface SlotView<T> {
  /** The generation for what begins now; made where none is there yet. @throws what making it failed with, `closed`. */
  take(): Promise<Generation<T>>
  /** The one that calls go to, where there is one. */
  readonly current: Generation<T> | undefined
}

/**
 * Knows what outlives a call on a component of one type (a subscription, a watcher, a connection) and
 * so has to move when the component is swapped. It stands between the slot's reference and the
 * component for the methods that give such a thing.
 */
export interface Keeper<T> {
  /** Methods of the contract, in place of the component's own. */
  readonly methods: Readonly<Record<string, (...args: never[]) => unknown>>
  /** Makes on `next` what there is. Where it rejects, it has undone that. */
  prepare?(next: Generation<T>, options: ResolvedSwapOptions): Promise<void>
  /** Called in the turn in which calls go to `next` from `old`. Where it throws, they do not. */
  switched?(next: Generation<T>, old: Generation<T>): void
  /** Whatever others must be told of before the old component goes. */
  settled?(next: Generation<T>, old: Generation<T>): Promise<void>
  /** Ends on `old` what there is, gently until the deadline. */
  release?(old: Generation<T>, deadlineMs: number): Promise<void>
}
