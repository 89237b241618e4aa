import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import {
  createService,
  definePlugin,
  type ComponentContext,
  type PluginConfig,
  type Server,
  type Service,
  type Transport,
} from 'micrograft'
import { until } from '@micrograft/testing'
import { memoryRegistryHub } from '../dist/registry/memory-registry.js'
import { rpcServer } from '../dist/rpc/rpc-server.js'
import { tcpTransport } from '../dist/transport/tcp-transport.js'
import { privateFolder } from './support/folder.js'
import { CallLoad } from './support/load.js'
import { greeterFile } from './support/plugin-file.js'

const now = { watchMs: 0, drainMs: 20_000 } as const

interface Served {
  readonly folder: string
  readonly service: Service
  readonly caller: Service
}

async function serve(t: TestContext): Promise<Served> {
  const folder = await privateFolder(t)
  const registry = { use: 'local', options: { directory: `${folder}/one` } }
  const service = createService({
    handlers: [await greeterFile(folder, '1.0.0')],
    registry,
    logger: 'noop',
  })
  const caller = createService({ name: 'caller', registry, logger: 'noop' })
  t.after(async () => {
    await caller.stop()
    await service.stop()
  })
  await service.start()
  await caller.start()
  return { folder, service, caller }
}

/** The rpc server under another protocol's name, so that it gets a door of its own; `started` comes before it says where it is. */
function otherServer(started: () => Promise<unknown> = () => Promise.resolve()): PluginConfig<'server'> {
  return definePlugin({
    name: 'other',
    type: 'server',
    version: '1.0.0',
    newFunc: (_: object, context: ComponentContext): Server => {
      const server = rpcServer(undefined, context)
      return {
        name: 'other',
        protocol: 'other',
        async start(host) {
          const { address, metadata } = await server.start(host)
          await started()
          return { address, metadata: { ...metadata, protocol: 'rpc' } }
        },
        stop: (options) => server.stop(options),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      }
    },
  })
}

function gate(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => undefined
  const passed = new Promise<void>((resolve) => (open = resolve))
  return { passed, open: () => open() }
}

async function goesOn(load: CallLoad): Promise<void> {
  const before = load.done
  await until('calls go on', () => load.done > before + 20)
}

/** What the registry says of the service's node. */
async function node({ caller }: Served): Promise<Record<string, unknown>> {
  const records = await caller.use('registry').get('greeter')
  assert.equal(records.length, 1, JSON.stringify(records))
  const { version, nodes } = records[0]!
  const { address, metadata } = nodes[0]!
  return { version, address, transport: metadata['transport'], nodes: nodes.length }
}

test('a registry that takes over knows the node as it is, not as it was', async (t) => {
  const it = await serve(t)
  const { service, caller, folder } = it
  await service.swap('handler', await greeterFile(folder, '2.0.0'), now)
  await service.rollback('handler')
  await service.swap('transport', 'unix', now)
  for (const directory of [`${folder}/two`, `${folder}/three`]) {
    await service.swap('registry', 'local', { ...now, options: { directory } })
    await caller.swap('registry', 'local', { ...now, options: { directory } })
    assert.deepEqual(await node(it), {
      version: '1.0.0',
      address: service.address,
      transport: 'unix',
      nodes: 1,
    })
  }
})

test('who watches a registry is told what changed before a swap and was not read yet', async (t) => {
  const hub = memoryRegistryHub()
  const registry = { use: 'memory', options: { hub } }
  const watching = createService({ name: 'watching', registry, logger: 'noop' })
  const other = createService({ name: 'other', registry, logger: 'noop' })
  t.after(async () => {
    await watching.stop()
    await other.stop()
  })
  await watching.start()
  await other.start()
  const record = (name: string) => ({
    name,
    version: '1',
    metadata: {},
    endpoints: [],
    nodes: [{ id: `${name}-1`, address: '127.0.0.1:1', metadata: {} }],
  })
  await other.use('registry').register(record('there'))
  const watcher = await watching.use('registry').watch()
  const told: string[] = []
  const { passed, open } = gate()
  const reading = (async () => {
    for await (const { type, service } of watcher) {
      told.push(`${type} ${service.name}`)
      // The reader is busy with the first event while all else happens.
      if (told.length === 1) await passed
    }
  })()
  await other.use('registry').register(record('one'))
  await until('the first is told', () => told.length === 1)
  await other.use('registry').register(record('two'))
  await other.use('registry').register(record('three'))
  await other.use('registry').deregister(record('there'))
  await watching.swap('registry', 'memory', { ...now, options: { hub } })
  await other.use('registry').register(record('four'))
  open()
  await until('the last is told', () => told.includes('create four'))
  assert.deepEqual(told, ['create one', 'create three', 'create two', 'delete there', 'create four'])
  await watcher.return?.()
  await reading
})

test('a server of another protocol is found where it is, also after the transport was swapped', async (t) => {
  const it = await serve(t)
  await using load = new CallLoad(it.caller)
  await it.service.swap('transport', 'unix', now)
  const before = it.service.address
  await it.service.swap('server', otherServer(), now)
  assert.notEqual(it.service.address, before)
  assert.equal((await node(it))['address'], it.service.address)
  await goesOn(load)
  await load.end()
})

test('a server that starts while the transport is swapped is found on the new one', async (t) => {
  const it = await serve(t)
  await using load = new CallLoad(it.caller)
  const { passed, open } = gate()
  let started = false
  const swapped = it.service.swap(
    'server',
    otherServer(() => {
      started = true
      return passed
    }),
    now,
  )
  await until('it has its door', () => started)
  await it.service.swap('transport', 'unix', now)
  open()
  await swapped
  assert.match(it.service.address ?? '', /^unix:/)
  assert.deepEqual(await node(it), {
    version: '1.0.0',
    address: it.service.address,
    transport: 'unix',
    nodes: 1,
  })
  await goesOn(load)
  await load.end()
})

test('a door that is opened while the transport is swapped is on the new one', async (t) => {
  const it = await serve(t)
  await using load = new CallLoad(it.caller)
  const { passed, open } = gate()
  let isSlow = false
  let listening = false
  const slow = definePlugin({
    name: 'tcp',
    type: 'transport',
    version: '9.0.0',
    newFunc: (_: object, context: ComponentContext): Transport => {
      const transport = tcpTransport(undefined, context)
      return {
        name: 'tcp',
        dial: (address, handler, options) => transport.dial(address, handler, options),
        async listen(address, accept, options) {
          const listener = await transport.listen(address, accept, options)
          listening = isSlow
          if (isSlow) await passed
          return listener
        },
        [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
      }
    },
  })
  await it.service.swap('transport', slow, now)
  isSlow = true
  const server = it.service.swap('server', otherServer(), now)
  await until('its door is being opened', () => listening)
  const phases: string[] = []
  it.service.onSwap(({ slot, phase }) => slot === 'transport' && phases.push(phase))
  const transport = it.service.swap('transport', 'unix', now)
  await until('all other doors have moved', () => phases.includes('draining')).finally(open)
  assert.equal((await transport).drained, true)
  await server
  assert.equal((await node(it))['address'], it.service.address)
  await goesOn(load)
  await load.end()
})

test('a server that is swapped while it starts is started first, and the service is found at the new one', async (t) => {
  const registry = { use: 'memory', options: { hub: memoryRegistryHub() } }
  const { passed, open } = gate()
  let isStarting = false
  const slow: PluginConfig<'server'> = definePlugin({
    name: 'slow',
    type: 'server',
    version: '1.0.0',
    newFunc: (_: object, context: ComponentContext): Server => {
      const server = rpcServer(undefined, context)
      return {
        name: 'slow',
        protocol: 'rpc',
        async start(host) {
          isStarting = true
          await passed
          return server.start(host)
        },
        stop: (options) => server.stop(options),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      }
    },
  })
  const service = createService({ name: 'greeter', registry, logger: 'noop', server: slow }).handle('Say', {
    Hello: ({ name }: { name: string }) => ({ msg: `Hello ${name}` }),
  })
  const caller = createService({ name: 'caller', registry, logger: 'noop' })
  t.after(async () => {
    await caller.stop()
    await service.stop()
  })
  await caller.start()
  const starting = service.start()
  await until('it starts', () => isStarting)
  const phases: string[] = []
  service.onSwap(({ phase }) => phases.push(phase))
  const swapping = service.swap('server', otherServer(), now)
  await until('it is prepared', () => phases.includes('preparing'))
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  open()
  await starting
  await swapping
  assert.equal((await node({ caller, service, folder: '' }))['address'], service.address)
  assert.deepEqual(await caller.client.call('greeter', 'Say.Hello', { name: 'John' }), { msg: 'Hello John' })
})
