import { ServiceError, type ErrorCode } from '@micrograft/contracts'

/** The errors of the client library, by name: a class would not be the same one in every copy of it. */
const byName: Readonly<Record<string, ErrorCode>> = {
  AuthorizationError: 'unauthenticated',
  UserAuthenticationExpiredError: 'unauthenticated',
  PermissionViolationError: 'forbidden',
  TimeoutError: 'timeout',
  NoResponders: 'unavailable',
  RequestError: 'unavailable',
  ConnectionError: 'unavailable',
  ClosedConnectionError: 'unavailable',
  DrainingConnectionError: 'unavailable',
  InvalidSubjectError: 'bad-request',
  JetStreamNotEnabled: 'unavailable',
  ProtocolError: 'protocol',
}

/** Of the numbers of JetStream's own errors those that say more than their HTTP status: nats-server, `errors.json`. */
const byNumber: Readonly<Record<number, ErrorCode>> = {
  10002: 'overloaded', // more consumers, streams or storage than the account may have
  10023: 'overloaded',
  10026: 'overloaded',
  10028: 'overloaded',
  10039: 'unsupported', // JetStream is off for the account
  10047: 'overloaded', // the disk, or what JetStream may use of it, is full
  10048: 'overloaded',
  10054: 'too-large',
  10071: 'conflict',
  10076: 'unsupported', // JetStream is off
  10077: 'overloaded', // the limit of a stream's messages or bytes is reached
}

const byStatus: Readonly<Record<number, ErrorCode>> = {
  400: 'bad-request',
  403: 'forbidden',
  404: 'not-found',
  408: 'timeout',
  409: 'conflict',
  503: 'unavailable',
}

interface Api {
  readonly code?: number
  readonly err_code?: number
}

/**
 * What the client library threw, as an error of the table.
 *
 * @param what Names what failed, e.g. `cannot publish on orders`.
 */
export function natsError(thrown: unknown, what: string): ServiceError {
  if (thrown instanceof ServiceError) return thrown
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const code = codeOf(error)
  return new ServiceError(code, `${what}: ${error.message || error.name}${nextStep[code] ?? ''}`, {
    cause: error,
  })
}

/** The number of JetStream's own error that was thrown, or is the cause of what was: nats-server, `errors.json`. */
export function jetStreamNumber(error: unknown): number | undefined {
  const { apiError, cause } = error as { apiError?: () => Api; cause?: unknown }
  if (typeof apiError === 'function') return apiError.call(error).err_code
  return cause === undefined ? undefined : jetStreamNumber(cause)
}

/** Whether nobody listens on the subject that a request went to, so that nothing was done. */
export function isUnheard(error: unknown): boolean {
  const { cause } = error as { cause?: { isNoResponders?: () => boolean } }
  return typeof cause?.isNoResponders === 'function' && cause.isNoResponders()
}

const nextStep: { readonly [K in ErrorCode]?: string } = {
  timeout: '; the server did not answer in time',
  unavailable: '; is the server running, and can it be reached?',
  unauthenticated: '; check user, password or token',
  forbidden: '; the server’s permissions do not allow it',
}

function codeOf(error: Error): ErrorCode {
  const { apiError } = error as { apiError?: () => Api }
  if (typeof apiError === 'function') {
    const { code = 500, err_code: number = 0 } = apiError.call(error)
    return byNumber[number] ?? byStatus[code] ?? 'internal'
  }
  if (error.message.includes('max_payload')) return 'too-large'
  // A request’s error says in its cause what the server refused.
  const known = byName[(error.cause as Error | undefined)?.name ?? ''] ?? byName[error.name]
  if (known) return known
  // What the system or TLS refuses has a text for a code, e.g. ECONNREFUSED.
  if (typeof (error as NodeJS.ErrnoException).code === 'string') return 'unavailable'
  return 'internal'
}
