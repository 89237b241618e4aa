import { ServiceError } from '@micrograft/contracts'

/** What the library throws of, as one error: it is always about the value or the bytes. */
export function cborError(what: string, cause: unknown): ServiceError {
  if (cause instanceof ServiceError) return cause
  const deep = cause instanceof RangeError && /call stack/i.test(cause.message)
  const reason = deep ? 'it is nested too deep, or holds itself' : (cause as Error).message
  return new ServiceError('bad-request', `${what}: ${reason}`, { cause })
}
