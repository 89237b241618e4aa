import assert from 'node:assert/strict'
import type { Tracer } from '@micrograft/contracts'
import type { Case } from './case.js'

/** What every tracer promises. */
export const tracerCases: readonly Case<Tracer>[] = [
  {
    name: 'gives spans an identity as W3C Trace Context has it',
    async run(tracer) {
      const { traceId, spanId } = tracer.start('work', { kind: 'internal' }).context
      assert.match(traceId, /^[0-9a-f]{32}$/)
      assert.match(spanId, /^[0-9a-f]{16}$/)
    },
  },
  {
    name: 'takes attributes and ends once, whatever comes after',
    async run(tracer) {
      const span = tracer.start('work', { kind: 'client', attributes: { a: 1 } })
      span.set('b', true)
      span.end(new Error('failed'))
      span.set('c', 'late')
      span.end()
      span.end('not an error')
    },
  },
  {
    name: 'a disposed tracer starts spans that go nowhere, and never throws',
    async run(tracer) {
      await Promise.all([tracer[Symbol.asyncDispose](), tracer[Symbol.asyncDispose]()])
    },
  },
]
