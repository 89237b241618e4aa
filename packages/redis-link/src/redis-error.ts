import { ServiceError, type ErrorCode } from '@micrograft/contracts'
import { ErrorReply } from 'redis'

interface Meaning {
  readonly code: ErrorCode
  readonly advice: string
}

/** By the first word of what the server replies. */
const replies: Readonly<Record<string, Meaning>> = {
  WRONGPASS: { code: 'unauthenticated', advice: 'give the right username and password' },
  NOAUTH: { code: 'unauthenticated', advice: 'give a username and password' },
  NOPERM: { code: 'forbidden', advice: 'let the user run the command on the keys of the prefix' },
  DENIED: { code: 'forbidden', advice: 'set a password on the server' },
  OOM: { code: 'overloaded', advice: 'give the server more memory, or let entries go' },
  WRONGTYPE: { code: 'conflict', advice: 'something else uses the key; choose another prefix' },
  LOADING: { code: 'unavailable', advice: 'the server is starting' },
  BUSY: { code: 'unavailable', advice: 'a script keeps the server busy' },
  READONLY: { code: 'unavailable', advice: 'it is a replica now; add the address of the primary' },
  MASTERDOWN: { code: 'unavailable', advice: 'it is a replica without its primary' },
  NOREPLICAS: { code: 'unavailable', advice: 'the server waits for its replicas' },
  MISCONF: { code: 'unavailable', advice: 'the server cannot write its disk' },
  TRYAGAIN: { code: 'unavailable', advice: 'try again' },
  MOVED: { code: 'unsupported', advice: 'a cluster is not supported; use a server with its replicas' },
  ASK: { code: 'unsupported', advice: 'a cluster is not supported; use a server with its replicas' },
  CLUSTERDOWN: { code: 'unsupported', advice: 'a cluster is not supported; use a server with its replicas' },
}

/**
 * What the library or the server failed with, as a `ServiceError`.
 *
 * @param where The server's address; no user and no password.
 */
export function redisError(error: unknown, where: string): ServiceError {
  if (error instanceof ServiceError) return error
  const message = error instanceof Error ? error.message || error.name : String(error)
  if (!(error instanceof ErrorReply)) {
    // The encoder's only complaint: an argument that is neither a text nor bytes.
    const code = error instanceof TypeError ? 'internal' : 'unavailable'
    const advice = code === 'unavailable' ? '; is the server running, and reachable from here?' : ''
    return new ServiceError(code, `cannot use redis at ${where}: ${message}${advice}`, { cause: error })
  }
  const { code, advice } = meaningOf(message)
  return new ServiceError(code, `redis at ${where} refused: ${message}; ${advice}`, { cause: error })
}

function meaningOf(message: string): Meaning {
  const [first = ''] = message.split(' ', 1)
  if (Object.hasOwn(replies, first)) return replies[first] as Meaning
  // What a script may not do has no first word of its own, or that of the script's error.
  if (/user executing the script can't|ACL failure in script/i.test(message))
    return replies['NOPERM'] as Meaning
  if (/invalid (multi)?bulk length/i.test(message) || /string exceeds maximum allowed size/i.test(message))
    return { code: 'too-large', advice: 'send less, or raise proto-max-bulk-len' }
  if (/DB index is out of range/i.test(message))
    return { code: 'invalid-option', advice: 'choose another database, or raise databases of the server' }
  if (/max number of clients/i.test(message))
    return { code: 'unavailable', advice: 'raise the maxclients of the server' }
  if (/unknown (sub)?command|syntax error/i.test(message))
    return { code: 'unsupported', advice: 'redis 6.2 or newer is needed' }
  return { code: 'internal', advice: 'this is unexpected' }
}
