import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Registry, RegistryWatcher, ServiceRecord } from '@micrograft/contracts'
import { Plugin, type EtcdRegistryOptions } from '@micrograft/registry-etcd'
import {
  etcd,
  freePort,
  missing,
  serverFor,
  TlsFront,
  unusable,
  usableServer,
  type TestServer,
} from '@micrograft/test-support'
import { componentContext, until } from '@micrograft/testing'
import { etcdGateway, type EtcdGateway } from './support/etcd-gateway.js'

const make = Plugin.newFunc as unknown as (
  options: EtcdRegistryOptions,
  context: ReturnType<typeof componentContext>,
) => Registry

const record = (id: string, changes: Partial<ServiceRecord> = {}): ServiceRecord => ({
  name: 'greeter',
  version: 'latest',
  metadata: {},
  endpoints: [],
  nodes: [{ id, address: '192.168.1.5:8080', metadata: { broker: 'http' } }],
  ...changes,
})
const ids = (records: readonly ServiceRecord[]) =>
  records.flatMap(({ nodes }) => nodes.map(({ id }) => id)).sort()

async function told(watcher: RegistryWatcher): Promise<string> {
  const { value } = await watcher.next()
  return `${value.type} ${value.service.nodes[0]?.id}`
}

const reason = unusable(etcd)
if (reason !== undefined) test('etcd registry', { skip: reason })
else {
  let server: TestServer
  let gateway: EtcdGateway
  const fresh = () => `/test/${randomUUID()}/`
  before(async () => {
    server = await usableServer(etcd)
    gateway = await etcdGateway(server)
  })
  after(() => server[Symbol.asyncDispose]())
  const address = () => server.address
  const open = (options: EtcdRegistryOptions = {}) =>
    make({ addresses: [address()], prefix: fresh(), ...options }, componentContext())

  test('the etcd registry writes what go-micro writes, under its keys', async () => {
    await using registry = open({ prefix: undefined })
    const request = {
      name: 'Request',
      type: 'Request',
      values: [{ name: 'name', type: 'string', values: [] }],
    }
    const response = { name: 'Response', type: 'Response', values: [] }
    await registry.register(
      record('greeter/8f3c', {
        name: 'go/greeter',
        metadata: { b: '2', a: '<1>' },
        endpoints: [
          { name: 'Say.Hello', request, response, metadata: {} },
          { name: 'Say.Bye', metadata: { stream: 'true' } },
        ],
        nodes: [
          { id: 'greeter/8f3c', address: '192.168.1.5:8080', metadata: { registry: 'etcd', broker: 'http' } },
        ],
      }),
    )
    assert.equal(
      await gateway.get('/micro/registry/go-greeter/greeter-8f3c'),
      '{"name":"go/greeter","version":"latest","metadata":{"a":"\\u003c1\\u003e","b":"2"},' +
        '"endpoints":[{"name":"Say.Hello","request":{"name":"Request","type":"Request",' +
        '"values":[{"name":"name","type":"string","values":null}]},' +
        '"response":{"name":"Response","type":"Response","values":null},"metadata":{}},' +
        '{"name":"Say.Bye","request":null,"response":null,"metadata":{"stream":"true"}}],' +
        '"nodes":[{"id":"greeter/8f3c","address":"192.168.1.5:8080","metadata":{"broker":"http","registry":"etcd"}}]}',
    )
    assert.deepEqual(ids(await registry.get('go/greeter')), ['greeter/8f3c'])
    assert.deepEqual(await registry.get('go-greeter'), [])
  })

  test('the etcd registry reads records of every go-micro, and leaves out what is none', async () => {
    const prefix = fresh()
    await gateway.put(
      `${prefix}greeter/a`,
      '{"name":"greeter","version":"latest","metadata":null,"endpoints":[],"nodes":[{"id":"a","address":"h:1","metadata":{"broker":"http"}}]}',
    )
    await gateway.put(
      `${prefix}greeter/b`,
      '{"name":"greeter","version":"latest","metadata":{},"endpoints":[{"request":{"name":"R","type":"R","values":null},"response":null,"metadata":null,"name":"S.M"}],"nodes":[{"metadata":null,"id":"b","address":"h:2"}]}',
    )
    for (const [index, none] of ['', 'no JSON', '[]', '{"name":"greeter","nodes":[]}', 'null'].entries())
      await gateway.put(`${prefix}greeter/none${index}`, none)
    await using registry = open({ prefix })
    assert.deepEqual(await registry.get('greeter'), [
      {
        name: 'greeter',
        version: 'latest',
        metadata: {},
        endpoints: [{ name: 'S.M', request: { name: 'R', type: 'R', values: [] }, metadata: {} }],
        nodes: [
          { id: 'a', address: 'h:1', metadata: { broker: 'http' } },
          { id: 'b', address: 'h:2', metadata: {} },
        ],
      },
    ])
  })

  test('the etcd registry registers anew what lost its lease or was taken out', async () => {
    const prefix = fresh()
    await using registry = open({ prefix })
    const register = () => registry.register(record('a'), { ttlMs: 30_000 })
    await register()
    await using watcher = await registry.watch()
    const lease = await gateway.leaseOf(`${prefix}greeter/a`)
    await register()
    assert.equal(await gateway.leaseOf(`${prefix}greeter/a`), lease)
    await gateway.call('/v3/lease/revoke', { ID: lease })
    assert.equal(await told(watcher), 'delete a')
    await register()
    assert.equal(await told(watcher), 'create a')
    assert.notEqual(await gateway.leaseOf(`${prefix}greeter/a`), lease)
    await gateway.delete(`${prefix}greeter/a`)
    assert.equal(await told(watcher), 'delete a')
    await register()
    assert.equal(await told(watcher), 'create a')
  })

  test(
    'the etcd registry leaves no lease behind, and none of a node that stays for ever',
    { skip: missing(etcd) ?? false },
    async (t) => {
      const own = await serverFor(t, etcd)
      if (!own) return
      const gateway = await etcdGateway(own)
      const prefix = fresh()
      const registry = open({ prefix, addresses: [own.address] })
      await registry.register(record('a'), { ttlMs: 30_000 })
      await registry.register(record('a'), { ttlMs: 60_000 })
      await registry.register(record('b'), { ttlMs: 30_000 })
      await registry.register(record('c'))
      await registry.deregister(record('b'))
      await registry.register(record('a'))
      assert.equal(await gateway.leaseOf(`${prefix}greeter/a`), '0')
      await registry.register(record('a'), { ttlMs: 30_000 })
      await registry[Symbol.asyncDispose]()
      await until('all leases are gone', async () => (await gateway.leases()) === 0)
    },
  )

  test('the etcd registry asks the next member where one does not answer', async () => {
    await using registry = open({ addresses: [`127.0.0.1:${await freePort()}`, address()] })
    await using watcher = await registry.watch()
    await registry.register(record('a'))
    assert.equal(await told(watcher), 'create a')
    assert.deepEqual(ids(await registry.get('greeter')), ['a'])
  })

  test('the etcd registry encrypts, and believes only in certificates that it knows', async () => {
    await using front = await TlsFront.to(server.port, server.host)
    const [prefix, secure] = [fresh(), `127.0.0.1:${front.port}`]
    const { user, password } = server
    await using registry = open({ prefix, addresses: [secure], user, password, tls: { ca: front.ca } })
    await using watcher = await registry.watch()
    await registry.register(record('a'))
    assert.equal(await told(watcher), 'create a')
    await using plain = open({ prefix })
    assert.deepEqual(ids(await plain.list()), ['a'])
    await using stranger = open({ prefix, addresses: [`https://${secure}`] })
    await assert.rejects(stranger.list(), { code: 'unavailable', message: /certificate/ })
    await using elsewhere = open({
      prefix,
      addresses: [secure],
      tls: { ca: front.ca, serverName: 'another' },
    })
    await assert.rejects(elsewhere.list(), { code: 'unavailable' })
  })

  test('the etcd registry refuses a record that is too large, whole', async () => {
    await using registry = open({ maxRecordBytes: 2000 })
    const large = { id: 'large', address: 'h:1', metadata: { text: 'x'.repeat(3000) } }
    await assert.rejects(registry.register(record('a', { nodes: [...record('small').nodes, large] })), {
      code: 'too-large',
    })
    assert.deepEqual(await registry.list(), [])
    await using careless = open({ maxRecordBytes: 10_000_000 })
    const larger = { ...large, metadata: { text: 'x'.repeat(3_000_000) } }
    await assert.rejects(careless.register(record('a', { nodes: [larger] })), { code: 'too-large' })
  })

  test('the etcd registry reads no answer above its limit', async () => {
    const prefix = fresh()
    await using registry = open({ prefix })
    const nodes = Array.from({ length: 300 }, (_, index) => ({
      id: `n${index}`,
      address: 'h:1',
      metadata: {},
    }))
    await registry.register(record('', { nodes }))
    await using careful = open({ prefix, maxAnswerBytes: 20_000 })
    await assert.rejects(careful.list(), { code: 'too-large' })
    assert.equal(ids(await registry.list()).length, 300)
  })

  test('the etcd registry refuses options that are none, without telling the password', () => {
    const hidden = (error: { code: string; message: string }) =>
      error.code === 'invalid-option' && !error.message.includes('secret')
    for (const wrong of ['ftp://u:secret@h:1', 'http://u:secret@h:1/path', '', 'h:port'])
      assert.throws(() => open({ addresses: [wrong] }), hidden, wrong)
    assert.throws(() => open({ addresses: [] }), { code: 'invalid-option' })
    assert.throws(() => open({ prefix: '/no/slash' }), { code: 'invalid-option' })
    assert.throws(() => open({ ttl: 1 } as never), { code: 'invalid-option' })
  })

  test('the etcd registry says so where what answers is no etcd', async () => {
    const { createServer } = await import('node:http')
    const stranger = createServer((_, response) => response.end('<html>'))
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = stranger.address() as { port: number }
      await using registry = open({ addresses: [`127.0.0.1:${port}`] })
      await assert.rejects(registry.list(), { code: 'protocol' })
    } finally {
      stranger.closeAllConnections()
      stranger.close()
    }
  })
}
