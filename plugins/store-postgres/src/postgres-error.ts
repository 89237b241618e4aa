import { ServiceError, type ErrorCode } from '@micrograft/contracts'

/** By SQLSTATE, or the class that its first two characters are (PostgreSQL, appendix A). */
const codes: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  '08': ['unavailable', 'is the server running?'],
  '28': ['unauthenticated', 'correct user and password'],
  '3D000': ['not-found', 'make the database, or name another'],
  '3F000': ['not-found', 'make the schema'],
  '42P01': ['not-found', 'make the table, or leave createTable on'],
  '42501': ['forbidden', 'grant it to the user'],
  '42703': ['conflict', "the table is not this store's; name another"],
  '42804': ['conflict', "the table is not this store's; name another"],
  '42809': ['conflict', "the table is not this store's; name another"],
  '53300': ['overloaded', 'raise max_connections, or lower maxConnections'],
  '53': ['unavailable', 'give the server room'],
  '54': ['too-large', 'split the value'],
  '55P03': ['timeout', 'another transaction keeps a lock'],
  '57014': ['timeout', 'try again'],
  '57': ['unavailable', 'try again when the server is back'],
  '25006': ['unavailable', 'this server takes no writes; name the one that does'],
  '40': ['unavailable', 'try again'],
}

/** What pg and PostgreSQL fail with, as a `ServiceError`. */
export function postgresError(what: string, cause: unknown): ServiceError {
  if (cause instanceof ServiceError) return cause
  const { code = '', message = '' } = cause as { code?: string; message?: string }
  const state = /^[0-9A-Z]{5}$/.test(code)
  const known = state ? (codes[code] ?? codes[code.slice(0, 2)]) : undefined
  if (known) return new ServiceError(known[0], `${what}: ${message}; ${known[1]}`, { cause })
  if (state) return new ServiceError('internal', `${what}: ${message}`, { cause })
  if (message === 'Query read timeout' || message.startsWith('timeout exceeded'))
    return new ServiceError('timeout', `${what}: no answer in time; is the server overloaded?`, { cause })
  return new ServiceError('unavailable', `${what}: ${message || code}; is the server running?`, { cause })
}

/** Whether the server knows a prepared statement no more, or not as it was: it did nothing then. */
export function isForgotten(error: unknown): boolean {
  const { code, message = '' } = error as { code?: string; message?: string }
  return code === '26000' || code === '42P05' || (code === '0A000' && message.includes('cached plan'))
}

/** Whether a server that takes no writes refused one. */
export function isReadOnly(error: unknown): boolean {
  return (error as { code?: string }).code === '25006'
}

/** Whether the next address may do better: nothing was sent yet, or this server is none that writes. */
export function isElsewhere(error: unknown): boolean {
  const { code = '', message = '' } = error as { code?: string; message?: string }
  // The pool's own: all its connections are in use.
  if (message === 'timeout exceeded when trying to connect') return false
  return !/^[0-9A-Z]{5}$/.test(code) || /^(57|08)/.test(code) || isReadOnly(error)
}
