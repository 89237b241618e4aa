import assert from 'node:assert/strict'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import type { Registry, ServiceRecord } from '@micrograft/contracts'
import { Plugin, type EtcdRegistryOptions } from '@micrograft/registry-etcd'
import { etcd, FaultyLink, missing, ServerProcess, type ServerKind } from '@micrograft/test-support'
import { componentContext, pause, until } from '@micrograft/testing'
import { etcdGateway, type EtcdGateway } from './support/etcd-gateway.js'

const make = Plugin.newFunc as unknown as (
  options: EtcdRegistryOptions,
  context: ReturnType<typeof componentContext>,
) => Registry

const record = (id: string): ServiceRecord => ({
  name: 'greeter',
  version: '1.0.0',
  metadata: {},
  endpoints: [],
  nodes: [{ id, address: '127.0.0.1:1', metadata: {} }],
})

/** Something that speaks HTTP, and is no etcd. */
async function answering(answer: (response: ServerResponse) => void) {
  const server: Server = createServer(
    (request, response) => void request.resume().on('end', () => answer(response)),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = async () => {
    server.closeAllConnections()
    server.close()
  }
  return { addresses: [`127.0.0.1:${port}`], [Symbol.asyncDispose]: close }
}

/** What reads what the server has, and what also writes. */
const reading = ['get', 'list', 'watch', 'deregister'] as const
const all = [...reading, 'register', 'register with a lifetime'] as const

/** Expects that each call rejects with `protocol` where the server answers `body`. */
async function tellsProtocol(body: string, calls: readonly (typeof all)[number][]): Promise<void> {
  await using server = await answering((response) => response.end(body))
  await using registry = make({ addresses: server.addresses, timeoutMs: 2000 }, componentContext())
  const made: Record<(typeof all)[number], () => Promise<unknown>> = {
    get: () => registry.get('greeter'),
    list: () => registry.list(),
    watch: () => registry.watch(),
    deregister: () => registry.deregister(record('a')),
    register: () => registry.register(record('a')),
    'register with a lifetime': () => registry.register(record('a'), { ttlMs: 60_000 }),
  }
  for (const call of calls) await assert.rejects(made[call](), { code: 'protocol' }, `${call}: ${body}`)
}

test('the etcd registry tells protocol where what answers is JSON and not of etcd', async () => {
  for (const body of ['{}', 'null', '[]', '"text"', '{"header":null}', '{"header":1}', '{"result":{}}'])
    await tellsProtocol(body, all)
})

test('the etcd registry tells protocol where an answer has what etcd never says', async () => {
  for (const kvs of [5, [null], [{}], [{ key: 1 }], {}]) {
    const responses = [{ response_range: { kvs } }]
    await tellsProtocol(JSON.stringify({ header: { revision: '1' }, kvs, responses }), reading)
  }
})

test('the etcd registry reads no more of an answer than it may, in however many lines it comes', async () => {
  let sent = 0
  await using server = await answering((response) => {
    const line = `{"a":"${'x'.repeat(1000)}"}\n`
    const more = () => {
      while (!response.destroyed && sent < 100_000_000) {
        sent += line.length
        if (!response.write(line)) return void response.once('drain', more)
      }
      response.end()
    }
    more()
  })
  await using registry = make(
    { addresses: server.addresses, timeoutMs: 5000, maxAnswerBytes: 100_000 },
    componentContext(),
  )
  await assert.rejects(registry.list(), { code: 'too-large' })
  assert.ok(sent < 50_000_000, `${sent} bytes`)
})

test('the etcd registry refuses numbers and addresses that cannot be', () => {
  for (const options of [
    { timeoutMs: NaN },
    { timeoutMs: 0 },
    { timeoutMs: 2 ** 31 },
    { checkIntervalMs: NaN },
    { checkIntervalMs: 0 },
    { maxRecordBytes: -1 },
    { maxAnswerBytes: Infinity },
    { addresses: ['http://u:50%secret@h:1'] },
    { addresses: '127.0.0.1' as never },
    { addresses: [2379] as never },
    { prefix: 5 as never },
  ])
    assert.throws(
      () => make(options, componentContext()),
      ({ code, message }: { code: string; message: string }) =>
        code === 'invalid-option' && !message.includes('secret'),
      JSON.stringify(options),
    )
})

/** etcd that forgets a token that was not used for a second. */
const kind = Object.create(etcd, {
  arguments: {
    value: async (place: { folder: string; port: number }) => [
      ...(await etcd.arguments(place)),
      '--auth-token-ttl=1',
    ],
  },
}) as ServerKind

describe('the etcd registry with accounts', { skip: missing(etcd) ?? false }, () => {
  let server: ServerProcess
  let gateway: EtcdGateway
  before(async () => {
    server = await ServerProcess.start(kind)
    gateway = await etcdGateway(server)
    await gateway.call('/v3/auth/user/add', { name: 'root', password: 'secret' })
    await gateway.call('/v3/auth/role/add', { name: 'root' }).catch(() => undefined)
    await gateway.call('/v3/auth/user/grant', { user: 'root', role: 'root' })
    await gateway.call('/v3/auth/role/add', { name: 'services' })
    await gateway.call('/v3/auth/user/add', { name: 'moved', password: 'other' })
    await gateway.call('/v3/auth/user/grant', { user: 'moved', role: 'services' })
    await permit()
    await gateway.call('/v3/auth/enable', {})
  })
  after(() => server[Symbol.asyncDispose]())

  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const range = { key: base64('/micro/registry/'), range_end: base64('/micro/registry0') }
  const permit = (token?: string) =>
    gateway.call(
      '/v3/auth/role/grant',
      { name: 'services', perm: { permType: 'READWRITE', ...range } },
      token,
    )
  const open = (account: string, port = server.port) =>
    make({ addresses: [`http://${account}@127.0.0.1:${port}`], timeoutMs: 2000 }, componentContext())
  const told = async (registry: Registry, service?: string) => {
    const ids: string[] = []
    const watcher = await registry.watch({ service })
    void (async () => {
      for await (const event of watcher) ids.push(...event.service.nodes.map(({ id }) => id))
    })().catch(() => undefined)
    return ids
  }

  test('tells a watcher that asks for nothing else, also when its token was lost', async () => {
    await using link = await FaultyLink.to(server.port)
    await using registry = open('moved:other', link.port)
    await using other = open('root:secret')
    const ids = await told(registry)
    await other.register(record('a'))
    await until('it is told', () => ids.includes('a'))
    // Nothing tells when the server has forgotten the token.
    await pause(2500)
    link.reset()
    await other.register(record('b'))
    await until('it is told again', () => ids.includes('b'), 10_000)
  })

  test('tells forbidden while rights are withdrawn, and watchers go on when they are given back', async () => {
    await using registry = open('moved:other')
    await using other = open('root:secret')
    const ids = await told(registry)
    await registry.register(record('c'))
    await until('it is told', () => ids.includes('c'))
    const { token } = await gateway.call('/v3/auth/authenticate', { name: 'root', password: 'secret' })
    await gateway.call('/v3/auth/role/revoke', { role: 'services', ...range }, token as string)
    await assert.rejects(registry.register(record('d')), { code: 'forbidden' })
    await assert.rejects(registry.get('greeter'), { code: 'forbidden' })
    await permit(token as string)
    await registry.register(record('e'))
    await other.register(record('f'))
    await until('it is told again', () => ids.includes('e') && ids.includes('f'), 15_000)
  })
})
