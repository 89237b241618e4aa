import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { ClientServerSubject } from '../client-server-cases.js'
import { bytes, text } from '../bytes.js'
import { code } from '../error-code.js'
import { until } from '../wait.js'
import { aborted, dispatcher, echo } from './dispatcher.js'
import { collect, request } from './request.js'

export const lossCases: readonly Case<ClientServerSubject>[] = [
  {
    name: 'a connection that is lost fails what is under way with unavailable, at once, and the next call connects again',
    async run({ client, start }) {
      let running = 0
      let gone = 0
      const { node, cut } = await start(
        dispatcher({
          'Say.Wait': async ({ signal }) => {
            running++
            await aborted(signal)
            gone++
            return bytes('')
          },
          'Stream.Wait': async ({ signal }) => {
            running++
            await aborted(signal)
            gone++
          },
          'Say.Hello': echo,
        }),
      )
      const calls = [1, 2, 3].map(() =>
        assert.rejects(client.call(node, request('Say.Wait')), code('unavailable')),
      )
      const stream = await client.stream(node, request('Stream.Wait'))
      const reading = assert.rejects(collect(stream.messages), code('unavailable'))
      await until('all are under way', () => running === 4)
      const before = Date.now()
      cut()
      await Promise.all([...calls, reading])
      assert.ok(Date.now() - before < 1000, 'it took longer than a second')
      await until('the handlers are told', () => gone === 4)
      assert.equal(text((await client.call(node, request('Say.Hello', 'again'))).body), 'again')
    },
  },
  {
    name: 'where nobody serves is unavailable, for every call at the same time',
    async run({ client, nobody }) {
      await Promise.all(
        Array.from({ length: 5 }, () =>
          assert.rejects(client.call(nobody, request('Say.Hello')), code('unavailable')),
        ),
      )
      await assert.rejects(
        client.stream(nobody, request('Stream.Hello')).then((stream) => collect(stream.messages)),
        code('unavailable'),
      )
    },
  },
]
