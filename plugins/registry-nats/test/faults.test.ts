import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createConnection } from 'node:net'
import { after, before, test } from 'node:test'
import {
  FaultyLink,
  missing,
  natsServer,
  ServerProcess,
  type NatsServerSettings,
} from '@micrograft/test-support'
import { pause, until } from '@micrograft/testing'
import { gather, ids, openRegistry, record } from './support/nats.js'

const settings: { -readonly [K in keyof NatsServerSettings]: NatsServerSettings[K] } = {
  user: 'alice',
  password: 'right',
  jetstream: false,
}
const kind = natsServer(() => settings)
const reason = missing(kind)
const options = { skip: reason ?? false }
let server: ServerProcess
before(async () => {
  if (reason === undefined) server = await ServerProcess.start(kind)
})
after(() => server?.[Symbol.asyncDispose]())

const place = (port = server.port) => ({
  addresses: [`127.0.0.1:${port}`],
  user: 'alice',
  password: 'right',
  prefix: randomUUID(),
  timeoutMs: 500,
  connectTimeoutMs: 500,
  reconnectDelayMs: 50,
  pingIntervalMs: 200,
  refreshMs: 300,
})

async function codeOf(call: Promise<unknown>): Promise<string> {
  const started = performance.now()
  const code = await call.then(
    () => '',
    (error: { code: string }) => error.code,
  )
  assert.ok(performance.now() - started < 2500, 'a call ends within its deadline')
  return code
}

const coded = new Set(['', 'unavailable', 'timeout'])

test(
  'registrations come back when the server is killed, and watchers hear of nothing but what changed',
  options,
  async () => {
    const same = place()
    await using registry = await openRegistry(same)
    await using other = await openRegistry(same)
    await registry.register(record('a'), { ttlMs: 1000 })
    await registry.register(record('stays'))
    const told = gather(await other.watch())
    await server.kill()
    await until('it is noticed', async () => (await codeOf(other.get('greeter'))) === 'unavailable')
    // A renewal that cannot be told is one all the same.
    await assert.rejects(registry.register(record('a'), { ttlMs: 60_000 }), { code: 'unavailable' })
    await assert.rejects(registry.register(record('new')), { code: 'unavailable' })
    await pause(1200)
    await server.start()
    await until('both are found', async () => (await ids(other).catch(() => '')) === 'a,stays', 10_000)
    await until(
      'it takes new ones',
      async () => (await codeOf(registry.register(record('b')))) === '',
      10_000,
    )
    await until('that is told', () => told.length > 0)
    assert.deepEqual(told, ['create b'])
  },
)

test('a server that stands still costs callers their deadline, and nobody a node', options, async () => {
  const same = place()
  await using registry = await openRegistry(same)
  await using other = await openRegistry(same)
  await registry.register(record('a'), { ttlMs: 60_000 })
  const told = gather(await other.watch())
  server.pause()
  try {
    const started = performance.now()
    while (performance.now() - started < 2000) {
      const calls = [other.get('greeter'), registry.register(record('a'), { ttlMs: 60_000 })]
      for (const code of await Promise.all(calls.map(codeOf))) {
        assert.ok(['unavailable', 'timeout'].includes(code), code)
      }
      await pause(20)
    }
  } finally {
    server.resume()
  }
  await until('it is found again', async () => (await ids(other).catch(() => '')) === 'a', 10_000)
  assert.deepEqual(told, [])
})

test('connections that are reset or slow lose no registration', options, async () => {
  await using link = await FaultyLink.to(server.port)
  const near = place(link.port)
  await using registry = await openRegistry(near)
  await using other = await openRegistry({ ...near, addresses: [`127.0.0.1:${server.port}`] })
  await registry.register(record('a'))
  const told = gather(await other.watch())
  for (let i = 0; i < 5; i++) {
    link.reset()
    assert.ok(coded.has(await codeOf(registry.register(record('a')))))
    await until('it is found again', async () => (await ids(other)) === 'a', 10_000)
  }
  link.delayMs = 50
  await until(
    'it is registered slowly',
    async () => (await codeOf(registry.register(record('b')))) === '',
    10_000,
  )
  await until('it is told', () => told.includes('create b'))
  assert.ok(!told.includes('delete b'))
})

test(
  'disposing does not wait for a server that stands still, and what has died is gone',
  options,
  async () => {
    const same = place()
    await using other = await openRegistry(same)
    await using registry = await openRegistry(same)
    await registry.register(record('a'), { ttlMs: 60_000 })
    server.pause()
    try {
      const started = performance.now()
      await registry[Symbol.asyncDispose]()
      assert.ok(performance.now() - started < 1500)
      await assert.rejects(openRegistry(same), { code: 'unavailable' })
    } finally {
      server.resume()
    }
    await until('nobody answers for it', async () => (await ids(other).catch(() => 'a')) === '', 10_000)
  },
)

test(
  'a wrong password is refused, and one that becomes wrong is tried until it is right again',
  options,
  async () => {
    await assert.rejects(openRegistry({ ...place(), password: 'wrong' }), { code: 'unauthenticated' })
    const same = place()
    await using registry = await openRegistry(same)
    await registry.register(record('a'))
    settings.password = 'other'
    try {
      await server.kill()
      await server.start()
      await until(
        'it was refused a few times',
        () => (server.log.match(/authentication error/g) ?? []).length > 3,
        10_000,
      )
      await assert.rejects(registry.get('greeter'), { code: 'unavailable' })
    } finally {
      settings.password = 'right'
      await server.kill()
      await server.start()
    }
    await using other = await openRegistry(same)
    await until('it is registered again', async () => (await ids(other)) === 'a', 10_000)
  },
)

test('a process that stood still takes no node for gone whose renewal is there', options, async () => {
  const same = place()
  await using registry = await openRegistry(same)
  const told = gather(await registry.watch())
  const peer = createConnection(server.port, '127.0.0.1')
  peer.write('CONNECT {"verbose":false,"user":"alice","pass":"right"}\r\n')
  const announce = (action: string) => {
    const nodes = [{ id: 'a', address: '10.0.0.1:80', metadata: {} }]
    const service = { name: 'greeter', version: '1', metadata: {}, endpoints: [], nodes }
    const claim = { owner: 'peer', since: Date.now(), ttlMs: 400 }
    const text = JSON.stringify({ Action: action, Service: { ...service, Micrograft: claim } })
    peer.write(`PUB ${same.prefix}.watch ${text.length}\r\n${text}\r\n`)
  }
  try {
    announce('create')
    await until('it is told', () => told.length > 0)
    announce('update')
    // The system takes it to the server, and to the registry's socket; nobody here reads it before the end.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600)
    await pause(200)
    assert.deepEqual(told, ['create a'])
    await until('it is gone without another', () => told.length === 2)
    assert.deepEqual(told, ['create a', 'delete a'])
  } finally {
    peer.destroy()
  }
})

test(
  'a registry that may not hear others does not open, and one that gets no answers says so',
  options,
  async () => {
    const subjects = ['micro.registry.nats.query', 'micro.registry.nats.watch', '_INBOX.>']
    const may = (hear: readonly string[]) => `{ publish: ">", subscribe: ${JSON.stringify(hear)} }`
    const users = subjects.map((left, i) => {
      const hear = subjects.filter((each) => each !== left)
      return `{ user: u${i}, password: p, permissions: ${may(hear)} }`
    })
    const more = `authorization { users: [${users.join()}] }`
    await using narrow = await ServerProcess.start(natsServer(() => ({ jetstream: false, more })))
    const login = (user: string) => ({ addresses: [`127.0.0.1:${narrow.port}`], user, password: 'p' })
    await assert.rejects(openRegistry(login('u0')), { code: 'forbidden', message: /query/ })
    await assert.rejects(openRegistry(login('u1')), { code: 'forbidden', message: /watch/ })
    await using deaf = await openRegistry(login('u2'))
    await assert.rejects(deaf.get('greeter'), { code: 'forbidden' })
    await assert.rejects(deaf.list(), { code: 'forbidden' })
    await assert.rejects(deaf.watch(), { code: 'forbidden' })
  },
)

test('needs no more permissions than it is said to', options, async () => {
  const subjects = '["micro.registry.nats.query", "micro.registry.nats.watch", "_INBOX.>"]'
  const more = `authorization { users: [
    { user: bob, password: b, permissions: { publish: ${subjects}, subscribe: ${subjects} } }
  ] }`
  await using narrow = await ServerProcess.start(natsServer(() => ({ jetstream: false, more })))
  const login = { addresses: [`127.0.0.1:${narrow.port}`], user: 'bob', password: 'b' }
  await using registry = await openRegistry(login)
  await using other = await openRegistry(login)
  const told = gather(await other.watch())
  await registry.register(record('a'))
  assert.equal(await ids(other), 'a')
  await registry.deregister(record('a'))
  await until('both are told', () => told.length === 2)
})
