import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { TransportSubject } from '../transport-cases.js'
import { bytes, text } from '../bytes.js'
import { code } from '../error-code.js'
import { until } from '../wait.js'
import { endOf, message, pair } from './pair.js'

export const messageCases: readonly Case<TransportSubject>[] = [
  {
    name: 'messages arrive whole and in order, both ways',
    async run(subject) {
      const { near, far } = await pair(subject)
      for (let i = 0; i < 200; i++) {
        near.connection.send(message(`to ${i}`, i % 2 ? { 'x-number': String(i), text: 'grüße' } : {}))
        far.connection.send(message(`fro ${i}`))
      }
      await until('all have come', () => far.messages.length === 200 && near.messages.length === 200)
      assert.deepEqual(
        far.messages.map(({ body }) => text(body)),
        Array.from({ length: 200 }, (_, i) => `to ${i}`),
      )
      assert.deepEqual(
        near.messages.map(({ body }) => text(body)),
        Array.from({ length: 200 }, (_, i) => `fro ${i}`),
      )
      assert.deepEqual({ ...far.messages[7]?.header }, { 'x-number': '7', text: 'grüße' })
      assert.deepEqual({ ...far.messages[8]?.header }, {})
    },
  },
  {
    name: 'a message is not handed over in the turn in which it is sent',
    async run(subject) {
      const { near, far } = await pair(subject)
      near.connection.send(message('a'))
      assert.equal(far.messages.length, 0)
      await until('it has come', () => far.messages.length === 1)
    },
  },
  {
    name: 'nothing is handed over before dial has resolved',
    async run({ transport, address }) {
      await using listener = await transport.listen(address, (connection) => {
        queueMicrotask(() => connection.send(message('welcome')))
        return endOf().handler
      })
      const { handler } = endOf()
      const known: boolean[] = []
      let resolved = false
      const dialling = transport.dial(listener.address, { ...handler, message: () => known.push(resolved) })
      void dialling.then(() => (resolved = true))
      const connection = await dialling
      await until('it has come', () => known.length === 1)
      assert.deepEqual(known, [true])
      await connection.close()
    },
  },
  {
    name: 'an empty body and one of the largest size pass',
    async run(subject) {
      const { near, far } = await pair(subject)
      const largest = new Uint8Array(subject.limits.maxMessageBytes).map((_, i) => i)
      near.connection.send({ header: {}, body: new Uint8Array(0) })
      near.connection.send({ header: {}, body: largest })
      near.connection.send(message('after'))
      await until('all have come', () => far.messages.length === 3)
      assert.equal(far.messages[0]?.body.length, 0)
      assert.ok(Buffer.from(far.messages[1]?.body ?? []).equals(largest), 'the largest message is as it was')
      assert.equal(text(far.messages[2]?.body as Uint8Array), 'after')
    },
  },
  {
    name: 'a message above the limit is refused with too-large and costs nothing else',
    async run(subject) {
      const { near, far } = await pair(subject)
      const body = new Uint8Array(subject.limits.maxMessageBytes + 1)
      assert.throws(() => near.connection.send({ header: {}, body }), code('too-large'))
      const header = { long: 'x'.repeat(subject.limits.maxMessageBytes) }
      assert.throws(() => near.connection.send({ header, body: new Uint8Array(1) }), code('too-large'))
      near.connection.send(message('still there'))
      await until('the next one has come', () => far.messages.length === 1)
    },
  },
  {
    name: "the sender's message is as it was",
    async run(subject) {
      const { near, far } = await pair(subject)
      const header = Object.freeze({ a: '1' })
      const body = bytes('unchanged')
      near.connection.send(Object.freeze({ header, body }))
      await until('it has come', () => far.messages.length === 1)
      assert.equal(text(body), 'unchanged')
    },
  },
]
