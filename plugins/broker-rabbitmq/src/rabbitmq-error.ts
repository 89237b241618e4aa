import { ServiceError, type ErrorCode } from '@micrograft/contracts'

/** What the codes of AMQP and of the library mean; what is not here is the connection's: `unavailable`. */
const codes: Readonly<Record<string, ErrorCode>> = {
  ACCESS_REFUSED: 'forbidden',
  NOT_ALLOWED: 'forbidden',
  NOT_FOUND: 'not-found',
  RESOURCE_LOCKED: 'conflict',
  PRECONDITION_FAILED: 'conflict',
  CONTENT_TOO_LARGE: 'too-large',
  RESOURCE_ERROR: 'overloaded',
  NACK: 'overloaded',
  NOT_IMPLEMENTED: 'unsupported',
  INTERNAL_ERROR: 'internal',
  CLOSED: 'closed',
  FRAME_ERROR: 'protocol',
  SYNTAX_ERROR: 'protocol',
  COMMAND_INVALID: 'protocol',
  CHANNEL_ERROR: 'protocol',
  UNEXPECTED_FRAME: 'protocol',
  VERSION_MISMATCH: 'protocol',
}

/** @param what What failed, on what, e.g. `cannot publish to orders`. */
export function rabbitmqError(error: unknown, what: string): ServiceError {
  if (error instanceof ServiceError) return error
  const { message, name, code = '' } = error as Error & { readonly code?: string | number }
  return new ServiceError(codeOf(String(code), name, message), `${what}: ${message}`, { cause: error })
}

/** Whether no other address and no other moment helps: the login is wrong. */
export function isRefusal({ code }: ServiceError): boolean {
  return code === 'unauthenticated' || code === 'forbidden' || code === 'protocol'
}

function codeOf(code: string, name: string, message: string): ErrorCode {
  // A login is refused on the connection, a resource on a channel.
  if (code === 'ACCESS_REFUSED' && name === 'AMQPConnectionError') return 'unauthenticated'
  if (code === 'PRECONDITION_FAILED' && message.includes('message size')) return 'too-large'
  if (code === 'CODEC' && message.includes('exceeds maximum')) return 'too-large'
  return codes[code] ?? 'unavailable'
}
