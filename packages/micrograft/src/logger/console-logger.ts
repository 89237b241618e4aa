import {
  resolveOptions,
  ServiceError,
  type Logger,
  type LogFields,
  type LogLevel,
} from '@micrograft/contracts'
import { plainFields } from './plain-fields.js'

export interface ConsoleLoggerOptions {
  /** The least that is written. @default `info` */
  readonly level?: LogLevel | undefined
  /** `json` is one object a line; `text` is for people. @default `text` on a terminal, else `json` */
  readonly format?: 'json' | 'text' | undefined
  /** What takes the lines. @default standard error, so that a program's output stays its own */
  readonly write?: ((line: string) => void) | undefined
}

const levels: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error']

/** Writes events as lines. */
export function consoleLogger(options?: ConsoleLoggerOptions): Logger {
  const { level, format, write } = resolveOptions(
    'the options of the console logger',
    {
      level: 'info' as const,
      format: process.stderr.isTTY ? ('text' as const) : ('json' as const),
      write: (line: string) => void process.stderr.write(line),
    },
    options,
  )
  if (!levels.includes(level))
    throw new ServiceError(
      'invalid-option',
      `the log level ${JSON.stringify(level)} is none of ${levels.join(', ')}`,
    )
  if (format !== 'json' && format !== 'text')
    throw new ServiceError(
      'invalid-option',
      `the format of the log ${JSON.stringify(format)} is none of json, text`,
    )
  return make(levels.indexOf(level), format === 'json' ? jsonLine : textLine, write, {})
}

type Format = (level: LogLevel, event: string, fields: LogFields) => string

function make(least: number, format: Format, write: (line: string) => void, bound: LogFields): Logger {
  const log = (level: LogLevel) => (event: string, fields?: LogFields) => {
    if (levels.indexOf(level) < least) return
    try {
      write(format(level, event, plainFields({ ...bound, ...fields })))
    } catch {
      // A log that cannot be written must not fail what it tells of.
    }
  }
  return {
    enabled: (level) => levels.indexOf(level) >= least,
    trace: log('trace'),
    debug: log('debug'),
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
    child: (fields) => make(least, format, write, { ...bound, ...fields }),
  }
}

function jsonLine(level: LogLevel, event: string, fields: LogFields): string {
  return `${JSON.stringify({ time: new Date().toISOString(), level, event, ...fields })}\n`
}

function textLine(level: LogLevel, event: string, fields: LogFields): string {
  const shown = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  const said = `${event}${shown.length > 0 ? `  ${shown.join(' ')}` : ''}`
  return `${new Date().toISOString().slice(11, 23)} ${level.padEnd(5)} ${oneLine(said)}\n`
}

/** What a peer says must not look like another line, or reach the terminal. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (char) =>
    char === '\n' ? '\\n' : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
