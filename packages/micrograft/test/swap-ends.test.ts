import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import {
  createService,
  definePlugin,
  ServiceError,
  type Broker,
  type ComponentContext,
  type ServiceOptions,
  type Codec,
  type PluginConfig,
  type Service,
  type Store,
} from 'micrograft'
import { until } from '@micrograft/testing'
import { memoryBroker } from '../dist/broker/memory-broker.js'
import { memoryStore } from '../dist/store/memory-store.js'
import { gate, soon } from './support/gate.js'

const now = { watchMs: 0 } as const
const long = { watchMs: 3_600_000, drainMs: 3_600_000 } as const

async function started(t: TestContext, options: Partial<ServiceOptions> = {}): Promise<Service> {
  const service = createService({
    name: 'keeper',
    registry: 'memory',
    logger: 'noop',
    makeTimeoutMs: 1000,
    ...options,
  })
  t.after(() => service.stop().catch(() => undefined))
  await service.start()
  return service
}

/** A store that `made` gives, in the place of one of memory. */
const store = (
  made: (inner: Store) => Store | Promise<Store>,
  more: Partial<PluginConfig<'store'>> = {},
): PluginConfig<'store'> =>
  definePlugin({
    name: 'other',
    type: 'store',
    version: '1.0.0',
    newFunc: () => made(memoryStore()),
    ...more,
  })

const withDispose = (dispose: () => Promise<void>) => (inner: Store) =>
  Object.assign(inner, { [Symbol.asyncDispose]: dispose })

const never = (): Promise<never> => new Promise(() => undefined)

test('what a newFunc makes that is no component is disposed all the same', async (t) => {
  const service = await started(t)
  let disposed = 0
  const rubbish = definePlugin({
    name: 'other',
    type: 'store',
    version: '1.0.0',
    newFunc: () => ({ name: 'other', [Symbol.asyncDispose]: async () => void disposed++ }) as never,
  })
  await assert.rejects(service.swap('store', rubbish), { code: 'invalid-option' })
  assert.equal(disposed, 1)
})

test('a component that is not fit and whose dispose never settles fails the swap in time', async (t) => {
  const service = await started(t)
  const stuck = store(withDispose(never), { check: () => Promise.reject(new Error('not healthy')) })
  await assert.rejects(soon('it is given up', service.swap('store', stuck)), /not healthy/)
})

test('an old component whose dispose never settles is left, and told of', async (t) => {
  const service = await started(t, { store: store(withDispose(never)) })
  const errors: (Error | undefined)[] = []
  service.onSwap(({ phase, error }) => phase === 'done' && errors.push(error))
  const { outcome } = await soon('the swap ends', service.swap('store', 'memory', now))
  assert.equal(outcome, 'swapped')
  assert.match(errors[0]?.message ?? '', /other 1\.0\.0 was not disposed within 1000 ms/)
  await soon('another swap goes on', service.swap('store', 'memory', now))
})

test('a component whose dispose never settles does not keep the service from stopping', async (t) => {
  const service = await started(t, { store: store(withDispose(never)) })
  await assert.rejects(soon('it stops', service.stop()), /other 1\.0\.0 was not disposed within 1000 ms/)
})

test('an old component whose dispose throws is told of, and the new one serves', async (t) => {
  const service = await started(t, {
    store: store(withDispose(() => Promise.reject(new Error('stuck file')))),
  })
  const errors: (Error | undefined)[] = []
  service.onSwap(({ phase, error }) => phase === 'done' && errors.push(error))
  await service.swap('store', 'memory', now)
  assert.match(errors[0]?.message ?? '', /stuck file/)
  await service.store.set('a', Buffer.from('1'))
})

test('a component that is made when the service has stopped is disposed', async (t) => {
  const { passed, open } = gate()
  let disposed = 0
  let making = false
  const slow = store(async (inner) => {
    making = true
    await passed
    return withDispose(async () => void disposed++)(inner)
  })
  const service = createService({
    name: 'keeper',
    registry: 'memory',
    logger: 'noop',
    plugins: [{ ...slow, name: 'memory' }],
  })
  t.after(() => service.stop())
  await service.start()
  const listing = service.store.list()
  const refused = assert.rejects(listing, { code: 'closed' })
  await until('it is being made', () => making)
  await soon('the service stops', service.stop())
  await soon('who waits is told', refused)
  open()
  await until('it is disposed', () => disposed === 1)
})

test('a service that stops gives up a swap that is being prepared', async (t) => {
  const { passed, open } = gate()
  let disposed = 0
  let making = false
  const service = await started(t, { makeTimeoutMs: 60_000 })
  const slow = store(async (inner) => {
    making = true
    await passed
    return withDispose(async () => void disposed++)(inner)
  })
  const swapping = service.swap('store', slow, long)
  const refused = assert.rejects(swapping, { code: 'closed' })
  await until('it is being made', () => making)
  await soon('the service stops', service.stop())
  await refused
  open()
  await until('it is disposed', () => disposed === 1)
})

test('a service that stops does not watch a component that was made meanwhile', async (t) => {
  const { passed, open } = gate()
  const service = await started(t, { store: 'memory' })
  await service.store.set('a', Buffer.from('1'))
  let copying = false
  let disposed = 0
  const slow = store((inner) => {
    const { set } = inner
    return Object.assign(inner, {
      set: async (...args: Parameters<Store['set']>) => {
        copying = true
        await passed
        return set.apply(inner, args)
      },
      [Symbol.asyncDispose]: async () => void disposed++,
    })
  })
  const swapping = service.swap('store', slow, { ...long, copy: true })
  await until('it is being copied to', () => copying)
  const stopping = service.stop()
  await new Promise((resolve) => setImmediate(resolve))
  open()
  await soon('the service stops', stopping)
  await soon('the swap ends', swapping)
  assert.equal(disposed, 1)
})

test('a service that stops waits no drain deadline of an hour', async (t) => {
  const service = await started(t, { store: store((inner) => Object.assign(inner, { get: never })) })
  void service.store.get('a').catch(() => undefined)
  await until('it is under way', () =>
    service.slots.some(({ slot, active }) => slot === 'store' && active === 1),
  )
  const swapping = service.swap('store', 'memory', { watchMs: 0, drainMs: 3_600_000 })
  await until('it is switched', () =>
    service.slots.some(({ slot, current }) => slot === 'store' && current.startsWith('memory')),
  )
  await soon('the service stops', service.stop())
  assert.equal((await swapping).drained, false)
})

test('a service that stops ends the watch of a codec, and disposes codecs', async (t) => {
  const disposed: string[] = []
  const codec = (version: string) =>
    definePlugin({
      name: 'shout',
      type: 'codec',
      version,
      newFunc: (): Codec =>
        ({
          name: 'shout',
          contentTypes: ['text/x-shout'],
          text: true,
          encode: (value: unknown) => Buffer.from(String(value).toUpperCase()),
          decode: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
          [Symbol.asyncDispose]: async () => void disposed.push(version),
        }) as Codec,
    })
  const service = await started(t, { plugins: [codec('1.0.0')] })
  const swapping = service.swap('codec', codec('2.0.0'), long)
  await until('it is watched', () =>
    service.slots.some(({ slot, current }) => slot === 'codec shout' && current === 'shout 2.0.0'),
  )
  await service.stop()
  await soon('the swap ends', swapping)
  assert.deepEqual(disposed.sort(), ['1.0.0', '2.0.0'])
})

test('a rollback while the new component is being made gives that up', async (t) => {
  const service = await started(t, { makeTimeoutMs: 60_000 })
  await service.store.set('a', Buffer.from('1'))
  let making = false
  const swapping = service.swap(
    'store',
    store(() => {
      making = true
      return never()
    }),
  )
  const refused = assert.rejects(swapping, { code: 'canceled', message: /other 1\.0\.0 .* John/ })
  await until('it is being made', () => making)
  const { to } = await soon('it goes back', service.rollback('store', undefined, 'John'))
  assert.match(to, /^memory /)
  await refused
  assert.deepEqual(await service.store.list(), ['a'])
  assert.deepEqual(
    service.slots.filter(({ slot }) => slot === 'store').map(({ next, previous }) => [next, previous]),
    [[undefined, undefined]],
  )
  await service.swap('store', 'memory', now)
})

test('a rollback while a store is copied goes back once it was', async (t) => {
  const { passed, open } = gate()
  const service = await started(t, { store: 'memory' })
  await service.store.set('a', Buffer.from('1'))
  let copying = false
  const slow = store((inner) => {
    const { set } = inner
    return Object.assign(inner, {
      set: async (...args: Parameters<Store['set']>) => {
        copying = true
        await passed
        return set.apply(inner, args)
      },
    })
  })
  const swapping = service.swap('store', slow, { ...long, copy: true })
  const refused = assert.rejects(swapping, { code: 'canceled' })
  await until('it is being copied to', () => copying)
  const back = service.rollback('store')
  open()
  await soon('it goes back', back)
  await refused
  await service.store.set('b', Buffer.from('2'))
  assert.deepEqual(await service.store.list(), ['a', 'b'])
  assert.match(service.slots.find(({ slot }) => slot === 'store')?.current ?? '', /^memory /)
})

test('a swap that waits its turn is not kept by the watch of the one before', async (t) => {
  const { passed, open } = gate()
  const service = await started(t, { makeTimeoutMs: 60_000 })
  await service.store.list()
  const first = service.swap(
    'store',
    store(async (inner) => {
      await passed
      return inner
    }),
    long,
  )
  const second = service.swap('store', 'memory', now)
  open()
  await soon('both are done', Promise.all([first, second]))
  assert.equal(service.store.name, 'memory')
})

test('options of a swap that are not of their type are refused', async (t) => {
  const service = await started(t)
  for (const options of [
    { drainMs: '5' },
    { watchMs: null },
    { minCalls: true },
    { maxErrorRate: '0.1' },
    { share: null },
    { copy: 'yes' },
    { copy: { ttlMs: 0 } },
    { copy: { ttlMs: '5' } },
    { copy: null },
    { by: 5 },
    { options: 'x' },
    { replace: 5 },
  ])
    await assert.rejects(
      service.swap('store', 'memory', options as object),
      { code: 'invalid-option' },
      JSON.stringify(options),
    )
  await assert.rejects(service.swap('stoer' as 'store', 'memory'), {
    code: 'invalid-option',
    message: /stoer.*store/,
  })
  await assert.rejects(service.rollback('stoer' as 'store'), { code: 'invalid-option' })
  await assert.rejects(service.share('stoer' as 'store', 1), { code: 'invalid-option' })
  await assert.rejects(service.swap('store', undefined as never), { code: 'invalid-option' })
  await assert.rejects(service.swap('store', 5 as never), { code: 'invalid-option' })
})

test('a share that is none does not give the new component all calls', async (t) => {
  const service = await started(t)
  await service.swap('store', 'memory', { share: 0.25 })
  for (const share of [undefined, null, Number.NaN, '1', 2, -1])
    await assert.rejects(
      service.share('store', share as number),
      { code: 'invalid-option' },
      JSON.stringify(share),
    )
  assert.equal(service.slots.find(({ slot }) => slot === 'store')?.share, 0.25)
  await service.rollback('store')
})

test('state that cannot be handed over fails the swap with what it is', async (t) => {
  const handlers = (version: string) =>
    definePlugin({
      name: 'counter',
      type: 'handler',
      version,
      newFunc: () => ({
        endpoints: { Count: { Up: () => 1 } },
        dehydrate: () => ({ timer: () => undefined }),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
    })
  const service = await started(t, { handlers: [handlers('1.0.0')] })
  await assert.rejects(service.swap('handler', handlers('2.0.0'), now), {
    code: 'invalid-option',
    message: /state of counter 1\.0\.0/,
  })
})

test('handlers without endpoints, or with a type that has none, are refused by name', async (t) => {
  const service = await started(t)
  const handlers = (endpoints: unknown) =>
    definePlugin({
      name: 'odd',
      type: 'handler',
      version: '1.0.0',
      newFunc: () => ({ endpoints, [Symbol.asyncDispose]: () => Promise.resolve() }) as never,
    })
  for (const endpoints of [null, { Say: null }, { Say: 'x' }]) {
    const odd = createService({ registry: 'memory', logger: 'noop', handlers: [handlers(endpoints)] })
    await assert.rejects(odd.start(), { code: 'invalid-option' }, JSON.stringify(endpoints))
    await odd.stop()
  }
  assert.throws(() => service.handle('Say', undefined as never), { code: 'invalid-option', message: /Say/ })
})

test('what a component could not be made for names the component', async (t) => {
  const service = await started(t)
  const lost = store(() => {
    throw new ServiceError('unavailable', 'no route to the host')
  })
  await assert.rejects(service.swap('store', lost), {
    code: 'unavailable',
    message: /store other 1\.0\.0.*no route to the host/,
  })
})

test('a subscription has an identity, also where its options leave it undefined', async (t) => {
  const seen: unknown[] = []
  const broker = definePlugin({
    name: 'seeing',
    type: 'broker',
    version: '1.0.0',
    newFunc: (_: object, context: ComponentContext): Broker => {
      const inner = memoryBroker(undefined, context)
      return {
        name: 'seeing',
        capabilities: inner.capabilities,
        publish: (topic, message, options) => inner.publish(topic, message, options),
        subscribe: (topic, handler, options) => {
          seen.push(options?.identity)
          return inner.subscribe(topic, handler, options)
        },
        [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
      }
    },
  })
  const service = await started(t, { broker })
  await service.subscribe('topic', () => undefined, { identity: undefined })
  assert.equal(typeof seen[0], 'string')
})

test('state is asked for as often at the tenth swap as at the first, and options are kept', async (t) => {
  let asked = 0
  const given: unknown[] = []
  const handlers = (version: string) =>
    definePlugin({
      name: 'counter',
      type: 'handler',
      version,
      newFunc: (options: object) => {
        given.push(options)
        return {
          endpoints: { Count: { Up: () => 1 } },
          dehydrate: () => ++asked,
          [Symbol.asyncDispose]: () => Promise.resolve(),
        }
      },
    })
  const service = await started(t, { handlers: [handlers('1.0.0')] })
  const perSwap: number[] = []
  for (let i = 2; i < 12; i++) {
    const before = asked
    await service.swap('handler', handlers(`${i}.0.0`), i === 2 ? { ...now, options: { size: 5 } } : now)
    perSwap.push(asked - before)
  }
  assert.deepEqual(new Set(perSwap), new Set([1]))
  assert.deepEqual(given.at(-1), { size: 5, state: asked })
})
