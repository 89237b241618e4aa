import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { TransportSubject } from '../transport-cases.js'
import { text } from '../bytes.js'
import { code } from '../error-code.js'
import { until } from '../wait.js'
import { endOf, message, pair } from './pair.js'

export const connectionCases: readonly Case<TransportSubject>[] = [
  {
    name: 'connections above the limit are refused, and those there are go on',
    async run(subject) {
      const { listener, near, far } = await pair(subject)
      for (let i = 1; i < subject.limits.maxConnections; i++)
        await subject.transport.dial(listener.address, endOf().handler)
      const { handler, end } = endOf()
      await subject.transport.dial(listener.address, handler).then(
        () => until('the connection above the limit ends', () => end.closed),
        (error: unknown) => assert.ok(code('unavailable')(error)),
      )
      near.connection.send(message('a'))
      await until('the first one is served', () => far.messages.length === 1)
    },
  },
  {
    name: 'connections that have ended do not count',
    async run(subject) {
      const { listener, near } = await pair(subject)
      for (let i = 0; i < subject.limits.maxConnections * 3; i++) {
        const connection = await subject.transport.dial(listener.address, endOf().handler)
        await connection.close()
      }
      assert.equal(near.closed, false)
    },
  },
  {
    name: 'many connections carry messages at the same time',
    async run(subject) {
      const { transport, address, limits } = subject
      const listener = await transport.listen(address, (connection) => ({
        message: (each) => void connection.send(each),
        closed: () => undefined,
      }))
      await Promise.all(
        Array.from({ length: Math.min(20, limits.maxConnections) }, async (_, i) => {
          const { handler, end } = endOf()
          const connection = await transport.dial(listener.address, handler)
          for (let each = 0; each < 20; each++) connection.send(message(`${i} ${each}`))
          await until('all echoes are there', () => end.messages.length === 20)
          assert.ok(end.messages.every(({ body }, each) => text(body) === `${i} ${each}`))
        }),
      )
    },
  },
]
