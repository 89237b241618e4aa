import type { Logger } from '@micrograft/contracts'
import type { SwapEvent } from '../components/swap-options.js'

/** Logs how a swap ended, and, for who debugs, its steps. */
export function logSwap(
  log: Logger | undefined,
  { phase, slot, from, to, by, durationMs, drained, error }: SwapEvent,
): void {
  const fields = { slot, from, to, by, durationMs: Math.round(durationMs) }
  if (phase === 'failed' || phase === 'went-back') log?.warn(`swap ${phase}`, { ...fields, error })
  else if (phase === 'done') log?.info('swapped', { ...fields, drained, ...(error ? { error } : {}) })
  else log?.debug(`swap ${phase}`, fields)
}
