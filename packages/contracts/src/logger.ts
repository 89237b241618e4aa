export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'

/** Values by name. Errors are written with their stack and cause. */
export type LogFields = Readonly<Record<string, unknown>>

/**
 * Writes events. An event is a constant phrase with fields: `log.warn('reconnecting', { attempt })`.
 * No method throws, waits, or keeps a reference to a field after it returns. `pino` fits it.
 */
export interface Logger {
  /** Whether events of `level` are written, for fields that cost something to compute. */
  enabled(level: LogLevel): boolean
  trace(event: string, fields?: LogFields): void
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
  /** The same logger with fields on every event. */
  child(fields: LogFields): Logger
}
