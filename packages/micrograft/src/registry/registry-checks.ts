import { ServiceError } from '@micrograft/contracts'

export function closedError(name: string): ServiceError {
  return new ServiceError('closed', `the ${name} registry is closed; open another`)
}

/** Milliseconds, `Infinity` where there is no limit. @throws `invalid-option` */
export function ttlOf(ttlMs: number | undefined): number {
  if (ttlMs === undefined) return Infinity
  if (typeof ttlMs === 'number' && ttlMs > 0) return ttlMs
  throw new ServiceError('invalid-option', `a time to live of ${ttlMs} ms is none; give a number above 0`)
}
