import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { TransportSubject } from '../transport-cases.js'
import { code } from '../error-code.js'
import { until } from '../wait.js'
import { endOf, message, pair } from './pair.js'

export const addressCases: readonly Case<TransportSubject>[] = [
  {
    name: 'dialling where nobody listens rejects with unavailable',
    async run({ transport, nobody }) {
      await assert.rejects(transport.dial(nobody, endOf().handler), code('unavailable'))
    },
  },
  {
    name: 'an address that is taken rejects with conflict and stays served',
    async run(subject) {
      const { listener, near, far } = await pair(subject)
      await assert.rejects(
        subject.transport.listen(listener.address, () => endOf().handler),
        code('conflict'),
      )
      near.connection.send(message('a'))
      await until('the first one is served', () => far.messages.length === 1)
    },
  },
  {
    name: 'addresses that are none reject with invalid-option',
    async run({ transport }) {
      await assert.rejects(
        transport.listen('no:address:at all', () => endOf().handler),
        code('invalid-option'),
      )
      await assert.rejects(transport.dial('no:address:at all', endOf().handler), code('invalid-option'))
    },
  },
  {
    name: 'a listener that is disposed refuses new connections, keeps those there are, and frees its address',
    async run(subject) {
      const { listener, near, far } = await pair(subject)
      await Promise.all([listener[Symbol.asyncDispose](), listener[Symbol.asyncDispose]()])
      await assert.rejects(subject.transport.dial(listener.address, endOf().handler), code('unavailable'))
      near.connection.send(message('a'))
      await until('the old connection works', () => far.messages.length === 1)
      const again = await subject.transport.listen(listener.address, () => endOf().handler)
      await again[Symbol.asyncDispose]()
    },
  },
]
