import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { test, type TestContext } from 'node:test'
import {
  createService,
  definePlugin,
  type Codec,
  type Logger,
  type LogFields,
  type Middleware,
  type Service,
  type ServiceOptions,
} from 'micrograft'
import { until } from '@micrograft/testing'
import { memoryRegistryHub } from '../dist/registry/memory-registry.js'
import { privateFolder } from './support/folder.js'
import { CallLoad } from './support/load.js'
import { pair } from './support/pair.js'

const greeter = (service: Service) =>
  service.handle('Say', { Hello: ({ name }: { name: string }) => ({ msg: `Hello ${name}` }) })
const now = { watchMs: 0, drainMs: 20_000 } as const

async function local(
  t: TestContext,
  options: Partial<ServiceOptions> = {},
): Promise<{ service: Service; caller: Service; folder: string }> {
  const folder = await privateFolder(t)
  const registry = { use: 'local', options: { directory: `${folder}/one` } }
  const { service, caller } = await pair(t, greeter, {
    service: { registry, ...options },
    caller: { registry, ...options },
  })
  return { service, caller, folder }
}

test('a service moves from tcp to unix sockets and back, and no call is lost', async (t) => {
  const { service, caller } = await local(t)
  await using load = new CallLoad(caller)
  for (const transport of ['unix', 'tcp', 'unix', 'tcp']) {
    const before = load.done
    await service.swap('transport', transport, now)
    assert.equal(service.record.nodes[0]?.metadata['transport'], transport)
    await until('calls go on', () => load.done > before + 20)
    const [record] = await caller.use('registry').get('greeter')
    assert.deepEqual(
      record?.nodes.map(({ address, metadata }) => [address, metadata['transport']]),
      [[service.address, transport]],
    )
  }
  await load.end()
})

test('a service with a fixed address keeps it when its transport is swapped', async (t) => {
  const { service: first } = await local(t)
  const address = first.address as string
  await first.stop()
  const { service, caller } = await local(t, { address })
  await using load = new CallLoad(caller, 4)
  await service.swap('transport', 'tcp', now)
  assert.equal(service.address, address)
  const before = load.done
  await until('calls go on', () => load.done > before + 20)
  await load.end()
})

test('a service and its caller move from one registry to another, and no call is lost', async (t) => {
  const { service, caller, folder } = await local(t)
  await using load = new CallLoad(caller)
  const options = { directory: `${folder}/two` }
  // The old registry knows the node until the window is over: callers have that long to follow.
  const moving = service.swap('registry', 'local', { options, watchMs: 2000 })
  await until('it is in both', () =>
    service.slots.some(({ slot, next }) => slot === 'registry' && next !== undefined),
  )
  await caller.swap('registry', 'local', { ...now, options })
  const before = load.done
  await moving
  await until('calls go on', () => load.done > before + 20)
  await load.end()
  assert.equal((await caller.use('registry').get('greeter')).length, 1)
})

test('watchers of a registry that is swapped see no gap, and what differs', async (t) => {
  const one = memoryRegistryHub()
  const two = memoryRegistryHub()
  const watching = createService({
    name: 'watching',
    registry: { use: 'memory', options: { hub: one } },
    logger: 'noop',
  })
  t.after(() => watching.stop())
  await watching.start()
  const record = (name: string) => ({
    name,
    version: '1',
    metadata: {},
    endpoints: [],
    nodes: [{ id: `${name}-1`, address: '127.0.0.1:1', metadata: {} }],
  })
  const registry = watching.use('registry')
  await registry.register(record('kept'))
  const watcher = await registry.watch()
  const seen: string[] = []
  const reading = (async () => {
    for await (const { type, service } of watcher) seen.push(`${type} ${service.name}`)
  })()
  const other = createService({
    name: 'other',
    registry: { use: 'memory', options: { hub: two } },
    logger: 'noop',
  })
  t.after(() => other.stop())
  await other.start()
  await other.use('registry').register(record('there'))
  await watching.swap('registry', 'memory', { ...now, options: { hub: two } })
  await until('the difference is told', () => seen.includes('create there'))
  assert.equal(seen.includes('delete kept'), false, 'what is registered here is in the new one')
  await other.use('registry').register(record('later'))
  await until('what comes later is told', () => seen.includes('create later'))
  assert.deepEqual(
    (await registry.list()).map(({ name }) => name),
    ['kept', 'later', 'there'],
  )
  await watcher.return?.()
  await reading
})

test('a store is copied, with what is written meanwhile', async (t) => {
  const folder = await privateFolder(t)
  const service = createService({ name: 'keeper', logger: 'noop' })
  t.after(() => service.stop())
  await service.start()
  const { store } = service
  const value = (n: number) => Buffer.from(`value ${n}`)
  for (let i = 0; i < 1200; i++) await store.set(`key-${i}`, value(i))
  const swapping = service.swap('store', 'file', { ...now, copy: true, options: { addresses: [folder] } })
  const over = new AbortController()
  void swapping.finally(() => over.abort()).catch(() => undefined)
  let written = 0
  while (!over.signal.aborted) {
    await store.set(`key-${written % 1200}`, value(10_000 + written))
    await store.delete(`key-${(written + 600) % 1200}`)
    written++
    await new Promise((resolve) => setImmediate(resolve))
  }
  await swapping
  assert.equal(store.name, 'file')
  const expected = new Map<string, number>()
  for (let i = 0; i < 1200; i++) expected.set(`key-${i}`, i)
  for (let i = 0; i < written; i++) {
    expected.set(`key-${i % 1200}`, 10_000 + i)
    expected.delete(`key-${(i + 600) % 1200}`)
  }
  const wrong: string[] = []
  for (let i = 0; i < 1200; i++) {
    const found = await store.get(`key-${i}`)
    const number = expected.get(`key-${i}`)
    if (found && Buffer.from(found).toString() !== (number === undefined ? undefined : `value ${number}`))
      wrong.push(`key-${i} is ${found && Buffer.from(found).toString()} and should be ${number}`)
  }
  assert.ok(written > 0)
  assert.deepEqual(wrong, [])
})

test('a store that refuses an entry fails the copy, and the old one serves', async (t) => {
  const folder = await privateFolder(t)
  const service = createService({ name: 'keeper', logger: 'noop' })
  t.after(() => service.stop())
  await service.start()
  await service.store.set('large', Buffer.alloc(200_000))
  await assert.rejects(
    service.swap('store', 'file', {
      ...now,
      copy: true,
      options: { addresses: [folder], maxValueBytes: 1000 },
    }),
    { code: 'too-large' },
  )
  assert.equal(service.store.name, 'memory')
  assert.equal((await service.store.get('large'))?.length, 200_000)
})

test('middleware of a plugin is swapped: what is under way ends on the old one', async (t) => {
  const stamp = (version: string, gate?: Promise<void>) =>
    definePlugin({
      name: 'stamp',
      type: 'middleware',
      version,
      newFunc: (): Middleware => ({
        name: 'stamp',
        async handle(context, next) {
          const reply = (await next(context)) as object
          await gate
          return { ...reply, stamp: version }
        },
      }),
    })
  let open = (): void => undefined
  const gate = new Promise<void>((resolve) => (open = resolve))
  const { service, caller } = await pair(t, greeter, {
    service: { plugins: [stamp('1.0.0', gate)], middleware: ['stamp'] },
  })
  const first = caller.client.call('greeter', 'Say.Hello', { name: 'John' })
  await until('it is under way', () =>
    service.slots.some(({ slot, active }) => slot === 'middleware stamp' && active === 1),
  )
  const swapped = service.swap('middleware', stamp('2.0.0'), now)
  await until('it is switched', () => service.slots.some(({ current }) => current === 'stamp 2.0.0'))
  assert.deepEqual(await caller.client.call('greeter', 'Say.Hello', { name: 'John' }), {
    msg: 'Hello John',
    stamp: '2.0.0',
  })
  open()
  assert.deepEqual(await first, { msg: 'Hello John', stamp: '1.0.0' })
  assert.equal((await swapped).drained, true)
})

test('a codec is swapped at once, with its content types', async (t) => {
  const service = createService({ name: 'coder', logger: 'noop', broker: 'memory' })
  t.after(() => service.stop())
  await service.start()
  const codec = (version: string, contentTypes: string[]) =>
    definePlugin({
      name: 'json',
      type: 'codec',
      version,
      newFunc: (): Codec => ({
        name: 'json',
        contentTypes,
        text: true,
        encode: (value) => Buffer.from(JSON.stringify({ version, value })),
        decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()) as unknown,
      }),
    })
  const got: unknown[] = []
  await service.subscribe('t', (payload) => got.push(payload))
  await service.swap('codec', codec('2.0.0', ['application/json', 'application/x-two']), now)
  await service.publish('t', 1)
  await service.publish('t', 2, { contentType: 'application/x-two' })
  await until('both came', () => got.length === 2)
  assert.deepEqual(got, [
    { version: '2.0.0', value: 1 },
    { version: '2.0.0', value: 2 },
  ])
  await service.swap('codec', codec('3.0.0', ['application/json']), now)
  await assert.rejects(service.publish('t', 3, { contentType: 'application/x-two' }), {
    code: 'unsupported-content',
  })
})

test('loggers that were derived write to the new logger', async (t) => {
  const written: string[] = []
  const logger = (version: string) => {
    const make = (fields: LogFields): Logger => {
      const write = (event: string, more: LogFields = {}) =>
        void written.push(`${version} ${event} ${JSON.stringify({ ...fields, ...more })}`)
      return {
        enabled: () => true,
        trace: write,
        debug: write,
        info: write,
        warn: write,
        error: write,
        child: (more) => make({ ...fields, ...more }),
      }
    }
    return definePlugin({ name: 'lines', type: 'logger', version, newFunc: () => make({}) })
  }
  const service = createService({ name: 'logging', logger: logger('1.0.0') })
  t.after(() => service.stop())
  await service.start()
  const derived = service.log.child({ a: 1 }).child({ b: 2 })
  derived.info('before')
  await service.swap('logger', logger('2.0.0'), now)
  derived.info('after')
  assert.deepEqual(
    written.filter((line) => /before|after/.test(line)),
    ['1.0.0 before {"a":1,"b":2}', '2.0.0 after {"a":1,"b":2}'],
  )
})

test('who watches the settings gets those of the new source, and its changes', async (t) => {
  const folder = await privateFolder(t)
  await writeFile(`${folder}/one.json`, '{"n":1}')
  await writeFile(`${folder}/two.json`, '{"n":2}')
  const service = createService({
    name: 'set',
    logger: 'noop',
    config: { use: 'file', options: { addresses: [`${folder}/one.json`] } },
  })
  t.after(() => service.stop())
  await service.start()
  const trees: unknown[] = []
  const watcher = service.use('config').watch()
  const reading = (async () => {
    for await (const tree of watcher) trees.push(tree)
  })()
  assert.deepEqual(await service.use('config').read(), { n: 1 })
  await service.swap('config', 'file', { ...now, options: { addresses: [`${folder}/two.json`] } })
  await until('the new tree is told', () => trees.length === 1)
  await writeFile(`${folder}/two.json`, '{"n":3}')
  await until('its change is told', () => trees.length >= 2)
  assert.deepEqual([trees[0], trees.at(-1)], [{ n: 2 }, { n: 3 }])
  await watcher.return?.()
  await reading
})

test('a server of another protocol is reached at a door of its own, while the old one still answers', async (t) => {
  const { service, caller } = await local(t)
  await using load = new CallLoad(caller)
  const before = service.address
  const other = definePlugin({
    name: 'rpc2',
    type: 'server',
    version: '1.0.0',
    newFunc: async (options: never, context) => {
      const { rpcServer } = (await import('../dist/rpc/rpc-server.js')) as {
        rpcServer: (o: undefined, c: typeof context) => object
      }
      const server = rpcServer(options, context) as {
        name: string
        protocol: string
        start: (c: unknown) => Promise<{ address: string; metadata: object }>
        stop: () => Promise<void>
      } & AsyncDisposable
      return {
        name: 'rpc2',
        protocol: 'rpc2',
        // The same wire, under another name: callers that know it would choose by the name.
        start: async (host) => ({
          ...(await server.start(host)),
          metadata: { protocol: 'rpc', transport: 'tcp' },
        }),
        stop: () => server.stop(),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      }
    },
  })
  await service.swap('server', other, now)
  assert.notEqual(service.address, before)
  const done = load.done
  await until('calls go on', () => load.done > done + 20)
  await service.rollback('server')
  const again = load.done
  await until('calls go on', () => load.done > again + 20)
  await load.end()
})

test('a server that fails while it is watched gives the door back', async (t) => {
  const { service, caller } = await local(t)
  const address = service.address
  const broken = definePlugin({
    name: 'rpc',
    type: 'server',
    version: '9.0.0',
    newFunc: async (options: never, context) => {
      const { rpcServer } = (await import('../dist/rpc/rpc-server.js')) as {
        rpcServer: (o: undefined, c: typeof context) => never
      }
      return rpcServer(options, context)
    },
  })
  let failing = false
  service.handle('May', {
    Fail: () => {
      if (failing) throw new Error('broken')
      return 'well'
    },
  })
  const call = () => caller.client.call('greeter', 'May.Fail', {}, { retries: 0 })
  await until('the endpoint is known', async () => (await call().catch(() => '')) === 'well')
  const outcome = service.swap('server', broken, { watchMs: 60_000, minCalls: 5, maxErrorRate: 0.5 }).then(
    () => undefined,
    (error: Error) => error,
  )
  await until('it is switched', () =>
    service.slots.some(({ slot, current }) => slot === 'server' && current === 'rpc 9.0.0'),
  )
  failing = true
  // A new connection, which comes to the new server.
  await caller.swap('client', 'rpc', now)
  for (let i = 0; i < 6; i++) await call().catch(() => undefined)
  assert.match((await outcome)?.message ?? 'it stayed', /calls went back from rpc 9\.0\.0/)
  failing = false
  assert.equal(service.address, address)
  await caller.swap('client', 'rpc', now)
  assert.equal(await call(), 'well')
})

test('a swap by preference: the platform is told which version to use', async (t) => {
  const { greeterFile } = await import('./support/plugin-file.js')
  const folder = await privateFolder(t)
  const service = createService({
    handlers: [await greeterFile(folder, '1.0.0')],
    registry: { use: 'memory', options: { hub: memoryRegistryHub() } },
    logger: 'noop',
  })
  t.after(() => service.stop())
  await service.start()
  const { platform } = service.plugins
  const current = () => service.slots.find(({ slot }) => slot === 'handler greeter')?.current
  await platform.open(await greeterFile(folder, '1.1.0'))
  await until('the newer one is taken', () => current() === 'greeter 1.1.0')
  platform.prefer('greeter', '1.0.0')
  await until('the one that is preferred is taken', () => current() === 'greeter 1.0.0')
})

test('a node that was renewed in both registries while the old one was kept stays when that goes', async (t) => {
  const folder = await privateFolder(t)
  const registry = { use: 'local', options: { directory: `${folder}/one` } }
  const { service, caller } = await pair(t, greeter, {
    service: { registry, registerIntervalMs: 20 },
    caller: { registry },
  })
  await service.swap('registry', 'local', { watchMs: 200 })
  // Nothing renews it any more: what is there was left there.
  const found = await caller.use('registry').get('greeter')
  assert.deepEqual(
    found[0]?.nodes.map(({ id }) => id),
    [service.record.nodes[0]?.id],
  )
})

test('the door stays open while the server is swapped: no connection is refused', async (t) => {
  const { service } = await local(t)
  const address = service.address as string
  const [host, port] = address.split(':') as [string, string]
  const stopping = new AbortController()
  const errors: Error[] = []
  let connected = 0
  const knocking = (async () => {
    while (!stopping.signal.aborted) {
      await new Promise<void>((resolve) => {
        const socket = connect(Number(port), host, () => {
          connected++
          socket.destroy()
        })
        socket.on('error', (error) => errors.push(error))
        socket.once('close', () => resolve())
      })
    }
  })()
  for (let i = 0; i < 10; i++) {
    const before = connected
    await service.swap('server', 'rpc', now)
    assert.equal(service.address, address)
    await until('it is still open', () => connected > before)
  }
  stopping.abort()
  await knocking
  assert.deepEqual(errors, [])
})
