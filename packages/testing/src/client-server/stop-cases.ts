import assert from 'node:assert/strict'
import type { ServerRequest } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { ClientServerSubject } from '../client-server-cases.js'
import { bytes, text } from '../bytes.js'
import { code } from '../error-code.js'
import { stillPending, until } from '../wait.js'
import { aborted, dispatcher, echo } from './dispatcher.js'
import { collect, request } from './request.js'

export const stopCases: readonly Case<ClientServerSubject>[] = [
  {
    name: 'stop lets calls and streams end and refuses new ones',
    async run({ client, start }) {
      let end: () => void = () => undefined
      let running = 0
      const ended = new Promise<void>((resolve) => (end = resolve))
      const { node, server } = await start(
        dispatcher({
          'Say.Wait': async (_, body) => {
            running++
            await ended
            return body
          },
          'Stream.Wait': async (_, stream) => {
            running++
            await ended
            await stream.send(bytes('last'))
          },
        }),
      )
      const call = client.call(node, request('Say.Wait', 'done'))
      const stream = await client.stream(node, request('Stream.Wait'))
      const reading = collect(stream.messages)
      await until('both are under way', () => running === 2)
      const stopped = server.stop({ graceMs: 10_000 })
      assert.ok(await stillPending(stopped), 'stop waits')
      await assert.rejects(client.call(node, request('Say.Wait')), code('unavailable'))
      end()
      assert.equal(text((await call).body), 'done')
      assert.deepEqual(await reading, ['last'])
      const before = Date.now()
      await stopped
      assert.ok(Date.now() - before < 5000, 'stop waits for nobody')
      await assert.rejects(client.call(node, request('Say.Wait')), code('unavailable'))
    },
  },
  {
    name: 'stop aborts what has not ended within its grace',
    async run({ client, start }) {
      const reasons: unknown[] = []
      let running = 0
      const wait = async ({ signal }: ServerRequest): Promise<void> => {
        running++
        reasons.push(await aborted(signal))
      }
      const { node, server } = await start(
        dispatcher({
          'Say.Wait': async (each) => {
            await wait(each)
            return bytes('')
          },
          'Say.Deaf': () => {
            running++
            return new Promise(() => undefined)
          },
          'Stream.Wait': wait,
        }),
      )
      const calls = ['Say.Wait', 'Say.Deaf'].map((each) =>
        assert.rejects(client.call(node, request(each)), code('unavailable')),
      )
      const stream = await client.stream(node, request('Stream.Wait'))
      calls.push(assert.rejects(collect(stream.messages), code('unavailable')))
      await until('all are under way', () => running === 3)
      const before = Date.now()
      await server.stop({ graceMs: 50 })
      const took = Date.now() - before
      assert.ok(took >= 45 && took < 3000, `stop took ${took} ms`)
      await Promise.all(calls)
      await until('the handlers are told', () => reasons.length === 2)
    },
  },
  {
    name: 'stop without calls is quick; start after it is closed',
    async run({ client, start }) {
      const { node, server } = await start(dispatcher({ 'Say.Hello': echo }))
      await client.call(node, request('Say.Hello'))
      const before = Date.now()
      await Promise.all([server.stop(), server.stop()])
      assert.ok(Date.now() - before < 2000)
      await assert.rejects(
        server.start({
          dispatcher: dispatcher({}),
          listen: () => Promise.reject(new Error('not to be called')),
          listenBytes: () => Promise.reject(new Error('not to be called')),
        }),
        code('closed'),
      )
    },
  },
  {
    name: 'a server that is disposed ends what is under way',
    async run({ client, start }) {
      let running = false
      const { node, server } = await start(
        dispatcher({
          'Say.Deaf': () => {
            running = true
            return new Promise(() => undefined)
          },
        }),
      )
      const call = assert.rejects(client.call(node, request('Say.Deaf')), code('unavailable'))
      await until('it is under way', () => running)
      await Promise.all([server[Symbol.asyncDispose](), server[Symbol.asyncDispose]()])
      await call
    },
  },
]
