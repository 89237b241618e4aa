import { ServiceError, type ErrorCode } from '@micrograft/contracts'

/** By SQLite's primary result code (sqlite.org/rescode.html). */
const codes: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  3: ['forbidden', 'give the user access to the file'],
  5: ['timeout', 'another process keeps the database locked'],
  6: ['timeout', 'the table is locked'],
  8: ['forbidden', 'let the user write the file and its folder'],
  10: ['unavailable', 'look after the disk'],
  11: ['unavailable', 'restore it, or move it away'],
  13: ['unavailable', 'make room on the disk'],
  14: ['unavailable', 'correct the path'],
  18: ['too-large', 'split the value'],
  26: ['unavailable', 'it is no database; name another file'],
}

/** What SQLite and the file system fail with, as a `ServiceError`. */
export function sqliteError(path: string, cause: unknown): ServiceError {
  if (cause instanceof ServiceError) return cause
  const { errcode, message } = cause as { errcode?: number; message: string }
  const what = `the sqlite store cannot use ${path}: ${message}`
  if (errcode === undefined) return new ServiceError('unavailable', what, { cause })
  // Code 1 stands for whatever is wrong with a statement.
  if (message.includes('no such table'))
    return new ServiceError('not-found', `${what}; make the table, or leave createTable on`, { cause })
  if (message.includes('no such column'))
    return new ServiceError('conflict', `${what}; the table is not this store's: name another`, { cause })
  const [code, step] = codes[errcode & 0xff] ?? ['internal', 'is the file whole?']
  return new ServiceError(code, `${what}; ${step}`, { cause })
}

/** Whether another connection is in the way, which passes. */
export function isBusy(error: unknown): boolean {
  const { errcode = 0 } = error as { errcode?: number }
  return [5, 6].includes(errcode & 0xff)
}
