import assert from 'node:assert/strict'
import { access } from 'node:fs/promises'
import { test, type TestContext } from 'node:test'
import {
  createService,
  definePlugin,
  type ComponentContext,
  type HandlerSet,
  type Registry,
  type Selector,
  type Server,
} from 'micrograft'
import { until } from '@micrograft/testing'
import { memoryRegistry } from '../dist/registry/memory-registry.js'
import { gate, soon } from './support/gate.js'
import { privateFolder } from './support/folder.js'

const plain = { name: 'stopping', registry: 'memory', logger: 'noop' } as const

/** Errors that nobody took while the test ran. */
function unhandled(t: TestContext): unknown[] {
  const found: unknown[] = []
  const keep = (error: unknown): void => void found.push(error)
  process.on('unhandledRejection', keep).on('uncaughtException', keep)
  t.after(() => void process.off('unhandledRejection', keep).off('uncaughtException', keep))
  return found
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}

test('a handler that fails when its service has stopped does not end the process', async (t) => {
  const errors = unhandled(t)
  const { passed, open } = gate()
  const service = createService({ ...plain, graceMs: 10 }).handle('Say', {
    Late: async () => {
      await passed
      throw new Error('the database is gone')
    },
  })
  await service.start()
  const outcome = assert.rejects(service.client.call('stopping', 'Say.Late', {}))
  await service.stop()
  await outcome
  open()
  await turns()
  assert.deepEqual(errors, [])
})

test('handlers that come when the service has stopped do not end the process', async (t) => {
  const errors = unhandled(t)
  const service = createService(plain).handle('Say', { Hello: () => 1 })
  await service.start()
  await service.stop()
  service.handle('More', { Hello: () => 2 })
  service.log.info('still here')
  await turns()
  assert.deepEqual(errors, [])
})

test('a subscription that waits for the start is refused where the service stops instead', async () => {
  const service = createService(plain)
  const early = service.subscribe('topic', () => undefined)
  await service.stop()
  await assert.rejects(soon('it is refused', early), { code: 'closed' })
  await assert.rejects(
    soon(
      'a later one is refused',
      service.subscribe('topic', () => undefined),
    ),
    {
      code: 'closed',
    },
  )
})

test('a subscription that waits for the start is refused where that fails, and nobody need look', async (t) => {
  const errors = unhandled(t)
  const broken = definePlugin({
    name: 'broken',
    type: 'broker',
    version: '1.0.0',
    newFunc: () => Promise.reject(new Error('no broker')),
  })
  const service = createService({ ...plain, broker: broken })
  const waiting = service.subscribe('topic', () => undefined)
  void service.subscribe('topic', () => undefined)
  await assert.rejects(service.start(), /no broker/)
  await assert.rejects(soon('it is refused', waiting))
  await turns()
  assert.deepEqual(errors, [])
})

test('handlers that were made are disposed where others cannot be', async () => {
  let disposed = 0
  const handlers = (name: string, newFunc: () => HandlerSet) =>
    definePlugin({ name, type: 'handler', version: '1.0.0', newFunc })
  const service = createService({
    ...plain,
    handlers: [
      handlers('good', () => ({
        endpoints: { Good: { Hello: () => 1 } },
        [Symbol.asyncDispose]: async () => void disposed++,
      })),
      handlers('bad', () => {
        throw new Error('no database')
      }),
    ],
  })
  await assert.rejects(service.start(), /no database/)
  assert.equal(disposed, 1)
  await service.stop()
  assert.equal(disposed, 1)
})

test('a service that was stopped makes nothing any more', async () => {
  const service = createService(plain)
  await service.stop()
  await assert.rejects(service.init([], {}), { code: 'closed' })
  await assert.rejects(service.start(), { code: 'conflict' })
})

/** A memory registry whose `register` waits for `before`, and what it was asked. */
function slowRegistry(before: (call: number) => Promise<void>) {
  const asked: string[] = []
  let calls = 0
  const plugin = definePlugin({
    name: 'slow',
    type: 'registry',
    version: '1.0.0',
    newFunc: (_: object, context: ComponentContext): Registry => {
      const inner = memoryRegistry(undefined, context)
      return {
        name: 'slow',
        capabilities: inner.capabilities,
        register: async (record, options) => {
          asked.push('register')
          await before(++calls)
          await inner.register(record, options)
          asked.push('registered')
        },
        deregister: async (record, options) => {
          asked.push('deregister')
          await inner.deregister(record, options)
        },
        get: (name, options) => inner.get(name, options),
        list: (options) => inner.list(options),
        watch: (options) => inner.watch(options),
        [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
      }
    },
  })
  return { plugin, asked }
}

test('a node is taken out after a renewal that is under way, and not before it', async () => {
  const { passed, open } = gate()
  const { plugin, asked } = slowRegistry((call) => (call === 2 ? passed : Promise.resolve()))
  const service = createService({ ...plain, registry: plugin }).handle('Say', { Hello: () => 1 })
  await service.start()
  service.handle('More', { Hello: () => 2 })
  await until('it is being renewed', () => asked.filter((each) => each === 'register').length === 2)
  const stopping = service.stop()
  await turns()
  open()
  await stopping
  assert.deepEqual(asked, ['register', 'registered', 'register', 'registered', 'deregister'])
})

test('a service that is stopped while it starts leaves nothing open', async (t) => {
  const folder = await privateFolder(t)
  const { passed, open } = gate()
  const { plugin, asked } = slowRegistry(() => passed)
  const admin = `${folder}/admin.sock`
  const service = createService({ ...plain, registry: plugin, admin }).handle('Say', { Hello: () => 1 })
  const starting = service.start()
  const refused = assert.rejects(starting, { code: 'closed' })
  await until('it is being registered', () => asked.includes('register'))
  const stopping = service.stop()
  await turns()
  open()
  await soon('the start ends', refused)
  await soon('the stop ends', stopping)
  assert.equal(asked.at(-1), 'deregister')
  assert.equal(service.adminPath, undefined)
  await assert.rejects(access(admin))
})

test('a selector that never answers does not keep a service from stopping', async () => {
  let asked = false
  const stuck = definePlugin({
    name: 'stuck',
    type: 'selector',
    version: '1.0.0',
    newFunc: (): Selector => ({
      name: 'stuck',
      select: () => {
        asked = true
        return new Promise(() => undefined)
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  })
  const service = createService({ ...plain, selector: stuck, makeTimeoutMs: 1000 })
  await service.start()
  void service.client.call('other', 'Say.Hello', {}).catch(() => undefined)
  await until('it is asked', () => asked)
  await turns()
  await soon('it stops', service.stop(), 6000)
})

test('local calls are ended also where a server cannot be stopped', async () => {
  const broken = definePlugin({
    name: 'broken',
    type: 'server',
    version: '1.0.0',
    newFunc: (): Server => ({
      name: 'broken',
      protocol: 'broken',
      start: () => Promise.resolve({ address: '127.0.0.1:1', metadata: {} }),
      stop: () => Promise.reject(new Error('it cannot be stopped')),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  })
  const service = createService({ ...plain, server: broken, graceMs: 10 }).handle('Say', {
    Never: () => new Promise(() => undefined),
  })
  await service.start()
  const call = service.client.call('stopping', 'Say.Never', {}, { timeoutMs: 0 })
  const ended = assert.rejects(call, { code: 'unavailable' })
  await assert.rejects(service.stop(), /it cannot be stopped/)
  await soon('the call is ended', ended)
})

test('a part that never ends does not keep a service from stopping', async () => {
  const stuck = definePlugin({
    name: 'stuck',
    type: 'server',
    version: '1.0.0',
    newFunc: (): Server => ({
      name: 'stuck',
      protocol: 'stuck',
      start: () => Promise.resolve({ address: '127.0.0.1:1', metadata: {} }),
      stop: () => new Promise(() => undefined),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  })
  const service = createService({ ...plain, server: stuck, graceMs: 50, makeTimeoutMs: 1000 }).handle('Say', {
    Hello: () => 1,
  })
  await service.start()
  await assert.rejects(soon('it stops', service.stop(), 5000), /stopped, but not cleanly/)
})

test('what fails to be disposed keeps nothing else from it', async () => {
  const disposed: string[] = []
  const layer = (name: string) =>
    definePlugin({
      name,
      type: 'middleware',
      version: '1.0.0',
      newFunc: () => ({
        name,
        [Symbol.asyncDispose]: async () => {
          disposed.push(name)
          throw new Error(`${name} is stuck`)
        },
      }),
    })
  const handlers = (name: string) =>
    definePlugin({
      name,
      type: 'handler',
      version: '1.0.0',
      newFunc: () => ({
        endpoints: { [`T${name}`]: { Hello: () => 1 } },
        [Symbol.asyncDispose]: async () => {
          disposed.push(name)
          throw new Error(`${name} is stuck`)
        },
      }),
    })
  const service = createService({
    ...plain,
    plugins: [layer('a'), layer('b')],
    middleware: ['a', 'b'],
    handlers: [handlers('c'), handlers('d')],
  })
  await service.start()
  await assert.rejects(service.stop(), /stopped, but not cleanly/)
  assert.deepEqual(disposed.sort(), ['a', 'b', 'c', 'd'])
})
