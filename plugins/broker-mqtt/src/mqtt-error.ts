import { ServiceError, type ErrorCode } from '@micrograft/contracts'

/** What reason codes mean, MQTT 5 §2.4; what is not here is the connection's: `unavailable`. */
const codes: Readonly<Record<number, ErrorCode>> = {
  129: 'protocol',
  130: 'protocol',
  132: 'protocol',
  133: 'invalid-option',
  134: 'unauthenticated',
  135: 'forbidden',
  138: 'forbidden',
  140: 'unauthenticated',
  143: 'bad-request',
  144: 'bad-request',
  147: 'protocol',
  149: 'too-large',
  150: 'overloaded',
  151: 'overloaded',
  153: 'bad-request',
  155: 'unsupported',
  158: 'unsupported',
  159: 'overloaded',
}

interface LibraryError extends Error {
  readonly code?: string | number
  /** The answer to a subscription, which has a code for each topic. */
  readonly packet?: { readonly granted?: readonly number[] }
}

/** @param what What failed, on what, e.g. `cannot publish to orders`. */
export function mqttError(error: unknown, what: string): ServiceError {
  if (error instanceof ServiceError) return error
  const { message, code, packet } = error as LibraryError
  const reason = code ?? packet?.granted?.find((each) => each >= 128)
  const known = typeof reason === 'number' ? codes[reason] : undefined
  return new ServiceError(known ?? 'unavailable', `${what}: ${message}`, { cause: error })
}

/** As `mqttError`, for an answer to a login: a server that does not know the user may call it not authorized. */
export function loginError(error: unknown, what: string): ServiceError {
  const { code, message, cause } = mqttError(error, what)
  return new ServiceError(code === 'forbidden' ? 'unauthenticated' : code, message, { cause })
}
