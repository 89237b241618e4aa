import assert from 'node:assert/strict'
import type { Logger, LogLevel } from '@micrograft/contracts'
import type { Case } from './case.js'

/** A logger at level `info` and what it has written, a line an event. */
export interface LoggerSubject extends Partial<AsyncDisposable> {
  readonly logger: Logger
  readonly lines: readonly string[]
}

const levels: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error']

/** What every logger promises that writes. */
export const loggerCases: readonly Case<LoggerSubject>[] = [
  {
    name: 'writes events of its level and above, a line each',
    async run({ logger, lines }) {
      for (const level of levels) logger[level](`event ${level}`, { n: 1 })
      assert.equal(lines.length, 3)
      for (const [i, level] of ['info', 'warn', 'error'].entries())
        assert.match(lines[i] as string, new RegExp(`${level}.*event ${level}`))
      assert.deepEqual(
        levels.map((level) => logger.enabled(level)),
        [false, false, true, true, true],
      )
    },
  },
  {
    name: 'writes fields, those of its parents too',
    async run({ logger, lines }) {
      logger.child({ component: 'broker nats' }).child({ attempt: 2 }).warn('reconnecting', { delayMs: 50 })
      for (const part of ['reconnecting', 'broker nats', 'attempt', '2', 'delayMs', '50'])
        assert.ok(lines[0]?.includes(part), part)
    },
  },
  {
    name: 'writes errors with their stack and cause',
    async run({ logger, lines }) {
      logger.error('failed', { error: new Error('outer', { cause: new TypeError('inner') }) })
      for (const part of ['outer', 'inner', 'TypeError', 'logger-cases'])
        assert.ok(lines[0]?.includes(part), part)
    },
  },
  {
    name: 'never throws, whatever the fields, and writes one line for each',
    async run({ logger, lines }) {
      const circular: Record<string, unknown> = { n: 1n, f: () => 1, s: Symbol('x'), line: 'a\nb' }
      circular['self'] = circular
      const hostile = {
        get boom(): never {
          throw new Error('boom')
        },
      }
      logger.info('odd', { circular, hostile, deep: deep(100) })
      logger.info('next')
      assert.ok(lines.every((line) => line.trimEnd().split('\n').length === 1))
      assert.ok(lines.some((line) => line.includes('next')))
    },
  },
]

function deep(levels: number): unknown {
  return levels === 0 ? 'end' : { in: deep(levels - 1) }
}
