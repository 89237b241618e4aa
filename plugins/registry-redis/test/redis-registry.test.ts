import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import type { Registry, RegistryEvent, RegistryWatcher, ServiceRecord } from '@micrograft/contracts'
import { Plugin } from '@micrograft/registry-redis'
import { redisCommand, redisServer, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { componentContext, until } from '@micrograft/testing'

const kind = redisServer()
const skip = unusable(kind) ?? false
let server: TestServer
before(async () => {
  if (skip === false) server = await usableServer(kind)
})
after(() => server?.[Symbol.asyncDispose]())

const newPrefix = () => `test-${randomUUID()}:`

async function open(prefix: string, options: object = {}): Promise<Registry> {
  const all = { addresses: [server.address], prefix, ...options }
  return Plugin.newFunc(all as never, componentContext())
}

function record(id: string, changes: Partial<ServiceRecord> = {}): ServiceRecord {
  const nodes = [{ id, address: '127.0.0.1:1', metadata: {} }]
  return { name: 'greeter', version: '1.0.0', metadata: {}, endpoints: [], nodes, ...changes }
}

const idsOf = (records: readonly ServiceRecord[]) =>
  records.flatMap(({ nodes }) => nodes.map(({ id }) => id)).sort()

/** Reads a watcher as it comes. */
function follow(watcher: RegistryWatcher): string[] {
  const told: string[] = []
  const read = async () => {
    for await (const { type, service } of watcher as AsyncIterable<RegistryEvent>)
      told.push(`${type} ${service.nodes[0]?.id}`)
  }
  read().catch((error: { code: string }) => assert.equal(error.code, 'closed'))
  return told
}

test(
  'the nodes of a killed process go within their time to live, and watchers are told',
  { skip },
  async () => {
    const prefix = newPrefix()
    await using registry = await open(prefix)
    const script = `
    import { Plugin } from '@micrograft/registry-redis'
    import { componentContext } from '@micrograft/testing'
    const options = { addresses: ['${server.address}'], prefix: '${prefix}' }
    const registry = await Plugin.newFunc(options, componentContext())
    await registry.register(${JSON.stringify(record('child'))}, { ttlMs: 1000 })
    console.log('registered')`
    const told = follow(await registry.watch())
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: import.meta.dirname,
    })
    await once(child.stdout, 'data')
    const seen = performance.now()
    assert.deepEqual(idsOf(await registry.get('greeter')), ['child'])
    child.kill('SIGKILL')
    await until('it is gone', async () => (await registry.get('greeter')).length === 0)
    const gone = performance.now() - seen
    assert.ok(gone < 1200, `it took ${gone} ms`)
    await until('it is told', () => told.at(-1) === 'delete child')
    assert.deepEqual(told, ['create child', 'delete child'])
  },
)

test('keeps nothing on the server of nodes that are gone', { skip }, async () => {
  const prefix = newPrefix()
  await using registry = await open(prefix)
  await registry.register(record('a'), { ttlMs: 50 })
  await registry.register(record('b'))
  await registry.deregister(record('b'))
  await until('a has expired', async () => (await registry.list()).length === 0)
  assert.equal(
    await redisCommand(server, 'KEYS', `${prefix}*`),
    `*1\r\n$${prefix.length + 5}\r\n${prefix}state`,
  )
})

test('registries of two prefixes know nothing of each other', { skip }, async () => {
  await using first = await open(newPrefix())
  await using second = await open(newPrefix())
  const told = follow(await second.watch())
  await first.register(record('a'))
  await second.register(record('b'))
  await until('the own is told', () => told.length > 0)
  assert.deepEqual(told, ['create b'])
  assert.deepEqual(idsOf(await second.list()), ['b'])
})

test('refuses a record above its limit with too-large, and adds no node of it', { skip }, async () => {
  await using registry = await open(newPrefix(), { maxRecordBytes: 1000 })
  const nodes = ['a', 'b'].map((id) => ({
    id,
    address: '127.0.0.1:1',
    metadata: { x: 'x'.repeat(id === 'b' ? 1000 : 1) },
  }))
  await assert.rejects(registry.register(record('', { nodes })), {
    code: 'too-large',
    message: /maxRecordBytes/,
  })
  assert.deepEqual(await registry.list(), [])
})

test('passes over what somebody else wrote among the records', { skip }, async () => {
  const prefix = newPrefix()
  await using registry = await open(prefix)
  await registry.register(record('a'))
  for (const [id, json] of [
    ['x', 'no json'],
    ['y', '{"name":"greeter"}'],
    ['z', '{"name":"","nodes":[]}'],
  ] as const)
    await redisCommand(server, 'HSET', `${prefix}nodes:greeter`, id, json)
  assert.deepEqual(idsOf(await registry.get('greeter')), ['a'])
  assert.deepEqual(idsOf(await registry.list()), ['a'])
  const told = follow(await registry.watch())
  await redisCommand(server, 'PUBLISH', `${prefix}changes`, 'nonsense')
  await registry.register(record('b'))
  await until('it is told', () => told.length > 0)
  assert.deepEqual(told, ['create b'])
})

test('tells what it missed, where a message is lost', { skip }, async () => {
  const prefix = newPrefix()
  await using registry = await open(prefix, { sweepMs: 50 })
  const told = follow(await registry.watch())
  await using writer = await open(prefix)
  await writer.register(record('a'))
  await until('it is told', () => told.length === 1)
  // Who writes beside it raises the revision, and publishes nothing.
  await redisCommand(server, 'HSET', `${prefix}nodes:greeter`, 'b', JSON.stringify(record('b')))
  await redisCommand(server, 'HINCRBY', `${prefix}state`, 'revision', '1')
  await until('it is told too', () => told.length === 2)
  await writer.deregister(record('a'))
  await until('what follows is told', () => told.length === 3)
  assert.deepEqual(told, ['create a', 'create b', 'delete a'])
})

test(
  'registers again what the server has forgotten, and leaves what another has registered since',
  { skip },
  async () => {
    const prefix = newPrefix()
    await using registry = await open(prefix, { sweepMs: 50 })
    await using other = await open(prefix, { sweepMs: 10_000 })
    await registry.register(record('a'), { ttlMs: 60_000 })
    await registry.register(record('b'))
    await registry.register(record('short'), { ttlMs: 1 })
    await until('what is short has expired', async () => idsOf(await registry.list()).join() === 'a,b')
    const told = follow(await other.watch())
    await registry.register(record('c'), { ttlMs: 60_000 })
    await until('it is told', () => told.length === 1)
    await redisCommand(
      server,
      'EVAL',
      "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end",
      '0',
      `${prefix}*`,
    )
    await other.register(record('b', { version: '2.0.0' }))
    await until('all are back', async () => idsOf(await other.list()).join() === 'a,b,c')
    assert.equal((await other.get('greeter')).find(({ version }) => version === '2.0.0')?.nodes[0]?.id, 'b')
    const left =
      Number((await redisCommand(server, 'ZSCORE', `${prefix}expiry`, 'greeter\na')).split('\r\n')[1]) -
      Date.now()
    assert.ok(left > 50_000 && left <= 60_000, `${left}`)
  },
)

test('tells a watcher of a thousand nodes that come one by one, each once', { skip }, async () => {
  const prefix = newPrefix()
  await using registry = await open(prefix)
  await using writer = await open(prefix)
  const told = follow(await registry.watch())
  const ids = Array.from({ length: 1000 }, (_, index) => `n${index}`)
  await Promise.all(ids.map((id) => writer.register(record(id), { ttlMs: 60_000 })))
  await until('all are told', () => told.length >= 1000)
  assert.deepEqual(told.sort(), ids.map((id) => `create ${id}`).sort())
})

test('a swap to another registry leaves no gap, while nodes are renewed', { skip }, async () => {
  const prefix = newPrefix()
  await using watching = await open(prefix)
  const before = await open(prefix)
  await before.register(record('a'), { ttlMs: 5000 })
  const told = follow(await watching.watch())
  await using next = await open(prefix)
  await next.register(record('a'), { ttlMs: 5000 })
  await before[Symbol.asyncDispose]()
  for (let i = 0; i < 20; i++) assert.deepEqual(idsOf(await watching.get('greeter')), ['a'])
  await next.register(record('b'))
  await until('the next is told', () => told.length > 0)
  assert.deepEqual(told, ['create b'])
})

test('lets the process end once it is disposed', { skip }, async () => {
  const script = `
    import { Plugin } from '@micrograft/registry-redis'
    import { componentContext } from '@micrograft/testing'
    const options = { addresses: ['${server.address}'], prefix: '${newPrefix()}' }
    const registry = await Plugin.newFunc(options, componentContext())
    await registry.watch()
    await registry.register(${JSON.stringify(record('child'))}, { ttlMs: 10000 })
    await registry[Symbol.asyncDispose]()`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: import.meta.dirname,
    timeout: 10_000,
    stdio: 'inherit',
  })
  assert.deepEqual(await once(child, 'exit'), [0, null])
})

test('refuses options that are none', { skip }, async () => {
  for (const options of [{ sweepMs: 0 }, { maxRecordBytes: -1 }, { addresses: [] }, { unknown: 1 }])
    await assert.rejects(open('p:', options), { code: 'invalid-option' }, JSON.stringify(options))
})

test('learns that it missed a message from the next one', { skip }, async () => {
  const prefix = newPrefix()
  await using registry = await open(prefix, { sweepMs: 60_000 })
  await using writer = await open(prefix)
  const told = follow(await registry.watch())
  await redisCommand(server, 'HSET', `${prefix}nodes:greeter`, 'a', JSON.stringify(record('a')))
  await redisCommand(server, 'SADD', `${prefix}services`, 'greeter')
  await redisCommand(server, 'HINCRBY', `${prefix}state`, 'revision', '1')
  await writer.register(record('b'))
  await until('both are told', () => told.length === 2)
  assert.deepEqual(told.sort(), ['create a', 'create b'])
})
