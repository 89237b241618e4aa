import { ServiceError } from '@micrograft/contracts'

/** @throws `invalid-option` unless it is a whole number that MQTT's receive maximum can be. */
export function requireConcurrency(concurrency: number): void {
  if (Number.isSafeInteger(concurrency) && concurrency >= 1 && concurrency <= 65_535) return
  throw new ServiceError(
    'invalid-option',
    `concurrency is ${String(concurrency)}; give a whole number from 1 to 65535`,
  )
}
