import assert from 'node:assert/strict'
import { ServiceError } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { TransportSubject } from '../transport-cases.js'
import { code } from '../error-code.js'
import { until } from '../wait.js'
import { message, pair } from './pair.js'

export const endCases: readonly Case<TransportSubject>[] = [
  {
    name: 'close sends what is queued, and both ends are told once, without an error',
    async run(subject) {
      const { near, far } = await pair(subject)
      for (let i = 0; i < 50; i++) near.connection.send({ header: {}, body: new Uint8Array(5000) })
      far.connection.send(message('from the other side'))
      await Promise.all([near.connection.close(), near.connection.close()])
      await until('both are told', () => near.closed && far.closed)
      assert.equal(far.messages.length, 50)
      assert.equal(near.messages.length, 1)
      assert.deepEqual([near.error, far.error], [undefined, undefined])
      assert.throws(() => near.connection.send(message('late')), code('closed'))
      await assert.rejects(near.connection.drained(), code('closed'))
    },
  },
  {
    name: 'both ends may close at the same time',
    async run(subject) {
      const { near, far } = await pair(subject)
      await Promise.all([near.connection.close(), far.connection.close()])
      await until('both are told', () => near.closed && far.closed)
    },
  },
  {
    name: 'destroy tells its own end the error, ends the other, and hands nothing more over',
    async run(subject) {
      const { near, far } = await pair(subject)
      far.connection.send(message('a'))
      near.connection.destroy(new ServiceError('internal', 'on purpose'))
      near.connection.destroy()
      await until('both are told', () => near.closed && far.closed)
      assert.equal(near.error?.message, 'on purpose')
      assert.equal(near.messages.length, 0)
      await near.connection.close()
    },
  },
]
