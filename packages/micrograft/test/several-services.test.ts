import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createService, definePlugin, type HandlerContext, type Store } from 'micrograft'
import { until } from '@micrograft/testing'
import { memoryRegistryHub } from '../dist/registry/memory-registry.js'
import { pair } from './support/pair.js'

test('two services in one process share nothing that they were not given', async (t) => {
  const own = (name: string) =>
    definePlugin<'store'>({
      name,
      type: 'store',
      version: '1.0.0',
      newFunc: () =>
        ({
          name,
          capabilities: { durable: false, shared: false },
          get: async () => undefined,
          set: async () => undefined,
          delete: async () => false,
          list: async () => [name],
          [Symbol.asyncDispose]: async () => undefined,
        }) as Store,
    })
  const one = createService({ name: 'one', store: own('first'), registry: 'memory', logger: 'noop' })
  const two = createService({ name: 'two', store: own('second'), registry: 'memory', logger: 'noop' })
  t.after(() => Promise.all([one.stop(), two.stop()]))
  await one.start()
  await two.start()
  assert.deepEqual([await one.store.list(), await two.store.list()], [['first'], ['second']])
  const three = createService({ name: 'three', store: 'first', logger: 'noop' })
  await assert.rejects(three.start(), {
    code: 'not-found',
    message: /no store called "first".*known are file, memory/s,
  })
})

test('stopping lets calls that are under way end, and refuses new ones', async (t) => {
  let release = () => undefined as void
  let running: HandlerContext | undefined
  const { service, caller } = await pair(t, (greeter) =>
    greeter.handle('Say', {
      Slow: (_: unknown, context: HandlerContext) => {
        running = context
        return new Promise<string>((resolve) => (release = () => resolve('done')))
      },
    }),
  )
  const slow = caller.client.call('greeter', 'Say.Slow', {}, { retries: 0 })
  await until('the call is under way', () => running)
  const stopped = service.stop()
  await until(
    'the node is deregistered',
    async () => (await caller.use('registry').get('greeter')).length === 0,
  )
  await assert.rejects(
    caller.client.call('greeter', 'Say.Slow', {}, { retries: 0 }),
    (error: Error & { code: string }) => ['not-found', 'unavailable'].includes(error.code),
  )
  release()
  assert.equal(await slow, 'done')
  await stopped
})

test('stopping waits no longer than the grace', async (t) => {
  let context: HandlerContext | undefined
  const { service, caller } = await pair(
    t,
    (greeter) =>
      greeter.handle('Say', {
        Stuck: (_: unknown, own: HandlerContext) => ((context = own), new Promise(() => undefined)),
      }),
    { service: { graceMs: 100 } },
  )
  const stuck = caller.client.call('greeter', 'Say.Stuck', {}, { retries: 0, timeoutMs: 60_000 })
  stuck.catch(() => undefined)
  await until('the call is under way', () => context)
  const started = performance.now()
  await service.stop()
  assert.ok(performance.now() - started < 5000)
  assert.ok(context?.signal.aborted)
  await assert.rejects(stuck)
})

test('a service that cannot start closes what it opened, and says why', async (t) => {
  const registry = { use: 'memory', options: { hub: memoryRegistryHub() } }
  const first = createService({ name: 'a', registry, logger: 'noop' }).handle('A', { B: async () => 1 })
  t.after(() => first.stop())
  await first.start()
  const second = createService({ name: 'b', registry, logger: 'noop', address: first.address }).handle('A', {
    B: async () => 1,
  })
  await assert.rejects(second.start(), { code: 'conflict' })
  await assert.rejects(second.start(), { code: 'conflict' })
  assert.throws(() => createService({ name: 'x', brokr: 'nats' } as never), {
    code: 'invalid-option',
    message: /brokr/,
  })
  assert.throws(() => createService({ name: '' }), { code: 'invalid-option' })
})
