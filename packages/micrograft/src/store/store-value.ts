import { ServiceError } from '@micrograft/contracts'
import { requireSize } from '@micrograft/plugin-kit'

/** @throws `bad-request` unless `value` is bytes, `too-large` for more than `maxBytes` of them. */
export function requireValue(key: string, value: unknown, maxBytes: number): void {
  if (!(value instanceof Uint8Array))
    throw new ServiceError(
      'bad-request',
      `the value of ${key} is ${value === null ? 'null' : typeof value}; a store takes a Uint8Array`,
    )
  requireSize(key, value, maxBytes)
}
