import { requireLimits, ServiceError } from '@micrograft/contracts'
import type { Strategy } from './selection-view.js'

/** How nodes are chosen, and when one is put aside. */
export interface ChoiceOptions {
  /** `random`, `round-robin`, or `least-loaded`: the one of two random nodes with fewer calls under way. @default random */
  readonly strategy?: Strategy | undefined
  /** Errors of a node in a row after which it is put aside. @default 3 */
  readonly maxFailures?: number | undefined
  /** How long a node is put aside the first time, in milliseconds; each further time twice as long. @default 5000 */
  readonly asideMs?: number | undefined
  /** Longest time that a node is put aside, in milliseconds. @default 60_000 */
  readonly maxAsideMs?: number | undefined
  /** Milliseconds of a clock that never goes back, for tests. @default performance.now */
  readonly now?: (() => number) | undefined
  /** At least 0, below 1, for tests. @default Math.random */
  readonly random?: (() => number) | undefined
}

export type Choice = { readonly [K in keyof ChoiceOptions]-?: Exclude<ChoiceOptions[K], undefined> }

export const choiceDefaults: Choice = {
  strategy: 'random',
  maxFailures: 3,
  asideMs: 5000,
  maxAsideMs: 60_000,
  now: () => performance.now(),
  random: () => Math.random(),
}

const strategies: readonly Strategy[] = ['random', 'round-robin', 'least-loaded']

/** @throws `invalid-option` */
export function checkChoice({ strategy, maxFailures, asideMs, maxAsideMs }: Choice): void {
  if (!strategies.includes(strategy)) {
    throw new ServiceError(
      'invalid-option',
      `there is no strategy ${JSON.stringify(strategy)}; there are ${strategies.join(', ')}`,
    )
  }
  requireLimits('the options of the selector', { maxFailures, asideMs, maxAsideMs })
}
