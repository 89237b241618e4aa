import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServiceError, type Middleware } from 'micrograft'
import { until } from '@micrograft/testing'
import { pair } from './support/pair.js'

const recorder = (name: string, seen: string[]): Middleware => ({
  name,
  async call(context, next) {
    seen.push(`${name} call ${context.endpoint}`)
    const result = await next(context)
    seen.push(`${name} called`)
    return result
  },
  async handle(context, next) {
    seen.push(`${name} handle ${context.endpoint}`)
    return next(context)
  },
  async publish(context, next) {
    seen.push(`${name} publish ${context.topic}`)
    await next(context)
  },
  async subscribe(delivery, next) {
    seen.push(`${name} subscribe ${delivery.topic}`)
    await next(delivery)
  },
})

test('goes around calls on both sides, the first outermost', async (t) => {
  const [outgoing, incoming]: [string[], string[]] = [[], []]
  const { caller } = await pair(t, (service) => service.handle('Say', { Hello: async () => 'hello' }), {
    caller: { middleware: [recorder('a', outgoing), recorder('b', outgoing)] },
    service: { middleware: [recorder('x', incoming)] },
  })
  await caller.client.call('greeter', 'Say.Hello', {})
  assert.deepEqual(outgoing, ['a call Say.Hello', 'b call Say.Hello', 'b called', 'a called'])
  assert.deepEqual(incoming, ['x handle Say.Hello'])
})

test('goes around streams, publishing and subscribing', async (t) => {
  const [outgoing, incoming]: [string[], string[]] = [[], []]
  const { service, caller } = await pair(
    t,
    (greeter) =>
      greeter.handle('Say', {
        async *Count() {
          yield 1
        },
      }),
    { caller: { middleware: [recorder('a', outgoing)] }, service: { middleware: [recorder('x', incoming)] } },
  )
  for await (const each of caller.client.stream('greeter', 'Say.Count', {})) assert.equal(each, 1)
  await service.subscribe('orders', async () => undefined)
  await caller.publish('orders', { id: 1 })
  await until('the message is handled', () => incoming.length === 2)
  assert.deepEqual(outgoing, ['a call Say.Count', 'a called', 'a publish orders'])
  assert.deepEqual(incoming, ['x handle Say.Count', 'x subscribe orders'])
})

test('can change the request and its metadata, answer itself, refuse, and call again', async (t) => {
  let calls = 0
  const middleware: Middleware = {
    name: 'shaping',
    async call(context, next) {
      if (context.endpoint === 'Say.Cached') return 'from the cache'
      if (context.endpoint === 'Say.Refused') throw new ServiceError('forbidden', 'not today')
      const changed = {
        ...context,
        request: { name: 'Ann' },
        metadata: { ...context.metadata, shaped: 'yes' },
      }
      await next(changed)
      return next(changed)
    },
  }
  const { caller } = await pair(
    t,
    (service) =>
      service.handle('Say', {
        Hello: async (request: { name: string }, { metadata }: { metadata: object }) => (
          calls++,
          { ...request, ...metadata }
        ),
      }),
    { caller: { middleware: [middleware] } },
  )
  assert.equal(await caller.client.call('greeter', 'Say.Cached', {}), 'from the cache')
  await assert.rejects(caller.client.call('greeter', 'Say.Refused', {}), { code: 'forbidden' })
  assert.deepEqual(await caller.client.call('greeter', 'Say.Hello', { name: 'John' }), {
    name: 'Ann',
    shaped: 'yes',
  })
  assert.equal(calls, 2)
})
