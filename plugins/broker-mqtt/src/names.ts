import { aCount, requireNumber } from '@micrograft/contracts'

/** @throws `invalid-option` unless it is a whole number that MQTT's receive maximum can be. */
export function requireConcurrency(concurrency: number): void {
  requireNumber('concurrency', concurrency, { ...aCount, max: 65_535 })
}
