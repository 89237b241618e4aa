import assert from 'node:assert/strict'
import type { ServerRequest } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { ClientServerSubject } from '../client-server-cases.js'
import { bytes, text } from '../bytes.js'
import { until } from '../wait.js'
import { dispatcher, echo, type Endpoints } from './dispatcher.js'
import { request } from './request.js'

export const callCases: readonly Case<ClientServerSubject>[] = [
  {
    name: 'a call is answered with what the handler gives',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({ 'Say.Hello': async (_, body) => bytes(`Hello ${text(body)}`) }),
      )
      const reply = await client.call(node, request('Say.Hello', 'John'))
      assert.equal(text(reply.body), 'Hello John')
      assert.equal(reply.contentType, 'application/octet-stream')
    },
  },
  {
    name: 'a node says its protocol and its transport',
    async run({ client, start }) {
      const { node } = await start(dispatcher({}))
      assert.equal(node.metadata['protocol'], client.protocol)
      assert.equal(typeof node.metadata['transport'], 'string')
    },
  },
  {
    name: 'the handler is told what the request is',
    async run({ client, start }) {
      let seen: ServerRequest | undefined
      const { node } = await start(
        dispatcher({
          'Say.Hello': async (got) => {
            seen = got
            return bytes('')
          },
        }),
      )
      const before = Date.now()
      await client.call(node, request('Say.Hello', '', { timeoutMs: 5000, contentType: 'application/json' }))
      assert.equal(seen?.service, 'echo')
      assert.equal(seen?.endpoint, 'Say.Hello')
      assert.equal(seen?.contentType, 'application/json')
      assert.ok(seen && seen.remote.length > 0)
      assert.ok(
        seen?.deadline && seen.deadline > before + 3000 && seen.deadline < Date.now() + 5200,
        `${seen?.deadline}`,
      )
      await client.call(node, request('Say.Hello', '', { timeoutMs: undefined }))
      assert.equal(seen?.deadline, undefined)
    },
  },
  {
    name: 'calls to many endpoints are each answered by theirs',
    async run({ client, start }) {
      const names = Array.from({ length: 400 }, (_, i) => `Say.Number${i}` as const)
      const { node } = await start(
        dispatcher(
          Object.fromEntries(
            names.map((name) => [name, async (got: ServerRequest) => bytes(got.endpoint)]),
          ) as Endpoints,
        ),
      )
      for (let round = 0; round < 2; round++) {
        const replies = await Promise.all(names.map((name) => client.call(node, request(name))))
        assert.deepEqual(
          replies.map(({ body }) => text(body)),
          names,
        )
      }
    },
  },
  {
    name: 'bodies of every size come back as they were',
    async run({ client, start }) {
      const { node } = await start(dispatcher({ 'Say.Hello': echo }))
      await Promise.all(
        [0, 1, 100, 16_383, 16_384, 65_535, 65_536, 65_537, 1_000_000, 3_000_000].map(async (size) => {
          const body = new Uint8Array(size).map((_, i) => i * 7)
          const reply = await client.call(node, request('Say.Hello', body))
          assert.ok(Buffer.from(reply.body).equals(body), `${size} bytes differ`)
        }),
      )
    },
  },
  {
    name: 'many calls at once are answered out of order',
    async run({ client, start }) {
      const release: (() => void)[] = []
      const { node } = await start(
        dispatcher({
          'Say.Wait': async (_, body) => {
            await new Promise<void>((resolve) => release.push(resolve))
            return body
          },
        }),
      )
      const done: number[] = []
      const calls = Array.from({ length: 50 }, async (_, i) => {
        const reply = await client.call(node, request('Say.Wait', String(i)))
        assert.equal(text(reply.body), String(i))
        done.push(i)
      })
      await until('all are under way', () => release.length === 50)
      assert.deepEqual(done, [])
      release[49]?.()
      await until('one is answered', () => done.length === 1)
      for (const each of release) each()
      await Promise.all(calls)
    },
  },
  {
    name: "the caller's request and body are as they were",
    async run({ client, start }) {
      const { node } = await start(dispatcher({ 'Say.Hello': echo }))
      const body = bytes('unchanged')
      const metadata = Object.freeze({ a: '1' })
      await client.call(
        Object.freeze(node),
        Object.freeze(request('Say.Hello', body, { metadata })),
        Object.freeze({}),
      )
      assert.equal(text(body), 'unchanged')
    },
  },
]
