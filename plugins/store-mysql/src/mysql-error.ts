import { ServiceError, type ErrorCode } from '@micrograft/contracts'
import { timedOut } from './call-time.js'

/** By the server's name of the error. */
const codes: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ER_ACCESS_DENIED_ERROR: ['unauthenticated', 'correct user and password'],
  ER_ACCESS_DENIED_NO_PASSWORD_ERROR: ['unauthenticated', 'give a password'],
  ER_DBACCESS_DENIED_ERROR: ['forbidden', 'grant it to the user'],
  ER_TABLEACCESS_DENIED_ERROR: ['forbidden', 'grant it to the user'],
  ER_BAD_DB_ERROR: ['not-found', 'make the database, or name another'],
  ER_NO_SUCH_TABLE: ['not-found', 'make the table, or leave createTable on'],
  ER_BAD_FIELD_ERROR: ['conflict', "the table is not this store's; name another"],
  ER_CON_COUNT_ERROR: ['overloaded', 'raise max_connections, or lower maxConnections'],
  ER_TOO_MANY_USER_CONNECTIONS: ['overloaded', 'raise max_user_connections, or lower maxConnections'],
  ER_USER_LIMIT_REACHED: ['overloaded', "raise the account's limit, or lower maxConnections"],
  ER_MAX_PREPARED_STMT_COUNT_REACHED: ['overloaded', 'raise max_prepared_stmt_count'],
  ER_NET_PACKET_TOO_LARGE: ['too-large', 'split the value, or raise max_allowed_packet'],
  ER_DATA_TOO_LONG: ['too-large', 'split the value'],
  ER_LOCK_DEADLOCK: ['unavailable', 'try again'],
  ER_LOCK_WAIT_TIMEOUT: ['timeout', 'try again'],
  ER_QUERY_INTERRUPTED: ['timeout', 'try again'],
  ER_STATEMENT_TIMEOUT: ['timeout', 'try again'],
  ER_SERVER_SHUTDOWN: ['unavailable', 'try again when the server is back'],
  ER_OPTION_PREVENTS_STATEMENT: ['unavailable', 'this server takes no writes; name the one that does'],
  ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: ['unavailable', 'name the server that takes writes'],
  ER_DISK_FULL: ['unavailable', 'give the server room'],
  ER_RECORD_FILE_FULL: ['unavailable', 'give the server room'],
}

/** What the library says where more calls wait than may. */
const queueFull = 'Queue limit reached.'

/** What mysql2 and the server fail with, as a `ServiceError`. */
export function mysqlError(what: string, cause: unknown): ServiceError {
  if (cause instanceof ServiceError) return cause
  const {
    code = '',
    message = '',
    sqlState,
  } = cause as Partial<Record<'code' | 'message' | 'sqlState', string>>
  const known = codes[code]
  if (known) return new ServiceError(known[0], `${what}: ${message}; ${known[1]}`, { cause })
  // MariaDB's number for an account that is locked is another error's in the library's table.
  if (message.startsWith('Access denied'))
    return new ServiceError('unauthenticated', `${what}: ${message}`, { cause })
  if (message === queueFull)
    return new ServiceError(
      'overloaded',
      `${what}: too many calls wait; slow down, or raise maxConnections`,
      { cause },
    )
  if (code === timedOut)
    return new ServiceError('timeout', `${what}: no answer in time; is the server overloaded?`, { cause })
  // The states of class 08 are about the connection.
  if (sqlState !== undefined && !sqlState.startsWith('08'))
    return new ServiceError('internal', `${what}: ${message}`, { cause })
  return new ServiceError('unavailable', `${what}: ${message || code}; is the server running?`, { cause })
}

/** Whether the server refused the statement, and its connection is as it was. */
export function isRefusal(error: unknown): boolean {
  const { sqlState, fatal } = error as { sqlState?: string; fatal?: boolean }
  return sqlState !== undefined && !sqlState.startsWith('08') && fatal !== true
}

/** Whether a server that takes no writes refused one. */
export function isReadOnly(error: unknown): boolean {
  const { code = '' } = error as { code?: string }
  return /READ_ONLY|OPTION_PREVENTS/.test(code)
}

/** Whether the next address may do better. */
export function isElsewhere(error: unknown): boolean {
  const { code = '', message } = error as { code?: string; message?: string }
  if (message === queueFull) return false
  return !isRefusal(error) || isReadOnly(error) || code === 'ER_SERVER_SHUTDOWN'
}
