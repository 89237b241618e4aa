import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createService,
  definePlugin,
  twoWay,
  type CallContext,
  type ComponentContext,
  type Config,
  type Middleware,
  type Registry,
  type Selector,
  type Service,
  type Store,
} from 'micrograft'
import { until } from '@micrograft/testing'
import { memoryConfig } from '../dist/config/memory-config.js'
import { memoryRegistry, memoryRegistryHub } from '../dist/registry/memory-registry.js'
import { registrySelector } from '../dist/selector/registry-selector.js'
import { memoryStore } from '../dist/store/memory-store.js'
import { gate, soon } from './support/gate.js'
import { pair } from './support/pair.js'

const now = { watchMs: 0 } as const

const greeter = (service: Service) =>
  service.handle('Say', { Hello: ({ name }: { name: string }) => ({ msg: `Hello ${name}` }) })

/** The registry selector, each of whose selections waits for `before`. */
const slowSelector = (name: string, before: () => Promise<void>, version = '1.0.0') =>
  definePlugin({
    name,
    type: 'selector',
    version,
    newFunc: (_: object, context: ComponentContext): Selector => {
      const inner = registrySelector(undefined, context)
      return {
        name,
        select: async (service, options) => {
          await before()
          return inner.select(service, options)
        },
        [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
      }
    },
  })

test('nodes that are selected while the selector is swapped are chosen by the new one', async (t) => {
  const first = gate()
  const second = gate()
  let selecting = 0
  const { caller } = await pair(t, greeter, {
    caller: {
      selector: slowSelector('first', async () => {
        if (++selecting > 1) await first.passed
      }),
    },
  })
  const selector = caller.use('selector')
  await selector.select('other')
  let asked = 0
  const swapping = caller.swap(
    'selector',
    slowSelector('second', () => (asked++ === 0 ? second.passed : Promise.resolve())),
    now,
  )
  await until('the new one is asked for what there is', () => asked > 0)
  const selecting2 = selector.select('greeter')
  first.open()
  const selection = await selecting2
  second.open()
  await swapping
  assert.equal(selection.next().address, (await caller.use('registry').get('greeter'))[0]?.nodes[0]?.address)
  assert.deepEqual(await caller.client.call('greeter', 'Say.Hello', { name: 'John' }), { msg: 'Hello John' })
})

test('a selection that is being made when the selector is swapped is not lost', async (t) => {
  const first = gate()
  let asked = false
  const slow = slowSelector('first', () => {
    asked = true
    return first.passed
  })
  const { caller } = await pair(t, greeter, { caller: { selector: slow } })
  const call = caller.client.call('greeter', 'Say.Hello', { name: 'John' }, { retries: 0 })
  await until('it is asked', () => asked)
  const swapping = caller.swap('selector', 'registry', now)
  await until('calls go to the new one', () =>
    caller.slots.some(({ slot, current }) => slot === 'selector' && current.startsWith('registry')),
  )
  first.open()
  assert.deepEqual(await call, { msg: 'Hello John' })
  await swapping
})

test('a watcher that is made while the registry is swapped goes on with the new one', async (t) => {
  const hub = memoryRegistryHub()
  const first = gate()
  const second = gate()
  let watched = 0
  const slow = (name: string, before: () => Promise<void>) =>
    definePlugin({
      name,
      type: 'registry',
      version: '1.0.0',
      newFunc: (_: object, context: ComponentContext): Registry => {
        const inner = memoryRegistry({ hub }, context)
        return {
          name,
          capabilities: inner.capabilities,
          register: (record, options) => inner.register(record, options),
          deregister: (record, options) => inner.deregister(record, options),
          get: (service, options) => inner.get(service, options),
          list: (options) => inner.list(options),
          watch: async (options) => {
            await before()
            return inner.watch(options)
          },
          [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
        }
      },
    })
  const registry = slow('first', () => (watched++ === 0 ? Promise.resolve() : first.passed))
  const service = createService({ name: 'watching', registry, logger: 'noop' })
  t.after(() => service.stop())
  await service.start()
  const there = await service.use('registry').watch()
  let asked = 0
  const swapping = service.swap(
    'registry',
    slow('second', () => (asked++ === 0 ? second.passed : Promise.resolve())),
    now,
  )
  await until('the new one is asked to watch', () => asked > 0)
  const watching = service.use('registry').watch()
  first.open()
  const watcher = await watching
  second.open()
  await swapping
  const next = watcher.next()
  await service.use('registry').register({
    name: 'late',
    version: '1',
    metadata: {},
    endpoints: [],
    nodes: [{ id: 'late-1', address: '127.0.0.1:1', metadata: {} }],
  })
  const { value, done } = await soon('the watcher is told', next)
  assert.equal(done, false)
  assert.equal((value as { service: { name: string } }).service.name, 'late')
  await watcher.return?.()
  await there.return?.()
})

/** A memory store whose writes end as `write` says. */
const storeWith = (name: string, write: (key: string) => Promise<void>, value?: Store) =>
  definePlugin({
    name,
    type: 'store',
    version: '1.0.0',
    newFunc: (): Store => {
      const inner = value ?? memoryStore()
      return {
        name,
        capabilities: inner.capabilities,
        get: (key, options) => inner.get(key, options),
        set: async (key, bytes, options) => {
          await write(key)
          await inner.set(key, bytes, options)
        },
        delete: (key, options) => inner.delete(key, options),
        list: (options) => inner.list(options),
        [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
      }
    },
  })

async function keeper(t: { after(done: () => Promise<void>): void }): Promise<Service> {
  const service = createService({ name: 'keeper', logger: 'noop', store: 'memory' })
  t.after(() => service.stop())
  await service.start()
  return service
}

test('a store is written as before once a share of the calls with a copy was rolled back', async (t) => {
  const service = await keeper(t)
  const { store } = service
  await store.set('a', Buffer.from('1'))
  await service.swap(
    'store',
    storeWith('other', () => Promise.resolve()),
    { copy: true, share: 0.5 },
  )
  await store.set('b', Buffer.from('2'))
  await service.rollback('store')
  await store.set('c', Buffer.from('3'))
  assert.equal(await store.delete('a'), true)
  assert.deepEqual(await store.list(), ['b', 'c'])
  const { outcome } = await service.swap('store', 'memory', now)
  assert.equal(outcome, 'swapped')
})

test('while calls are shared, what is written is in both stores that were made the same by a copy', async (t) => {
  const service = await keeper(t)
  const { store } = service
  await service.swap(
    'store',
    storeWith('other', () => Promise.resolve()),
    { copy: true, share: 0.5 },
  )
  for (let i = 0; i < 4; i++) {
    await store.set(`key-${i}`, Buffer.from(`${i}`))
    for (let read = 0; read < 2; read++)
      assert.equal(Buffer.from((await store.get(`key-${i}`)) ?? []).toString(), `${i}`)
  }
  await service.rollback('store')
  assert.deepEqual(await store.list(), ['key-0', 'key-1', 'key-2', 'key-3'])
})

test('a store that refuses what is written while it is copied to fails the swap, and not the write', async (t) => {
  const service = await keeper(t)
  const { store } = service
  await store.set('a', Buffer.from('1'))
  const copying = gate()
  let begun = false
  const other = storeWith('other', async (key) => {
    if (key !== 'a') throw new Error('the disk is full')
    begun = true
    await copying.passed
  })
  const swapping = service.swap('store', other, { ...now, copy: true })
  const refused = assert.rejects(swapping, /the disk is full/)
  await until('it is being copied to', () => begun)
  await store.set('b', Buffer.from('2'))
  copying.open()
  await refused
  assert.equal(store.name, 'memory')
  assert.deepEqual(await store.list(), ['a', 'b'])
})

test('a store whose write throws at once holds up no swap', async (t) => {
  const service = createService({
    name: 'keeper',
    logger: 'noop',
    store: definePlugin({
      name: 'throwing',
      type: 'store',
      version: '1.0.0',
      newFunc: (): Store =>
        Object.assign(memoryStore(), {
          set: (): never => {
            throw new Error('at once')
          },
        }),
    }),
  })
  t.after(() => service.stop())
  await service.start()
  await assert.rejects(service.store.set('a', Buffer.from('1')), /at once/)
  const { drained } = await service.swap('store', 'memory', { ...now, drainMs: 100 })
  assert.equal(drained, true)
})

test('the share of a version is one of its own calls, whatever other handlers are called', async (t) => {
  const handlers = (name: string, type: string, version: string) =>
    definePlugin({
      name,
      type: 'handler',
      version,
      newFunc: () => ({
        endpoints: { [type]: { Version: () => version } },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
    })
  const service = createService({
    name: 'two',
    registry: 'memory',
    logger: 'noop',
    handlers: [handlers('first', 'First', '1.0.0'), handlers('second', 'Second', '1.0.0')],
  })
  t.after(() => service.stop())
  await service.start()
  await service.swap('handler', handlers('first', 'First', '2.0.0'), { share: 0.5 })
  const seen: unknown[] = []
  for (let i = 0; i < 10; i++) {
    seen.push(await service.client.call('two', 'First.Version', {}))
    await service.client.call('two', 'Second.Version', {})
  }
  assert.equal(seen.filter((version) => version === '2.0.0').length, 5)
  await service.rollback('handler', 'first')
})

for (const side of ['call', 'handle'] as const)
  test(`a stream that goes through middleware of a plugin ends on the one where it began, around ${side}`, async (t) => {
    const disposed = new Set<string>()
    const used: string[] = []
    const layer = (version: string) =>
      definePlugin({
        name: 'counting',
        type: 'middleware',
        version,
        newFunc: (): Middleware & AsyncDisposable => ({
          name: 'counting',
          [side]: async (context: CallContext, next: (passed: CallContext) => Promise<unknown>) => {
            const all = (await next(context)) as AsyncIterable<unknown>
            return (async function* () {
              for await (const each of all) {
                used.push(`${version}${disposed.has(version) ? ' after its end' : ''}`)
                yield each
              }
            })()
          },
          [Symbol.asyncDispose]: async () => void disposed.add(version),
        }),
      })
    const options = { plugins: [layer('1.0.0')], middleware: ['counting'] }
    const { service, caller } = await pair(
      t,
      (it) =>
        it.handle('Say', {
          Echo: twoWay({
            handle: async function* (all: AsyncIterable<unknown>) {
              yield* all
            },
          }),
        }),
      side === 'call' ? { caller: options } : { service: options },
    )
    const unread = caller.client.open('greeter', 'Say.Echo')
    await unread.send(0)
    await unread[Symbol.asyncDispose]()
    const stream = caller.client.open('greeter', 'Say.Echo')
    const replies = stream[Symbol.asyncIterator]()
    await stream.send(1)
    await replies.next()
    const swapping = (side === 'call' ? caller : service).swap('middleware', layer('2.0.0'), now)
    await until('it drains or has ended', () =>
      (side === 'call' ? caller : service).slots.some(
        ({ slot, current }) => slot === 'middleware counting' && current === 'counting 2.0.0',
      ),
    )
    await new Promise((resolve) => setImmediate(resolve))
    await stream.send(2)
    await replies.next()
    await stream.end()
    assert.equal((await replies.next()).done, true)
    assert.equal((await swapping).drained, true)
    assert.deepEqual([...new Set(used)], ['1.0.0'])
    assert.deepEqual([...disposed], ['1.0.0'])
  })

test('who watches settings that are being read first watches them once, and leaves nothing behind', async (t) => {
  const { passed, open } = gate()
  let watching = 0
  const slow = definePlugin({
    name: 'env',
    type: 'config',
    version: '9.0.0',
    newFunc: async (): Promise<Config> => {
      await passed
      const inner = memoryConfig()
      return {
        name: 'env',
        read: (options) => inner.read(options),
        watch: (options) => {
          watching++
          const source = inner.watch(options)
          return {
            next: () => source.next(),
            return: async () => {
              watching--
              return { value: undefined, done: true }
            },
            [Symbol.asyncIterator]() {
              return this
            },
          }
        },
        [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
      }
    },
  })
  const service = createService({ name: 'a', registry: 'memory', logger: 'noop', plugins: [slow] })
  t.after(() => service.stop())
  await service.start()
  const left = service.use('config').watch()
  const nothing = left.next()
  await left.return?.()
  const kept = service.use('config').watch()
  const both = [kept.next(), kept.next()]
  for (const each of both) each.catch(() => undefined)
  open()
  assert.equal((await nothing).done, true)
  await until('it is watched', () => watching > 0)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(watching, 1)
  await kept.return?.()
  assert.equal(watching, 0)
})
