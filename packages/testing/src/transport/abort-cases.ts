import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { TransportSubject } from '../transport-cases.js'
import { endOf, pair } from './pair.js'

export const abortCases: readonly Case<TransportSubject>[] = [
  {
    name: 'an abort before or during listening and dialling rejects with its reason',
    async run(subject) {
      const { listener } = await pair(subject)
      const { transport, address } = subject
      const signal = AbortSignal.abort(new Error('given up'))
      await assert.rejects(
        transport.listen(address, () => endOf().handler, { signal }),
        /given up/,
      )
      await assert.rejects(transport.dial(listener.address, endOf().handler, { signal }), /given up/)
      const during = new AbortController()
      const dialled = transport.dial(listener.address, endOf().handler, { signal: during.signal })
      during.abort(new Error('given up'))
      // A transport that connects at once may have done so already.
      await dialled.then(
        (connection) => connection.close(),
        (error: Error) => assert.equal(error.message, 'given up'),
      )
    },
  },
]
