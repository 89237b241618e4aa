import type { ComponentType } from '@micrograft/contracts'
import type { ResolvedSwapOptions, SwapEvent, SwapPhase, SwapReport } from './swap-options.js'

/** Tells an event of a slot; the service adds its own name. */
export type TellSwap = (event: Omit<SwapEvent, 'service'>) => void

/** The two components of a swap, and since when it lasts. */
export interface SwapSides {
  readonly old: { readonly label: string; readonly active: number }
  readonly next: { readonly label: string }
  /** As `performance.now` has it. */
  readonly since: number
}

/** What an event tells of a swap. */
export interface SwapSubject extends SwapSides {
  readonly options: Pick<ResolvedSwapOptions, 'by'>
  readonly share: number
}

/** Tells of each step of the swaps of one slot. */
export class SwapNews {
  readonly #type: ComponentType
  readonly #slot: string
  readonly #tell: TellSwap | undefined

  constructor(type: ComponentType, slot: string, tell: TellSwap | undefined) {
    this.#type = type
    this.#slot = slot
    this.#tell = tell
  }

  tell(
    { old, next, options, since, share }: SwapSubject,
    phase: SwapPhase,
    error?: Error,
    drained?: boolean,
  ): void {
    this.#tell?.({
      type: this.#type,
      slot: this.#slot,
      phase,
      from: old.label,
      to: next.label,
      by: options.by,
      durationMs: performance.now() - since,
      active: old.active,
      drained,
      share,
      error,
    })
  }
}

export function swapReport(
  { old, next, since }: SwapSides,
  outcome: SwapReport['outcome'],
  drained: boolean,
): SwapReport {
  return { from: old.label, to: next.label, outcome, drained, durationMs: performance.now() - since }
}
