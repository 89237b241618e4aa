import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { TransportSubject } from '../transport-cases.js'
import { code } from '../error-code.js'
import { until } from '../wait.js'
import { endOf, message, pair } from './pair.js'

export const disposeCases: readonly Case<TransportSubject>[] = [
  {
    name: 'disposing ends every connection and listener, twice and at the same time',
    async run(subject) {
      const { listener, near, far } = await pair(subject)
      await Promise.all([subject.transport[Symbol.asyncDispose](), subject.transport[Symbol.asyncDispose]()])
      await until('both are told', () => near.closed && far.closed)
      await subject.transport[Symbol.asyncDispose]()
      await listener[Symbol.asyncDispose]()
      await assert.rejects(
        subject.transport.listen(subject.address, () => endOf().handler),
        code('closed'),
      )
      await assert.rejects(subject.transport.dial(listener.address, endOf().handler), code('closed'))
      assert.throws(() => near.connection.send(message('late')), code('closed'))
    },
  },
  {
    name: 'disposing what was never used is no work',
    async run({ transport }) {
      await transport[Symbol.asyncDispose]()
    },
  },
]
