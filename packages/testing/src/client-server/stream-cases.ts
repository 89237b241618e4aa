import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { ClientServerSubject } from '../client-server-cases.js'
import { bytes, text } from '../bytes.js'
import { code } from '../error-code.js'
import { dispatcher } from './dispatcher.js'
import { collect, request } from './request.js'

export const streamCases: readonly Case<ClientServerSubject>[] = [
  {
    name: 'a server stream is read to its end',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({
          'Stream.Count': async (_, stream) => {
            for await (const each of stream.messages) {
              for (let i = 1; i <= Number(text(each)); i++) await stream.send(bytes(String(i)))
              return
            }
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Count'))
      await stream.send(bytes('1000'))
      await stream.end()
      assert.deepEqual(
        await collect(stream.messages),
        Array.from({ length: 1000 }, (_, i) => String(i + 1)),
      )
      await stream[Symbol.asyncDispose]()
    },
  },
  {
    name: 'reply metadata of a stream comes with its end',
    async run({ client, start }) {
      const { node } = await start(dispatcher({ 'Stream.End': async () => ({ 'x-last': 'yes' }) }))
      const stream = await client.stream(node, request('Stream.End'))
      assert.deepEqual(await collect(stream.messages), [])
      assert.equal((await stream.metadata)['x-last'], 'yes')
    },
  },
  {
    name: 'a client stream is read to its end and answered',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({
          'Stream.Sum': async (_, stream) => {
            let sum = 0
            for await (const each of stream.messages) sum += Number(text(each))
            await stream.send(bytes(String(sum)))
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Sum'))
      for (let i = 1; i <= 1000; i++) await stream.send(bytes(String(i)))
      await stream.end()
      await stream.end()
      assert.deepEqual(await collect(stream.messages), ['500500'])
      await assert.rejects(stream.send(bytes('late')), code('closed'))
    },
  },
  {
    name: 'a two-way stream answers while it is still being sent to',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({
          'Stream.Echo': async (_, stream) => {
            for await (const each of stream.messages) await stream.send(each)
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Echo'))
      const answers = stream.messages[Symbol.asyncIterator]()
      for (let i = 0; i < 200; i++) {
        await stream.send(bytes(`ping ${i}`))
        assert.equal(text((await answers.next()).value as Uint8Array), `ping ${i}`)
      }
      await stream.end()
      assert.equal((await answers.next()).done, true)
    },
  },
  {
    name: 'messages of every size pass a stream, in order, and sends need not be waited for',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({
          'Stream.Sizes': async (_, stream) => {
            for await (const each of stream.messages) await stream.send(bytes(String(each.length)))
          },
        }),
      )
      const sizes = Array.from({ length: 60 }, (_, i) => (i % 6 === 5 ? 300_000 + i : i * 50))
      const stream = await client.stream(node, request('Stream.Sizes'))
      const sent = Promise.all(sizes.map((size) => stream.send(new Uint8Array(size)))).then(() =>
        stream.end(),
      )
      assert.deepEqual(await collect(stream.messages), sizes.map(String))
      await sent
    },
  },
]
