import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ServiceError, type Registry, type RegistryWatcher, type ServiceRecord } from '@micrograft/contracts'
import { Plugin, type EtcdRegistryOptions } from '@micrograft/registry-etcd'
import { etcd, FaultyLink, missing, ServerProcess } from '@micrograft/test-support'
import { componentContext, pause, until } from '@micrograft/testing'
import { etcdGateway } from './support/etcd-gateway.js'

const make = Plugin.newFunc as unknown as (
  options: EtcdRegistryOptions,
  context: ReturnType<typeof componentContext>,
) => Registry

const record = (id: string, address = '127.0.0.1:1'): ServiceRecord => ({
  name: 'greeter',
  version: '1.0.0',
  metadata: {},
  endpoints: [],
  nodes: [{ id, address, metadata: {} }],
})
const ids = (records: readonly ServiceRecord[]) =>
  records.flatMap(({ nodes }) => nodes.map(({ id }) => id)).sort()
/** What a call may take longer than its deadline on a busy machine, in milliseconds. */
const slackMs = 1500
const away = new Set(['unavailable', 'timeout'])

/** The code that a call fails with, in time, or `undefined`. */
async function inTime(timeoutMs: number, call: Promise<unknown>): Promise<string | undefined> {
  const started = performance.now()
  let code: string | undefined
  try {
    await call
  } catch (error) {
    assert.ok(error instanceof ServiceError, String(error))
    ;({ code } = error)
  }
  const tookMs = performance.now() - started
  assert.ok(tookMs < timeoutMs + slackMs, `a call took ${tookMs} ms`)
  return code
}

/** What a watcher's events lead to: the nodes that there are. */
class Follower {
  readonly nodes = new Map<string, string>()
  readonly wrong: string[] = []

  constructor(watcher: RegistryWatcher) {
    void this.#follow(watcher).catch((error: Error) => this.wrong.push(error.message))
  }

  get ids(): string {
    return [...this.nodes.keys()].sort().join()
  }

  async #follow(watcher: RegistryWatcher): Promise<void> {
    for await (const { type, service } of watcher) {
      for (const { id, address } of service.nodes) {
        if ((type === 'create') === this.nodes.has(id)) this.wrong.push(`${type} ${id}`)
        if (type === 'delete') this.nodes.delete(id)
        else this.nodes.set(id, address)
      }
    }
  }
}

const reason = missing(etcd)
if (reason !== undefined) test('etcd registry', { skip: reason })
else {
  let server: ServerProcess
  let prefixes = 0
  before(async () => (server = await ServerProcess.start(etcd)))
  after(() => server[Symbol.asyncDispose]())
  const open = (timeoutMs: number, options: EtcdRegistryOptions = {}) =>
    make(
      { addresses: [`127.0.0.1:${server.port}`], prefix: `/test/${++prefixes}/`, timeoutMs, ...options },
      componentContext(),
    )

  test('the etcd registry has after a SIGKILL of the server what it acknowledged, and watchers go on', async () => {
    const prefix = '/test/killed/'
    await using registry = open(1000, { prefix })
    await using other = open(1000, { prefix })
    const follower = new Follower(await other.watch())
    const acknowledged = new Set<string>()
    const stopped = new AbortController()
    let failed = 0
    const load = Promise.all(
      [0, 1, 2].map(async (writer) => {
        for (let count = 0; !stopped.signal.aborted; count++) {
          const id = `n${writer}-${count}`
          const code = await inTime(1000, registry.register(record(id), { ttlMs: 600_000 }))
          if (code === undefined) acknowledged.add(id)
          else {
            failed++
            assert.ok(away.has(code), code)
          }
          await pause(5)
        }
      }),
    )
    load.catch(() => undefined)
    try {
      await until('some are registered', () => acknowledged.size > 20, 20_000)
      await server.kill()
      await until('calls fail', () => failed > 3)
      await server.start()
      const before = acknowledged.size
      await until('it goes on', () => acknowledged.size > before + 20, 20_000)
    } finally {
      stopped.abort()
    }
    await load
    const there = new Set(ids(await other.get('greeter')))
    for (const id of acknowledged) assert.ok(there.has(id), id)
    await until('the watcher knows all', () => follower.nodes.size === there.size, 20_000)
    assert.deepEqual(follower.wrong, [])
  })

  test('the etcd registry costs a caller its deadline at most while the server stands still', async () => {
    const prefix = '/test/still/'
    await using registry = open(500, { prefix })
    await using other = open(500, { prefix, checkIntervalMs: 100 })
    await registry.register(record('a'), { ttlMs: 60_000 })
    const follower = new Follower(await other.watch())
    server.pause()
    try {
      const codes = await Promise.all([
        inTime(500, registry.register(record('a'), { ttlMs: 60_000 })),
        inTime(500, registry.register(record('b'))),
        inTime(500, registry.deregister(record('b'))),
        inTime(500, registry.get('greeter')),
        inTime(500, registry.list()),
        inTime(500, registry.watch()),
      ])
      for (const code of codes) assert.ok(code !== undefined && away.has(code), String(code))
      const controller = new AbortController()
      const given = registry.list({ signal: controller.signal })
      controller.abort(new Error('enough'))
      await assert.rejects(given, /enough/)
    } finally {
      server.resume()
    }
    await until(
      'it is registered again',
      async () => (await inTime(500, registry.register(record('c')))) === undefined,
    )
    await until('the watcher is told', () => follower.nodes.has('c'), 10_000)
    assert.ok(ids(await registry.get('greeter')).includes('a'))
  })

  test('the etcd registry lives with connections that are reset and slow, and keeps few', async () => {
    const prefix = '/test/link/'
    await using link = await FaultyLink.to(server.port)
    await using registry = open(3000, { prefix, addresses: [`127.0.0.1:${link.port}`] })
    const follower = new Follower(await registry.watch())
    for (let round = 0; round < 6; round++) {
      link.delayMs = round % 2 === 0 ? 20 : 0
      const id = `n${round}`
      await until(
        'it is registered',
        async () => (await inTime(3000, registry.register(record(id)))) === undefined,
      )
      await until('the watcher is told', () => follower.nodes.has(id), 10_000)
      assert.ok(link.connections <= 10, `${link.connections} connections`)
      link.reset()
    }
    assert.deepEqual(follower.wrong, [])
  })

  test('the etcd registry lets no call fail of a connection that was kept and is gone', async () => {
    await using link = await FaultyLink.to(server.port)
    await using registry = open(3000, { addresses: [`127.0.0.1:${link.port}`] })
    for (let round = 0; round < 20; round++) {
      await registry.register(record('a', `127.0.0.1:${round + 1}`))
      link.reset()
    }
    assert.deepEqual(ids(await registry.list()), ['a'])
  })

  test('the etcd registry takes out also what it was registering when it was disposed', async () => {
    const prefix = '/test/disposed/'
    await using link = await FaultyLink.to(server.port)
    await using other = open(3000, { prefix })
    const registry = open(3000, { prefix, addresses: [`127.0.0.1:${link.port}`] })
    link.delayMs = 300
    const registering = inTime(3000, registry.register(record('a')))
    // It is there, and the answer is still on its way.
    await until('it is there', async () => ids(await other.list()).length === 1)
    await registry[Symbol.asyncDispose]()
    await registering
    assert.deepEqual(await other.list(), [])
  })

  test('the etcd registry asks another member, for watchers too, where one falls silent', async () => {
    const prefix = '/test/silent/'
    await using silent = await FaultyLink.to(server.port)
    await using sound = await FaultyLink.to(server.port)
    await using near = open(5000, { prefix })
    const addresses = [silent, sound].map(({ port }) => `127.0.0.1:${port}`)
    await using registry = open(600, { prefix, addresses, checkIntervalMs: 100 })
    const follower = new Follower(await registry.watch())
    await near.register(record('a'))
    await until('the watcher is told', () => follower.ids === 'a')
    silent.delayMs = 6000
    await near.register(record('b'))
    assert.equal(await inTime(600, registry.list()), undefined)
    await until('the watcher is told by the other', () => follower.ids === 'a,b')
    assert.ok(sound.connections > 0)
    silent.reset()
  })

  test('the etcd registry tells watchers what happened while they were away, also where etcd has forgotten it', async () => {
    const prefix = '/test/compacted/'
    const gateway = await etcdGateway(server)
    await using link = await FaultyLink.to(server.port)
    await using far = open(5000, { prefix, addresses: [`127.0.0.1:${link.port}`] })
    await using near = open(5000, { prefix })
    for (const id of ['stays', 'moves', 'goes']) await near.register(record(id))
    const follower = new Follower(await far.watch())
    for (const id of ['stays', 'moves', 'goes']) follower.nodes.set(id, '127.0.0.1:1')
    // What the watcher sends when it comes back is held up until all of this has happened.
    link.delayMs = 700
    link.reset()
    await near.register(record('moves', '127.0.0.1:2'))
    await near.deregister(record('goes'))
    await near.register(record('comes'))
    await near.register(record('ghost'))
    await near.deregister(record('ghost'))
    await gateway.compact()
    link.delayMs = 0
    await until('the watcher knows', () => follower.ids === 'comes,moves,stays', 10_000)
    await until('the move is told', () => follower.nodes.get('moves') === '127.0.0.1:2')
    await near.register(record('later'))
    await until('the watcher goes on', () => follower.ids === 'comes,later,moves,stays')
    assert.deepEqual(follower.wrong, [])
  })

  test('the etcd registry comes back to a server that lost everything', async () => {
    await using own = await ServerProcess.start(etcd)
    const address = [`127.0.0.1:${own.port}`]
    await using registry = open(1000, { addresses: address })
    await registry.register(record('stays'), { ttlMs: 60_000 })
    await registry.register(record('gone'), { ttlMs: 60_000 })
    const follower = new Follower(await registry.watch())
    for (const id of ['stays', 'gone']) follower.nodes.set(id, '127.0.0.1:1')
    await own.kill()
    await rm(join(own.folder, 'data'), { recursive: true })
    await own.start()
    await until(
      'it is registered again',
      async () => (await inTime(1000, registry.register(record('stays'), { ttlMs: 60_000 }))) === undefined,
      10_000,
    )
    assert.deepEqual(ids(await registry.get('greeter')), ['stays'])
    await until('the watcher knows', () => follower.ids === 'stays', 10_000)
    assert.deepEqual(follower.wrong, [])
  })

  test('the etcd registry says when the password is wrong, and outlives the loss of its token', async () => {
    await using own = await ServerProcess.start(etcd)
    const gateway = await etcdGateway(own)
    await gateway.call('/v3/auth/user/add', { name: 'root', password: 'secret' })
    await gateway.call('/v3/auth/user/grant', { user: 'root', role: 'root' }).catch(async () => {
      await gateway.call('/v3/auth/role/add', { name: 'root' })
      await gateway.call('/v3/auth/user/grant', { user: 'root', role: 'root' })
    })
    await gateway.call('/v3/auth/enable', {})
    const addresses = [`http://root:secret@127.0.0.1:${own.port}`]
    await using registry = open(2000, { addresses })
    const follower = new Follower(await registry.watch())
    await registry.register(record('a'), { ttlMs: 60_000 })
    await until('the watcher is told', () => follower.ids === 'a')

    await using stranger = open(2000, {
      addresses: [`127.0.0.1:${own.port}`],
      user: 'root',
      password: 'hidden',
    })
    await assert.rejects(stranger.list(), (error: ServiceError) => {
      assert.equal(error.code, 'unauthenticated')
      assert.ok(!error.message.includes('hidden'))
      return true
    })
    await using nobody = open(2000, { addresses: [`127.0.0.1:${own.port}`] })
    await assert.rejects(nobody.list(), { code: 'unauthenticated' })

    // Tokens are in the memory of the server.
    await own.kill()
    await own.start()
    await until(
      'it is registered again',
      async () => (await inTime(2000, registry.register(record('b'), { ttlMs: 60_000 }))) === undefined,
      10_000,
    )
    await until('the watcher is told', () => follower.ids === 'a,b', 10_000)

    const { token } = await gateway.call('/v3/auth/authenticate', { name: 'root', password: 'secret' })
    await gateway.call('/v3/auth/user/changepw', { name: 'root', password: 'another' }, token as string)
    await own.kill()
    await own.start()
    await until(
      'it is refused',
      async () => (await inTime(2000, registry.list())) === 'unauthenticated',
      10_000,
    )
    assert.deepEqual(follower.wrong, [])
  })

  test('the etcd registry says when the server has no room, keeps what it has, and goes on when there is room', async () => {
    const quota = 2_000_000
    await using own = await ServerProcess.start({
      ...etcd,
      arguments: async (place) => [...(await etcd.arguments(place)), `--quota-backend-bytes=${quota}`],
    })
    await using registry = open(3000, { addresses: [`127.0.0.1:${own.port}`], prefix: '/micro/registry/' })
    await registry.register(record('a'))
    const large = { id: 'large', address: 'h:1', metadata: { text: 'x'.repeat(400_000) } }
    let code: string | undefined
    for (let i = 0; i < 20 && code === undefined; i++)
      code = await inTime(3000, registry.register({ ...record('b'), nodes: [{ ...large, id: `large${i}` }] }))
    assert.equal(code, 'unavailable')
    assert.ok(ids(await registry.get('greeter')).includes('a'))

    // What an operator does: older revisions go, and the room that they took is given back.
    const gateway = await etcdGateway(own)
    for (let i = 0; i < 20; i++) await gateway.delete(`/micro/registry/greeter/large${i}`)
    await gateway.compact()
    await gateway.call('/v3/maintenance/defragment', {})
    const { alarms } = await gateway.call('/v3/maintenance/alarm', { action: 'GET' })
    for (const alarm of alarms as object[])
      await gateway.call('/v3/maintenance/alarm', { action: 'DEACTIVATE', ...alarm })
    await until(
      'it takes nodes again',
      async () => (await inTime(3000, registry.register(record('c')))) === undefined,
    )
    assert.deepEqual(
      ids(await registry.get('greeter')).filter((id) => !id.startsWith('large')),
      ['a', 'c'],
    )
  })

  test('the etcd registry is disposed in time where there is no server', async () => {
    await using own = await ServerProcess.start(etcd)
    const registry = open(500, { addresses: [`127.0.0.1:${own.port}`] })
    await registry.register(record('a'), { ttlMs: 60_000 })
    await registry.watch()
    own.pause()
    const started = performance.now()
    await registry[Symbol.asyncDispose]()
    assert.ok(performance.now() - started < 500 + slackMs)
    own.resume()
  })
}
