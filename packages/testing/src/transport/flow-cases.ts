import assert from 'node:assert/strict'
import { ServiceError } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { TransportSubject } from '../transport-cases.js'
import { code } from '../error-code.js'
import { stillPending, until } from '../wait.js'
import { message, pair } from './pair.js'

export const flowCases: readonly Case<TransportSubject>[] = [
  {
    name: 'send says when there is no room, and drained when there is again',
    async run(subject) {
      const { near, far } = await pair(subject)
      far.connection.pause()
      const body = new Uint8Array(Math.min(65_536, subject.limits.maxMessageBytes))
      let sent = 0
      const send = () => {
        assert.ok(++sent * body.length < 1e9, 'send never says that there is no room')
        return near.connection.send({ header: {}, body })
      }
      let drained: Promise<void>
      do {
        while (send()) if (sent % 4 === 0) await new Promise((resolve) => setImmediate(resolve))
        drained = near.connection.drained()
        // There may be no room for a moment only, while what was sent is on its way to the peer.
      } while (!(await stillPending(drained)))
      far.connection.resume()
      await drained
      await until('all have come', () => far.messages.length === sent)
    },
  },
  {
    name: 'messages that waited for the peer arrive as they were',
    async run(subject) {
      const { near, far } = await pair(subject)
      far.connection.pause()
      let sent = 0
      let room = true
      const number = () => {
        const body = new Uint8Array(1000)
        new DataView(body.buffer).setUint32(0, sent)
        body.fill(sent++, 4)
        return { header: {}, body }
      }
      while (room) {
        for (let i = 0; i < 20; i++) room = near.connection.send(number())
        await new Promise((resolve) => setImmediate(resolve))
      }
      far.connection.resume()
      for (let i = 0; i < 200; i++) {
        near.connection.send(number())
        await new Promise((resolve) => setImmediate(resolve))
      }
      await until('all have come', () => far.messages.length === sent)
      far.messages.forEach(({ body }, i) => {
        assert.equal(new DataView(body.buffer, body.byteOffset).getUint32(0), i)
        assert.ok(
          body.subarray(4).every((byte) => byte === i % 256),
          `message ${i} is not as it was`,
        )
      })
    },
  },
  {
    name: 'drained resolves at once where there is room',
    async run(subject) {
      const { near } = await pair(subject)
      await near.connection.drained()
    },
  },
  {
    name: 'a peer that never reads ends the connection with overloaded at the limit',
    async run(subject) {
      const { near, far } = await pair(subject)
      far.connection.pause()
      const body = new Uint8Array(Math.min(65_536, subject.limits.maxMessageBytes))
      const end = Date.now() + 10_000
      await assert.rejects(async () => {
        for (;;) {
          near.connection.send({ header: {}, body })
          assert.ok(Date.now() < end, 'the limit is never met')
          await new Promise((resolve) => setImmediate(resolve))
        }
      }, code('closed'))
      await until('the end is told', () => near.closed)
      assert.equal(near.error?.code, 'overloaded')
    },
  },
  {
    name: 'a connection that ends rejects whoever waits for room',
    async run(subject) {
      const { near, far } = await pair(subject)
      far.connection.pause()
      const body = new Uint8Array(Math.min(65_536, subject.limits.maxMessageBytes))
      while (near.connection.send({ header: {}, body })) await new Promise((resolve) => setImmediate(resolve))
      const drained = assert.rejects(near.connection.drained(), code('internal'))
      near.connection.destroy(new ServiceError('internal', 'on purpose'))
      await drained
    },
  },
  {
    name: 'pause keeps messages back, and resume lets them go on',
    async run(subject) {
      const { near, far } = await pair(subject)
      far.connection.pause()
      near.connection.send(message('a'))
      await new Promise((resolve) => setTimeout(resolve, 30))
      const early = far.messages.length
      far.connection.resume()
      await until('it has come', () => far.messages.length === 1)
      assert.equal(early, 0)
    },
  },
]
