import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServiceError, twoWay, type CallContext, type Middleware } from 'micrograft'
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

test('a stream goes through middleware as async iterables that it may change, both ways, on both sides', async (t) => {
  const times = (factor: number) =>
    async function* (values: AsyncIterable<number>): AsyncGenerator<number> {
      for await (const value of values) yield value * factor
    }
  const both =
    (inward: number, outward: number) =>
    async (context: CallContext, next: (context: CallContext) => Promise<unknown>): Promise<unknown> => {
      const request = times(inward)(context.request as AsyncIterable<number>)
      return times(outward)((await next({ ...context, request })) as AsyncIterable<number>)
    }
  const { caller } = await pair(
    t,
    (service) =>
      service.handle('Sum', {
        Running: twoWay({
          async *handle(numbers: AsyncIterable<number>) {
            let sum = 0
            for await (const n of numbers) yield (sum += n)
          },
        }),
      }),
    {
      service: { middleware: [{ name: 'inside', handle: both(2, 3) }] },
      caller: { middleware: [{ name: 'outside', call: both(5, 7) }] },
    },
  )
  const stream = caller.client.open<number, number>('greeter', 'Sum.Running')
  for (const n of [1, 2]) await stream.send(n)
  await stream.end()
  const got: number[] = []
  for await (const n of stream) got.push(n)
  assert.deepEqual(got, [1 * 5 * 2 * 3 * 7, 3 * 5 * 2 * 3 * 7])
})

test('middleware around a handler sees that the caller has given up', async (t) => {
  let reason: unknown
  const { caller } = await pair(
    t,
    (service) => service.handle('Say', { Never: () => new Promise(() => undefined) }),
    {
      service: {
        middleware: [
          {
            name: 'watching',
            handle: (context, next) => {
              context.signal?.addEventListener('abort', () => (reason = context.signal?.reason))
              return next({ ...context })
            },
          },
        ],
      },
    },
  )
  await assert.rejects(caller.client.call('greeter', 'Say.Never', {}, { timeoutMs: 100, retries: 0 }), {
    code: 'timeout',
  })
  await until('the handler side knows', () => reason !== undefined)
  assert.equal((reason as { code?: string }).code, 'timeout')
})
