import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { natsLogin, natsServer, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { pause, until } from '@micrograft/testing'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { gather, ids, openRegistry, record } from './support/nats.js'

const kind = natsServer(() => ({ jetstream: false }))
const reason = unusable(kind)
const options = { skip: reason ?? false }
let server: TestServer
let raw: NatsConnection
const fresh = () => ({ addresses: [server.address], prefix: randomUUID() })

before(async () => {
  if (reason !== undefined) return
  server = await usableServer(kind)
  raw = await connect(natsLogin(server))
})
after(async () => {
  await raw?.close()
  await server?.[Symbol.asyncDispose]()
})

/** Asks as go-micro does, for 100 ms. */
async function query(prefix: string, asked: string): Promise<string[]> {
  const answers: string[] = []
  for await (const each of await raw.requestMany(`${prefix}.query`, asked, {
    maxWait: 100,
    strategy: 'timer',
  })) {
    answers.push(each.string())
  }
  return answers
}
const get = (name: string) =>
  `{"Action":"get","Service":{"name":"${name}","version":"","metadata":null,"endpoints":null,"nodes":null}}`
const goRecord = (id: string) =>
  `{"name":"greeter","version":"latest","metadata":null,"endpoints":null,"nodes":[{"id":"${id}","address":"10.0.0.1:80","metadata":null}]}`

test(
  'go-micro finds its records, by name and in the list, until they are deregistered',
  options,
  async () => {
    const place = fresh()
    await using registry = await openRegistry(place)
    const endpoint = {
      name: 'Say.Hello',
      request: { name: 'Req', type: 'Req', values: [] },
      metadata: { b: '2', a: '1' },
    }
    await registry.register(record('a', { endpoints: [endpoint] }))
    for (const asked of [get('greeter'), '{"Action":"list","Service":null}']) {
      const [answer = '', ...more] = await query(place.prefix, asked)
      assert.equal(more.length, 0)
      const { Micrograft: _claim, ...service } = JSON.parse(answer) as Record<string, unknown>
      assert.deepEqual(service, {
        name: 'greeter',
        version: '1.0.0',
        metadata: {},
        endpoints: [
          {
            name: 'Say.Hello',
            request: { name: 'Req', type: 'Req', values: null },
            response: null,
            metadata: { a: '1', b: '2' },
          },
        ],
        nodes: [{ id: 'a', address: '127.0.0.1:4001', metadata: { protocol: 'mucp' } }],
      })
    }
    assert.deepEqual(await query(place.prefix, get('other')), [])
    await registry.deregister(record('a'))
    assert.deepEqual(await query(place.prefix, get('greeter')), [])
  },
)

test('go-micro hears create and delete, whatever is registered again', options, async () => {
  const place = fresh()
  const heard: string[] = []
  raw.subscribe(`${place.prefix}.watch`, {
    callback: (_, message) => {
      const { Action: action, Service: service } = message.json<{
        Action: string
        Service: { name: string }
      }>()
      heard.push(`${action} ${service.name}`)
    },
  })
  await raw.flush()
  {
    await using registry = await openRegistry(place)
    await registry.register(record('a'))
    await registry.register(record('a'))
    await registry.deregister(record('a'))
    await registry.register(record('b'))
  }
  await until('all is heard', () => heard.length >= 5)
  const name = 'greeter'
  assert.deepEqual(
    heard,
    ['create', 'update', 'delete', 'create', 'delete'].map((action) => `${action} ${name}`),
  )
})

test('nodes of go-micro are found and watched, and gone when they no longer answer', options, async () => {
  const place = { ...fresh(), refreshMs: 150 }
  await using registry = await openRegistry(place)
  const told = gather(await registry.watch({ service: 'greeter' }))
  const peer = await connect(natsLogin(server))
  peer.subscribe(`${place.prefix}.query`, {
    callback: (_, message) => void message.respond(goRecord('go-1')),
  })
  peer.publish(`${place.prefix}.watch`, `{"Action":"create","Service":${goRecord('go-1')}}`)
  await until('the watcher is told', () => told.length === 1)
  const [found] = await registry.get('greeter')
  assert.deepEqual(found, {
    name: 'greeter',
    version: 'latest',
    metadata: {},
    endpoints: [],
    nodes: [{ id: 'go-1', address: '10.0.0.1:80', metadata: {} }],
  })
  // It answers, and so it stays.
  await pause(600)
  assert.deepEqual(told, ['create go-1'])
  await peer.close()
  await until('it is missed', () => told.length === 2)
  assert.deepEqual(told, ['create go-1', 'delete go-1'])
  assert.equal(await ids(registry), '')
})

test('a node whose process says no more is gone with its time to live', options, async () => {
  const place = fresh()
  await using registry = await openRegistry(place)
  const told = gather(await registry.watch())
  const claim = `,"Micrograft":{"owner":"x","since":${Date.now()},"ttlMs":300}}`
  raw.publish(
    `${place.prefix}.watch`,
    `{"Action":"create","Service":${goRecord('dead').slice(0, -1)}${claim}}`,
  )
  await until('it is told', () => told.length === 2)
  assert.deepEqual(told, ['create dead', 'delete dead'])
})

test('a registry that is disposed takes out nothing that another has registered since', options, async () => {
  const place = fresh()
  await using registry = await openRegistry(place)
  await registry.register(record('a'))
  const told = gather(await registry.watch())
  // The goodbye of an owner from before, which had not heard of it.
  const claim = '"Micrograft":{"owner":"old","since":1}}}'
  const service = JSON.stringify(record('a')).slice(0, -1)
  raw.publish(`${place.prefix}.watch`, `{"Action":"delete","Service":${service},${claim}`)
  raw.publish(
    `${place.prefix}.watch`,
    `{"Action":"update","Service":${service.replace('4001', '9')},${claim}`,
  )
  await registry.register(record('b'))
  await until('the next one is told', () => told.length === 1)
  assert.deepEqual(told, ['create b'])
  assert.equal(await ids(registry), 'a,b')
})

test('what is no message of a registry costs nothing', options, async () => {
  const place = fresh()
  await using registry = await openRegistry(place)
  const told = gather(await registry.watch())
  for (const each of [
    '',
    'no json',
    'null',
    '[]',
    '{"Action":"create"}',
    '{"Action":"create","Service":{"name":""}}',
  ]) {
    for (const subject of ['query', 'watch'])
      raw.publish(`${place.prefix}.${subject}`, each, { reply: 'nobody' })
  }
  raw.publish(`${place.prefix}.watch`, `{"Action":"create","Service":${goRecord('good')}}`)
  await until('the good one is told', () => told.length === 1)
  assert.deepEqual(told, ['create good'])
})

test('keeps no more nodes than its limit', options, async () => {
  const place = { ...fresh(), maxNodes: 5 }
  await using registry = await openRegistry(place)
  const told = gather(await registry.watch())
  for (let i = 0; i < 20; i++) {
    raw.publish(`${place.prefix}.watch`, `{"Action":"create","Service":${goRecord(`n${i}`)}}`)
  }
  await registry.register(record('own'))
  // Its own goes another way than the others, and may come before them.
  await until('as many as may be are told', () => told.includes('create own') && told.length >= 5)
  await registry.list()
  assert.equal(told.length, 5)
})

test(
  'a record that no message can hold is refused with too-large, and one of many nodes goes in several',
  options,
  async () => {
    const place = fresh()
    await using registry = await openRegistry(place)
    await using other = await openRegistry(place)
    const big = { id: 'a', address: 'x:1', metadata: { text: 'x'.repeat(1_100_000) } }
    await assert.rejects(registry.register(record('a', { nodes: [big] })), { code: 'too-large' })
    assert.equal(await ids(registry), '')
    const nodes = Array.from({ length: 30 }, (_, i) => ({
      id: `n${String(i).padStart(2, '0')}`,
      address: 'x:1',
      metadata: { text: 'ü'.repeat(50_000) },
    }))
    await registry.register(record('', { nodes }))
    const [found] = await other.get('greeter')
    assert.deepEqual(
      found?.nodes.map(({ id }) => id),
      nodes.map(({ id }) => id),
    )
  },
)

test('options that are none are refused', options, async () => {
  for (const each of [
    { prefix: 'a b' },
    { prefix: '' },
    { queryMs: 0 },
    { refreshMs: 2 ** 31 },
    { maxNodes: -1 },
    { maxNodes: Number.NaN },
    { unknown: 1 },
  ]) {
    await assert.rejects(openRegistry({ ...fresh(), ...each } as never), { code: 'invalid-option' })
  }
})
