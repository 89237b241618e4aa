import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Registry, RegistryEvent, ServiceRecord } from '@micrograft/contracts'
import { Plugin } from '@micrograft/registry-redis'
import { FaultyLink, missing, redisCommand, redisServer, ServerProcess } from '@micrograft/test-support'
import { componentContext, pause, until } from '@micrograft/testing'

const kind = redisServer()
const skip = missing(kind) ?? false
let server: ServerProcess
before(async () => {
  if (skip === false) server = await ServerProcess.start(kind)
})
after(() => server?.[Symbol.asyncDispose]())

let prefixes = 0
const newPrefix = () => `faults-${prefixes++}:`
const slowest = 2500

async function open(prefix: string, options: object = {}): Promise<Registry> {
  const all = {
    addresses: [`127.0.0.1:${server.port}`],
    prefix,
    commandTimeoutMs: 500,
    connectTimeoutMs: 2000,
    maxReconnectDelayMs: 100,
    sweepMs: 100,
    ...options,
  }
  return Plugin.newFunc(all as never, componentContext())
}

function record(id: string): ServiceRecord {
  const nodes = [{ id, address: '127.0.0.1:1', metadata: {} }]
  return { name: 'greeter', version: '1.0.0', metadata: {}, endpoints: [], nodes }
}

const idsOf = (records: readonly ServiceRecord[]) =>
  records.flatMap(({ nodes }) => nodes.map(({ id }) => id)).sort()

/** What a watcher knows, from what there was and all that it was told. Told twice of the same, it fails. */
async function follow(registry: Registry): Promise<Set<string>> {
  const watcher = await registry.watch()
  const known = new Set(idsOf(await registry.list()))
  const read = async () => {
    for await (const { type, service } of watcher as AsyncIterable<RegistryEvent>) {
      const id = service.nodes[0]?.id ?? ''
      assert.equal(known.has(id), type !== 'create', `${type} ${id}`)
      if (type === 'delete') known.delete(id)
      else known.add(id)
    }
  }
  read().catch((error: { code: string }) => assert.equal(error.code, 'closed', String(error)))
  return known
}

/** Registers and deregisters until it is stopped; nodes whose state was acknowledged are known. */
function load(registry: Registry) {
  const there = new Set<string>()
  const unknown = new Set<string>()
  const failed: string[] = []
  let done = 0
  let longestMs = 0
  const stop = new AbortController()
  const work = async (worker: number) => {
    for (let round = 0; !stop.signal.aborted; round++) {
      const id = `${worker}-${round % 20}`
      const remove = there.has(id)
      const started = performance.now()
      try {
        await (remove ? registry.deregister(record(id)) : registry.register(record(id), { ttlMs: 60_000 }))
        unknown.delete(id)
        if (remove) there.delete(id)
        else there.add(id)
        done++
      } catch (error) {
        unknown.add(id)
        failed.push((error as { code: string }).code)
      }
      longestMs = Math.max(longestMs, performance.now() - started)
      await pause(1)
    }
  }
  const workers = Array.from({ length: 4 }, (_, worker) => work(worker))
  return {
    failed,
    done: () => done,
    async stop() {
      stop.abort()
      await Promise.all(workers)
      for (const code of failed) assert.ok(['unavailable', 'timeout'].includes(code), code)
      assert.ok(longestMs < slowest, `a call took ${longestMs} ms`)
      return { there, unknown }
    },
  }
}

async function goesOn(running: ReturnType<typeof load>, more = 100): Promise<void> {
  const enough = running.done() + more
  await until('calls go on', () => running.done() >= enough, 10_000)
}

async function verify(
  running: ReturnType<typeof load>,
  registry: Registry,
  known: Set<string>,
): Promise<void> {
  const { there, unknown } = await running.stop()
  const listed = idsOf(await registry.list())
  const certain = (ids: readonly string[]) => ids.filter((id) => !unknown.has(id)).join()
  assert.equal(certain(listed), certain([...there].sort()))
  await until('the watcher knows what there is', async () => {
    return [...known].sort().join() === idsOf(await registry.list()).join()
  })
}

test(
  'keeps what was acknowledged over a kill of the server, and watchers miss nothing',
  { skip },
  async () => {
    const prefix = newPrefix()
    await using registry = await open(prefix)
    await using watching = await open(prefix)
    const known = await follow(watching)
    const running = load(registry)
    await goesOn(running)
    await server.kill()
    await until('calls fail', () => running.failed.length > 0)
    await server.start()
    await goesOn(running)
    await verify(running, registry, known)
  },
)

test('nodes come back by themselves when the server has lost all', { skip }, async () => {
  const prefix = newPrefix()
  await using registry = await open(prefix)
  await using watching = await open(prefix)
  await registry.register(record('a'), { ttlMs: 60_000 })
  await registry.register(record('b'))
  const known = await follow(watching)
  await registry.register(record('c'))
  await until('the watcher knows', () => known.has('c'))
  await redisCommand(server, 'FLUSHALL')
  await server.kill()
  await server.start()
  await until(
    'all are back',
    async () => idsOf(await watching.list().catch(() => [])).join() === 'a,b,c',
    10_000,
  )
  await until('the watcher knows', async () => known.has('a') && known.has('b') && known.has('c'))
})

test(
  'rejects in time while the server stands still, and watchers are told what changed after it',
  { skip },
  async () => {
    const prefix = newPrefix()
    await using registry = await open(prefix)
    await using watching = await open(prefix)
    const known = await follow(watching)
    const running = load(registry)
    await goesOn(running)
    server.pause()
    await until('calls fail', () => running.failed.length >= 12, 10_000)
    server.resume()
    await goesOn(running)
    await verify(running, registry, known)
  },
)

test('watchers miss nothing while connections are reset and slow', { skip }, async () => {
  await using link = await FaultyLink.to(server.port)
  const prefix = newPrefix()
  const addresses = [`127.0.0.1:${link.port}`]
  await using registry = await open(prefix)
  await using watching = await open(prefix, { addresses })
  const known = await follow(watching)
  const running = load(registry)
  for (let i = 0; i < 5; i++) {
    await goesOn(running, 50)
    link.reset()
  }
  link.delayMs = 30
  await goesOn(running)
  link.delayMs = 0
  await verify(running, registry, known)
  assert.equal(running.failed.length, 0)
})

test(
  'rejects with unauthenticated while the password is wrong, and goes on when it is right again',
  { skip },
  async () => {
    await using link = await FaultyLink.to(server.port)
    await redisCommand(server, 'ACL', 'SETUSER', 'ben', 'on', '>right', '~*', '&*', '+@all')
    const addresses = [`127.0.0.1:${link.port}`]
    const prefix = newPrefix()
    await using registry = await open(prefix, { addresses, username: 'ben', password: 'right' })
    await using writer = await open(prefix)
    const known = await follow(registry)
    await redisCommand(server, 'ACL', 'SETUSER', 'ben', 'resetpass', '>changed')
    link.reset()
    const code = () =>
      registry
        .list()
        .then(() => 'none')
        .catch((error: { code: string }) => error.code)
    await until('the password is refused', async () => (await code()) === 'unauthenticated')
    await writer.register(record('a'))
    await redisCommand(server, 'ACL', 'SETUSER', 'ben', 'resetpass', '>right')
    await until('it goes on', async () => (await code()) === 'none')
    await until('the watcher is told', () => known.has('a'))
  },
)

test('is disposed in time while the server stands still', { skip }, async () => {
  const registry = await open(newPrefix())
  await registry.register(record('a'))
  const watcher = await registry.watch()
  server.pause()
  try {
    const started = performance.now()
    const ended = assert.rejects(watcher.next(), { code: 'closed' })
    await registry[Symbol.asyncDispose]()
    await ended
    assert.ok(performance.now() - started < slowest)
  } finally {
    server.resume()
  }
})

test('watchers are told at once again after a reset, of what happened meanwhile too', { skip }, async () => {
  await using link = await FaultyLink.to(server.port)
  const prefix = newPrefix()
  await using registry = await open(prefix)
  const addresses = [`127.0.0.1:${link.port}`]
  await using watching = await open(prefix, { addresses, sweepMs: 60_000 })
  const known = await follow(watching)
  await registry.register(record('a'))
  await until('it is told', () => known.has('a'))
  link.reset()
  await registry.register(record('b'))
  await until('it is told', () => known.has('b'))
  await registry.register(record('c'))
  await until('it is told', () => known.has('c'))
  // A server that was restored to an earlier state counts on from there.
  await redisCommand(server, 'HDEL', `${prefix}nodes:greeter`, 'a')
  link.reset()
  await until('that is told as well', () => !known.has('a'))
})
