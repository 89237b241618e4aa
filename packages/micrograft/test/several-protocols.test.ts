import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createService, type Service } from 'micrograft'
import { until } from '@micrograft/testing'
import { memoryRegistryHub } from '../dist/registry/memory-registry.js'
import { CallLoad } from './support/load.js'
import { pair } from './support/pair.js'

const greeter = (service: Service) =>
  service.handle('Say', {
    Hello: ({ name }: { name: string }) => ({ msg: `Hello ${name}` }),
    async *Count({ to }: { to: number }) {
      for (let i = 1; i <= to; i++) yield i
    },
  })

const protocolsOf = async (caller: Service) =>
  (await caller.use('registry').get('greeter'))
    .flatMap(({ nodes }) => nodes)
    .map(({ metadata: { protocol, transport } }) => `${protocol} over ${transport}`)
    .sort()

test('a service that serves several protocols has a node for each, and each caller takes its own', async (t) => {
  const { service, caller } = await pair(t, greeter, {
    service: { alsoServe: ['mucp'] },
    caller: { client: 'mucp' },
  })
  assert.deepEqual(await protocolsOf(caller), ['mucp over http', 'rpc over tcp'])
  for (let i = 0; i < 20; i++)
    assert.deepEqual(await caller.client.call('greeter', 'Say.Hello', { name: 'John' }), {
      msg: 'Hello John',
    })
  const numbers: number[] = []
  for await (const n of caller.client.stream<number>('greeter', 'Say.Count', { to: 3 })) numbers.push(n)
  assert.deepEqual(numbers, [1, 2, 3])
  // Only its own client was needed.
  assert.deepEqual(
    caller.slots.filter(({ type }) => type === 'client').map(({ slot }) => slot),
    ['client'],
  )
  assert.equal(service.record.nodes.length, 2)
})

test('a node is called by the protocol that it advertises, whatever the own client is', async (t) => {
  const hub = memoryRegistryHub()
  const registry = { use: 'memory', options: { hub } }
  const { caller } = await pair(t, greeter, {
    service: { server: 'mucp', registry },
    caller: { client: 'rpc', registry },
  })
  assert.deepEqual(await protocolsOf(caller), ['mucp over http'])
  assert.deepEqual(await caller.client.call('greeter', 'Say.Hello', { name: 'John' }), { msg: 'Hello John' })
  assert.deepEqual(
    caller.slots
      .filter(({ type }) => type === 'client')
      .map(({ slot }) => slot)
      .sort(),
    ['client', 'client mucp'],
  )
})

test('a node of a protocol that nobody here speaks is refused with the clients that there are', async (t) => {
  const hub = memoryRegistryHub()
  const caller = createService({
    name: 'caller',
    registry: { use: 'memory', options: { hub } },
    logger: 'noop',
  })
  t.after(() => caller.stop())
  await caller.start()
  await caller.use('registry').register({
    name: 'greeter',
    version: '1',
    metadata: {},
    endpoints: [],
    nodes: [{ id: 'greeter-1', address: '127.0.0.1:1', metadata: { protocol: 'telepathy' } }],
  })
  await assert.rejects(caller.client.call('greeter', 'Say.Hello', {}), {
    code: 'unsupported',
    message: /speaks telepathy, and there is no client of that name; there are .*rpc/,
  })
})

test('a service moves from rpc to mucp and back under load, and no call is lost', async (t) => {
  const { service, caller } = await pair(t, greeter)
  await using load = new CallLoad(caller)
  for (const server of ['mucp', 'rpc', 'mucp']) {
    await service.swap('server', server, { watchMs: 0, drainMs: 20_000 })
    assert.equal(service.record.nodes[0]?.metadata['protocol'], server)
    const before = load.done
    await until('calls go on', () => load.done > before + 20)
  }
  await load.end()
})
