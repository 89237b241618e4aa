import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Store } from '@micrograft/contracts'
import {
  FaultyLink,
  missing,
  natsServer,
  ServerProcess,
  type NatsServerSettings,
} from '@micrograft/test-support'
import { pause, until } from '@micrograft/testing'
import { bytes, openStore, text } from './support/nats.js'

const settings: { -readonly [K in keyof NatsServerSettings]: NatsServerSettings[K] } = {
  user: 'alice',
  password: 'right',
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
  database: randomUUID(),
  maxBytes: 10_000_000,
  timeoutMs: 600,
  connectTimeoutMs: 600,
  reconnectDelayMs: 50,
  pingIntervalMs: 300,
})

const coded: readonly unknown[] = ['unavailable', 'timeout']

/** Sets keys one after the other, and reads some, until it is told to end. */
function load(store: Store): { readonly acked: Map<string, string>; end(): Promise<void> } {
  const over = new AbortController()
  const acked = new Map<string, string>()
  const running = (async () => {
    for (let i = 0; !over.signal.aborted; i++) {
      const [key, value] = [`k${i}`, String(i)]
      const started = performance.now()
      try {
        await store.set(key, bytes(value))
        acked.set(key, value)
        if (i % 5 === 0) assert.equal(text(await store.get(key)), value)
      } catch (error) {
        assert.ok(coded.includes((error as { code?: string }).code), String(error))
      }
      assert.ok(performance.now() - started < 2500, 'a call ends within its deadline')
      await pause(1)
    }
  })()
  running.catch(() => undefined)
  return {
    acked,
    end: async () => {
      over.abort()
      await running
    },
  }
}

async function holds(store: Store, acked: ReadonlyMap<string, string>): Promise<void> {
  for (const [key, value] of acked) assert.equal(text(await store.get(key)), value)
  const listed = new Set(await store.list({ limit: 100_000 }))
  for (const key of acked.keys()) assert.ok(listed.has(key), key)
}

test('what was set is there when the server was killed, and when it stood still', options, async () => {
  await using store = await openStore(place())
  const { acked, end } = load(store)
  await until('some are set', () => acked.size > 50)
  await server.kill()
  await pause(300)
  await server.start()
  let before = acked.size
  await until('it goes on', () => acked.size > before + 50, 15_000)
  server.pause()
  await pause(2000)
  server.resume()
  before = acked.size
  await until('it goes on again', () => acked.size > before + 50, 15_000)
  await end()
  await holds(store, acked)
})

test('connections that are reset or slow lose nothing that was set', options, async () => {
  await using link = await FaultyLink.to(server.port)
  await using store = await openStore(place(link.port))
  const { acked, end } = load(store)
  for (let i = 0; i < 3; i++) {
    const before = acked.size
    await until('it goes on', () => acked.size > before + 20, 15_000)
    link.reset()
  }
  link.delayMs = 50
  const before = acked.size
  await until('it goes on slowly', () => acked.size > before + 5, 15_000)
  link.delayMs = 0
  await end()
  await holds(store, acked)
})

test('a list that loses its server fails with a code, and the next one is whole', options, async () => {
  await using link = await FaultyLink.to(server.port)
  await using store = await openStore(place(link.port))
  const keys = Array.from({ length: 200 }, (_, i) => `k${String(i).padStart(3, '0')}`)
  await Promise.all(keys.map((key) => store.set(key, bytes('x'))))
  link.delayMs = 20
  const listed = store.list().catch((error: unknown) => error)
  await pause(30)
  link.reset()
  const outcome = await listed
  if (!Array.isArray(outcome)) assert.ok(coded.includes((outcome as { code?: string }).code), String(outcome))
  link.delayMs = 0
  let again: readonly string[] = []
  const list = () =>
    store.list().then(
      (found) => (again = found),
      () => undefined,
    )
  await until('it lists again', list, 10_000)
  assert.deepEqual(again, keys)
})

test(
  'nothing is kept without limit for a server that stands still, and disposing does not wait for it',
  options,
  async () => {
    await using store = await openStore({ ...place(), maxPendingBytes: 200_000, pingIntervalMs: 60_000 })
    server.pause()
    try {
      // A signal is heeded in its own time.
      const still = () =>
        store.set('first', bytes('x')).then(
          () => false,
          () => true,
        )
      await until('it stands still', still)
      const outcomes = await Promise.allSettled(
        Array.from({ length: 100 }, (_, i) => store.set(`k${i}`, new Uint8Array(10_000))),
      )
      const codes = outcomes.map((each) =>
        each.status === 'rejected' ? (each.reason as { code: string }).code : '',
      )
      assert.deepEqual([...new Set(codes)].sort(), ['overloaded', 'timeout'])
      const calls = [store.get('k'), store.list(), store.delete('k')]
      const ends = new Set<unknown>(['overloaded', ...coded])
      await Promise.all(
        calls.map((call) => assert.rejects(call, (error: { code?: string }) => ends.has(error.code))),
      )
      const started = performance.now()
      await store[Symbol.asyncDispose]()
      assert.ok(performance.now() - started < 500)
    } finally {
      server.resume()
    }
  },
)
