import assert from 'node:assert/strict'
import { appendFile } from 'node:fs/promises'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test, type TestContext } from 'node:test'
import {
  definePlugin,
  ServiceError,
  type Client,
  type ComponentContext,
  type PluginConfig,
  type Registry,
  type Service,
  type SwapEvent,
} from 'micrograft'
import { until } from '@micrograft/testing'
import { memoryRegistry, memoryRegistryHub } from '../dist/registry/memory-registry.js'
import { memoryStore } from '../dist/store/memory-store.js'
import { privateFolder } from './support/folder.js'
import { pair } from './support/pair.js'
import { pluginFile } from './support/plugin-file.js'

const greeter = (service: Service) =>
  service.handle('Say', { Hello: ({ name }: { name: string }) => ({ msg: `Hello ${name}` }) })

async function works(caller: Service): Promise<void> {
  assert.deepEqual(await caller.client.call('greeter', 'Say.Hello', { name: 'John' }), { msg: 'Hello John' })
}

const client = (fields: object): Client =>
  ({
    name: 'other',
    protocol: 'rpc',
    call: () => Promise.reject(new Error('not to be called')),
    stream: () => Promise.reject(new Error('not to be called')),
    [Symbol.asyncDispose]: () => Promise.resolve(),
    ...fields,
  }) as Client

const plugin = (newFunc: () => unknown, more: object = {}) =>
  definePlugin({ name: 'other', type: 'client', version: '1.0.0', newFunc: newFunc as () => Client, ...more })

async function file(t: TestContext, source: string): Promise<string> {
  return pluginFile(await privateFolder(t), { name: 'other', type: 'client' }, source)
}

const failures: [
  string,
  (t: TestContext) => Promise<string | ReturnType<typeof plugin>> | ReturnType<typeof plugin>,
  RegExp,
][] = [
  [
    'a newFunc that throws',
    () =>
      plugin(() => {
        throw new Error('no such host')
      }),
    /no such host/,
  ],
  ['a newFunc that rejects', () => plugin(() => Promise.reject(new Error('refused'))), /refused/],
  [
    'a newFunc that never settles',
    () => plugin(() => new Promise(() => undefined)),
    /was not made within 300 ms/,
  ],
  [
    'a newFunc that makes something else',
    () => plugin(() => ({ name: 'other' })),
    /made no client: it lacks call\(\), stream\(\)/,
  ],
  [
    'a health check that fails',
    () => plugin(() => client({}), { check: () => Promise.reject(new Error('not healthy')) }),
    /not healthy/,
  ],
  [
    'a health check that never settles',
    () => plugin(() => client({}), { check: () => new Promise(() => undefined) }),
    /was not made within 300 ms/,
  ],
  [
    'a plugin of another type',
    () => definePlugin({ name: 'x', type: 'store', version: '1.0.0', newFunc: () => ({}) as never }) as never,
    /is a store; it cannot take the place of a client/,
  ],
  [
    'a plugin file whose code throws',
    (t) => file(t, `throw new Error('at the top')\nexport const Plugin = {}`),
    /at the top/,
  ],
  [
    'a plugin file that was changed',
    async (t) => {
      const path = await file(
        t,
        `export const Plugin = { name: 'other', type: 'client', version: '1.0.0', newFunc: () => ({}) }`,
      )
      await appendFile(path, ' ')
      return path
    },
    /other\.plugin\.cjs|other-1\.0\.0\.plugin\.cjs/,
  ],
  ['a plugin file that is not there', () => './nowhere.plugin.cjs' as never, /nowhere\.plugin\.cjs/],
  ['a name that nothing has', () => 'nothing' as never, /no client called "nothing"/],
]

for (const [what, make, reason] of failures) {
  test(`${what} leaves the old part serving, and says why`, async (t) => {
    const { caller } = await pair(t, greeter, { caller: { makeTimeoutMs: 300 } })
    await works(caller)
    const open = caller.plugins.platform.plugins.length
    const target = await make(t)
    await assert.rejects(caller.swap('client', target as string), reason)
    assert.equal(caller.slots.find(({ slot }) => slot === 'client')?.current.split(' ')[0], 'rpc')
    await works(caller)
    assert.equal(caller.plugins.platform.plugins.length, open, 'no file stays open')
  })
}

test('a component that comes after its deadline is disposed', async (t) => {
  const { caller } = await pair(t, greeter, { caller: { makeTimeoutMs: 50 } })
  let disposed = 0
  const late = plugin(
    () =>
      new Promise((resolve) =>
        setTimeout(() => resolve(client({ [Symbol.asyncDispose]: async () => void disposed++ })), 150),
      ),
  )
  await assert.rejects(caller.swap('client', late), { code: 'timeout' })
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.equal(disposed, 1)
})

test('a call that does not end is cut at the drain deadline, and the report says so', async (t) => {
  const { caller } = await pair(t, (service) =>
    service.handle('Say', { Never: () => new Promise(() => undefined) }),
  )
  const never = caller.client.call('greeter', 'Say.Never', {}, { timeoutMs: 60_000 })
  const outcome = never.then(
    () => undefined,
    (error: { code?: string }) => error.code,
  )
  while (!caller.slots.some(({ slot, active }) => slot === 'client' && active > 0))
    await new Promise((resolve) => setImmediate(resolve))
  const { drained, durationMs } = await caller.swap('client', 'rpc', { watchMs: 0, drainMs: 100 })
  assert.equal(drained, false)
  assert.ok(durationMs >= 95 && durationMs < 5000)
  assert.equal(await outcome, 'closed')
})

test('an option that a swap does not have is refused, and so is a value that it cannot have', async (t) => {
  const { caller } = await pair(t, greeter)
  for (const options of [{ drain: 5 }, { drainMs: -1 }, { share: 2 }, { maxErrorRate: Number.NaN }])
    await assert.rejects(caller.swap('client', 'rpc', options as object), { code: 'invalid-option' })
  await assert.rejects(caller.swap('registry', 'memory', { share: 0.5 }), { code: 'unsupported' })
  await assert.rejects(caller.rollback('client'), { code: 'not-found' })
  await assert.rejects(caller.share('client', 0.5), { code: 'not-found' })
  await assert.rejects(caller.swap('codec', 'nothing'), { code: 'not-found' })
  await assert.rejects(caller.swap('middleware', 'nothing'), { code: 'not-found' })
  await assert.rejects(caller.swap('handler', 'nothing'), { code: 'not-found' })
})

test('a component that could not be made is made when it is next used', async (t) => {
  let tries = 0
  const store = definePlugin({
    name: 'memory',
    type: 'store',
    version: '1.0.0',
    newFunc: async () => {
      if (++tries === 1) throw new Error('the backend is not there yet')
      return memoryStore()
    },
  })
  const { caller } = await pair(t, greeter, { caller: { plugins: [store] } })
  const both = await Promise.allSettled([caller.store.list(), caller.store.list()])
  assert.deepEqual(
    both.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  assert.deepEqual(await caller.store.list(), [])
  assert.equal(tries, 2)
})

/** A registry whose backend goes away. */
function leavingRegistry(): { readonly plugin: PluginConfig<'registry'>; leave(): void } {
  let gone = false
  const hub = memoryRegistryHub()
  return {
    leave: () => (gone = true),
    plugin: definePlugin({
      name: 'leaving',
      type: 'registry',
      version: '1.0.0',
      newFunc: (_: object, context: ComponentContext): Registry => {
        const inner = memoryRegistry({ hub }, context)
        return {
          name: 'leaving',
          capabilities: inner.capabilities,
          register: async (record, options) => {
            if (gone) throw new ServiceError('unavailable', 'the registry is gone')
            await inner.register(record, options)
          },
          deregister: (record, options) => inner.deregister(record, options),
          get: (name, options) => inner.get(name, options),
          list: (options) => inner.list(options),
          watch: (options) => inner.watch(options),
          [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
        }
      },
    }),
  }
}

test('where calls cannot go back they stay on the new part, and further swaps go on', async (t) => {
  const { plugin: old, leave } = leavingRegistry()
  const { service } = await pair(t, greeter, { service: { registry: old } })
  const options = { hub: memoryRegistryHub() }
  const swapped = service.swap('registry', 'memory', { options, watchMs: 60_000 })
  const outcome = assert.rejects(swapped, /calls stay on memory .*cannot go back to leaving 1\.0\.0/)
  await until('it is switched', () =>
    service.slots.some(({ slot, current }) => slot === 'registry' && current.startsWith('memory')),
  )
  leave()
  await assert.rejects(service.rollback('registry'), /the registry is gone/)
  await outcome
  const slot = service.slots.find(({ type }) => type === 'registry')
  assert.match(slot?.current ?? '', /^memory/)
  assert.equal(slot?.next, undefined)
  assert.equal((await service.use('registry').get('greeter')).length, 1)
  const report = await service.swap('registry', 'memory', {
    options: { hub: memoryRegistryHub() },
    watchMs: 0,
  })
  assert.equal(report.outcome, 'swapped')
})

test('swaps of one slot go one after another, and those of others do not wait', async (t) => {
  const { caller } = await pair(t, greeter)
  const order: string[] = []
  let finish = (): void => undefined
  const slow = plugin(async () => {
    order.push('first begins')
    await new Promise<void>((resolve) => (finish = resolve))
    order.push('first is made')
    return client({})
  })
  const next = plugin(() => {
    order.push('second begins')
    return client({})
  })
  const first = caller.swap('client', slow, { watchMs: 0 })
  const second = caller.swap('client', next, { watchMs: 0 })
  await caller.swap('store', 'memory', { watchMs: 0 })
  order.push('another slot is done')
  finish()
  await Promise.all([first, second])
  assert.deepEqual(order, ['first begins', 'another slot is done', 'first is made', 'second begins'])
})

test('every step is told to listeners and on the diagnostics channel', async (t) => {
  const { caller } = await pair(t, greeter)
  const heard: SwapEvent[] = []
  const published: SwapEvent[] = []
  const listener = (event: unknown): void => void published.push(event as SwapEvent)
  subscribe('micrograft:swap', listener)
  t.after(() => unsubscribe('micrograft:swap', listener))
  const end = caller.onSwap((event) => heard.push(event))
  await caller.swap('client', 'rpc', { watchMs: 0, by: 'John' })
  await assert.rejects(
    caller.swap(
      'client',
      plugin(() => {
        throw new Error('no')
      }),
    ),
  )
  end()
  await caller.swap('client', 'rpc', { watchMs: 0 })
  assert.deepEqual(
    heard.map(({ phase }) => phase),
    ['preparing', 'switched', 'draining', 'done', 'preparing', 'failed'],
  )
  assert.deepEqual(published.slice(0, heard.length), heard)
  const { service, type, slot, by, drained } = heard[3] as SwapEvent
  assert.deepEqual(
    { service, type, slot, by, drained },
    { service: 'caller', type: 'client', slot: 'client', by: 'John', drained: true },
  )
  assert.match(heard[5]?.error?.message ?? '', /no/)
})
