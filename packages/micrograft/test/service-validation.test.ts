import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createService, serverStream, twoWay, unary } from 'micrograft'
import { z } from 'zod'
import { pair } from './support/pair.js'

test('refuses a bad request with the field and the reason, before the handler runs', async (t) => {
  let ran = 0
  const say = {
    Hello: unary({
      input: z.object({ name: z.string(), age: z.number().min(0) }),
      handle: ({ name }) => (ran++, { msg: `Hello ${name}` }),
    }),
  }
  const { caller } = await pair(t, (service) => service.handle('Say', say))
  await assert.rejects(
    caller.client.call('greeter', 'Say.Hello', { name: 7, age: -1 }),
    (error: Error & { code: string }) => {
      assert.equal(error.code, 'bad-request')
      assert.match(error.message, /name: .*string/)
      assert.match(error.message, /age: /)
      return true
    },
  )
  assert.equal(ran, 0)
  assert.deepEqual(await caller.client.call('greeter', 'Say.Hello', { name: 'Ann', age: 1 }), {
    msg: 'Hello Ann',
  })
})

test('the handler gets what the schema makes of the request', async (t) => {
  const say = { Double: unary({ input: z.object({ n: z.coerce.number() }), handle: ({ n }) => n * 2 }) }
  const { caller } = await pair(t, (service) => service.handle('Say', say))
  assert.equal(await caller.client.call('greeter', 'Say.Double', { n: '21' }), 42)
})

test('checks the request of a server stream and each message of a two-way one', async (t) => {
  const say = {
    Count: serverStream({
      input: z.object({ to: z.number() }),
      handle: async function* ({ to }) {
        for (let i = 1; i <= to; i++) yield i
      },
    }),
    Echo: twoWay({
      input: z.string(),
      handle: async function* (texts) {
        for await (const text of texts) yield text
      },
    }),
  }
  const { caller } = await pair(t, (service) => service.handle('Say', say))
  await assert.rejects(collect(caller.client.stream('greeter', 'Say.Count', { to: 'x' })), {
    code: 'bad-request',
  })
  assert.deepEqual(await collect(caller.client.stream('greeter', 'Say.Count', { to: 3 })), [1, 2, 3])
  await using channel = caller.client.open<unknown, string>('greeter', 'Say.Echo')
  await channel.send('a')
  const replies = channel[Symbol.asyncIterator]()
  assert.equal((await replies.next()).value, 'a')
  await channel.send(7)
  await assert.rejects(replies.next(), { code: 'bad-request' })
})

test('an endpoint that is none is refused when it is given', () => {
  const service = createService({ name: 'x' })
  assert.throws(() => service.handle('Say', { Hello: 7 as never }), { code: 'invalid-option' })
  assert.throws(() => service.handle('Say Hi', { Hello: async () => 1 }), { code: 'invalid-option' })
  service.handle('Say', { Hello: async () => 1 })
  assert.throws(() => service.handle('Say', { Hello: async () => 1 }), { code: 'conflict' })
})

async function collect<T>(all: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const each of all) list.push(each)
  return list
}
