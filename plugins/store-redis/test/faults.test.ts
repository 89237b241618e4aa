import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Store } from '@micrograft/contracts'
import { Plugin } from '@micrograft/store-redis'
import { FaultyLink, missing, redisCommand, redisServer, ServerProcess } from '@micrograft/test-support'
import { componentContext, pause, until } from '@micrograft/testing'

const kind = redisServer()
const skip = missing(kind) ?? false
let server: ServerProcess
before(async () => {
  if (skip === false) server = await ServerProcess.start(kind)
})
after(() => server?.[Symbol.asyncDispose]())

let tables = 0

async function open(options: object = {}): Promise<Store> {
  const all = {
    addresses: [`127.0.0.1:${server.port}`],
    table: `faults-${tables++}`,
    commandTimeoutMs: 500,
    connectTimeoutMs: 2000,
    maxReconnectDelayMs: 100,
    ...options,
  }
  return Plugin.newFunc(all as never, componentContext())
}

const codes = new Set(['unavailable', 'timeout'])
const slowest = 2500

/** Writes and reads until it is stopped; tells what was acknowledged and what went wrong. */
function load(store: Store) {
  const acknowledged = new Map<string, string>()
  const failed: string[] = []
  const stop = new AbortController()
  let written = 0
  let longestMs = 0
  const work = async (worker: number) => {
    for (let round = 0; !stop.signal.aborted; round++) {
      const [key, value] = [`${worker}-${round % 50}`, `${round}`]
      const started = performance.now()
      try {
        await store.set(key, new TextEncoder().encode(value))
        acknowledged.set(key, value)
        written++
        await store.get(key)
      } catch (error) {
        // It may have been done or not: no longer known.
        acknowledged.delete(key)
        failed.push((error as { code: string }).code)
      }
      longestMs = Math.max(longestMs, performance.now() - started)
      await pause(1)
    }
  }
  const workers = Promise.all(Array.from({ length: 8 }, (_, worker) => work(worker)))
  const ended = () => {
    stop.abort()
    return workers
  }
  return {
    failed,
    written: () => written,
    async verify() {
      await ended()
      for (const code of failed) assert.ok(codes.has(code), code)
      assert.ok(longestMs < slowest, `a call took ${longestMs} ms`)
      for (const [key, value] of acknowledged)
        assert.equal(new TextDecoder().decode(await store.get(key)), value, key)
    },
    [Symbol.asyncDispose]: async () => void (await ended()),
  }
}

async function goesOn(running: ReturnType<typeof load>, more = 200): Promise<void> {
  const enough = running.written() + more
  await until('writes go on', () => running.written() >= enough, 10_000)
}

test('keeps what was acknowledged over a kill of the server, and goes on by itself', { skip }, async () => {
  await using store = await open()
  await using running = load(store)
  await goesOn(running)
  await server.kill()
  await until('calls fail', () => running.failed.length > 0)
  await server.start()
  await goesOn(running)
  await running.verify()
})

test('rejects in time while the server stands still, and goes on when it does', { skip }, async () => {
  await using store = await open()
  await using running = load(store)
  await goesOn(running)
  server.pause()
  await until('calls fail', () => running.failed.length >= 24, 10_000)
  assert.ok(running.failed.includes('timeout'))
  server.resume()
  await goesOn(running)
  await running.verify()
})

test('goes on after connections are reset, and works slowly over a slow link', { skip }, async () => {
  await using link = await FaultyLink.to(server.port)
  await using store = await open({ addresses: [`127.0.0.1:${link.port}`] })
  await using running = load(store)
  for (let i = 0; i < 5; i++) {
    await goesOn(running, 100)
    link.reset()
  }
  link.delayMs = 50
  await goesOn(running, 50)
  link.delayMs = 0
  await goesOn(running)
  const lost = running.failed.filter((code) => code === 'unavailable').length
  assert.ok(
    lost <= 8 * (link.made - 1),
    `${lost} calls of 8 workers were lost with ${link.made - 1} connections`,
  )
  await running.verify()
  await until('one connection is left', () => link.connections === 1)
})

test(
  'survives a value that the server refuses, and rejects with overloaded where its memory is full',
  { skip },
  async () => {
    await using store = await open()
    await redisCommand(server, 'CONFIG', 'SET', 'proto-max-bulk-len', String(1024 * 1024))
    // The server ends the connection while the rest is still being sent, and its reason may be lost with that.
    await assert.rejects(store.set('k', new Uint8Array(2 * 1024 * 1024)), (error: { code: string }) =>
      ['too-large', 'unavailable'].includes(error.code),
    )
    await redisCommand(server, 'CONFIG', 'SET', 'proto-max-bulk-len', String(512 * 1024 * 1024))
    await until('it goes on', () =>
      store
        .set('k', new Uint8Array(1))
        .then(() => true)
        .catch(() => false),
    )
    await redisCommand(server, 'CONFIG', 'SET', 'maxmemory', '1')
    await assert.rejects(store.set('k', new Uint8Array(1)), { code: 'overloaded' })
    await redisCommand(server, 'CONFIG', 'SET', 'maxmemory', '0')
    await store.set('k', new Uint8Array(2))
    assert.equal((await store.get('k'))?.length, 2)
  },
)
