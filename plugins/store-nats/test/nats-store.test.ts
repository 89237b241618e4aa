import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createConnection } from 'node:net'
import { after, before, test } from 'node:test'
import {
  missing,
  natsLogin,
  natsServer,
  ServerProcess,
  unusable,
  usableServer,
  type TestServer,
} from '@micrograft/test-support'
import { until } from '@micrograft/testing'
import { Kvm, type Bucket } from '@nats-io/kv'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { bytes, forget, openStore, text } from './support/nats.js'

const kind = natsServer()
const reason = unusable(kind)
const options = { skip: reason ?? false }
const own = { skip: missing(kind) ?? false }
let server: TestServer
let raw: NatsConnection
const buckets: string[] = []
const fresh = () => {
  const database = randomUUID()
  buckets.push(database)
  return { addresses: [server.address], database, table: 'users', maxBytes: 20_000_000 }
}
const bucketOf = async (name: string) => (await new Kvm(raw).open(name)) as Bucket
const messagesOf = async (name: string) =>
  (await (await bucketOf(name)).jsm.streams.info(`KV_${name}`)).state.messages

before(async () => {
  if (reason !== undefined) return
  server = await usableServer(kind)
  raw = await connect(natsLogin(server))
})
after(async () => {
  if (server) await forget(server, buckets)
  await raw?.close()
  await server?.[Symbol.asyncDispose]()
})

test(
  'another client of the bucket sees what is set, and what it sets and deletes is seen',
  options,
  async () => {
    const place = fresh()
    await using store = await openStore(place)
    await store.set('a/b c', bytes('1'), { ttlMs: 60_000 })
    const bucket = await bucketOf(place.database)
    assert.equal((await bucket.get('users.a.b=20c'))?.string(), '1')
    await bucket.put('users.theirs', '2')
    assert.equal(text(await store.get('theirs')), '2')
    assert.deepEqual(await store.list(), ['a/b c', 'theirs'])
    await bucket.delete('users.theirs')
    assert.equal(await store.get('theirs'), undefined)
    assert.equal(await store.delete('theirs'), false)
    assert.deepEqual(await store.list(), ['a/b c'])
    // Keys of other tables, and such as no store writes.
    await bucket.put('other.a', '3')
    await bucket.put('users.a=zz', '3')
    assert.deepEqual(await store.list(), ['a/b c'])
  },
)

test('what is deleted leaves nothing behind, and what expires goes by itself', options, async () => {
  const place = { ...fresh(), sweepMs: 50 }
  await using store = await openStore(place)
  for (let i = 0; i < 20; i++) await store.set(`k${i}`, bytes('x'))
  for (let i = 0; i < 20; i++) assert.equal(await store.delete(`k${i}`), true)
  assert.equal(await messagesOf(place.database), 0)
  for (let i = 0; i < 20; i++) await store.set(`k${i}`, bytes('x'), { ttlMs: 30 })
  await store.set('stays', bytes('x'), { ttlMs: 60_000 })
  await until('all but one are gone', async () => (await messagesOf(place.database)) === 1)
  assert.equal(text(await store.get('stays')), 'x')
})

test('an entry that was set anew is not taken out as the one that had expired', options, async () => {
  const place = fresh()
  await using store = await openStore(place)
  for (let i = 0; i < 30; i++) {
    await store.set('k', bytes('old'), { ttlMs: 1 })
    await until('it has expired', async () => (await store.get('k')) === undefined)
    await Promise.all([store.list(), store.delete('k'), store.set('k', bytes('new'))])
    await store.set('k', bytes('newer'))
    await store.list()
    assert.equal(text(await store.get('k')), 'newer')
  }
})

test('a list is whole and names each key once while keys are set and deleted', options, async () => {
  const place = fresh()
  await using store = await openStore(place)
  await using other = await openStore(place)
  const stay = Array.from({ length: 300 }, (_, i) => `s${String(i).padStart(3, '0')}`)
  await Promise.all(stay.map((key) => store.set(key, bytes('x'))))
  const over = new AbortController()
  const changing = (async () => {
    for (let i = 0; !over.signal.aborted; i++) {
      await Promise.all([other.set(`t${i % 20}`, bytes('x')), other.delete(`t${(i + 7) % 20}`)])
      await other.set(stay[i % stay.length] as string, bytes('y'))
    }
  })()
  for (let i = 0; i < 30; i++) {
    const started = performance.now()
    const listed = await store.list()
    assert.ok(performance.now() - started < 2500)
    assert.deepEqual(
      listed.filter((key) => key.startsWith('s')),
      stay,
    )
    assert.equal(new Set(listed).size, listed.length)
  }
  over.abort()
  await changing
})

test('of many deletes at once just one finds the entry', options, async () => {
  const place = fresh()
  await using store = await openStore(place)
  await using other = await openStore(place)
  for (let i = 0; i < 10; i++) {
    await store.set('k', bytes('x'))
    const found = await Promise.all(
      Array.from({ length: 8 }, (_, at) => (at % 2 ? store : other).delete('k')),
    )
    assert.equal(found.filter(Boolean).length, 1)
  }
})

test('lists by prefixes that end anywhere, and pages through many keys', options, async () => {
  await using store = await openStore(fresh())
  const keys = ['a', 'a/', 'a//b', 'a/b', 'a/b/c', 'a/bc', 'ab', '/', '/a', 'a.b', 'a/ü', 'ü/a']
  for (const key of keys) await store.set(key, bytes(key))
  for (const prefix of ['', 'a', 'a/', 'a/b', 'a/b/', 'a//', '/', 'a.', 'ü', 'ü/', 'a/ü', 'none/']) {
    const wanted = keys.filter((key) => key.startsWith(prefix))
    assert.deepEqual((await store.list({ prefix })).toSorted(), wanted.toSorted(), JSON.stringify(prefix))
  }
  const many = Array.from({ length: 5000 }, (_, i) => `n/${String(i * 7919).padStart(9, '0')}`)
  await Promise.all(many.map((key) => store.set(key, bytes('x'))))
  const paged: string[] = []
  for (let after: string | undefined; ;) {
    const page = await store.list({ prefix: 'n/', limit: 999, after })
    if (page.length === 0) break
    paged.push(...page)
    after = page.at(-1)
  }
  assert.deepEqual(paged, many.toSorted())
})

test('refuses values above what it, the bucket or the server takes, and a full bucket', options, async () => {
  await using store = await openStore({ ...fresh(), maxValueBytes: 1000 })
  await assert.rejects(store.set('k', new Uint8Array(1001)), { code: 'too-large' })
  await using wide = await openStore(fresh())
  await assert.rejects(wide.set('k', new Uint8Array(1_100_000)), { code: 'too-large' })
  await wide.set('k', new Uint8Array(1_000_000))
  assert.equal((await wide.get('k'))?.length, 1_000_000)
  const same = { ...fresh(), maxValueBytes: 100, maxBytes: 10_000 }
  await using narrow = await openStore(same)
  // Another that does not know of the bucket's limit.
  await using bound = await openStore({ ...same, maxValueBytes: undefined })
  await assert.rejects(bound.set('k', new Uint8Array(5000)), { code: 'too-large' })
  await assert.rejects(
    async () => {
      for (let i = 0; i < 1000; i++) await narrow.set(`k${i}`, new Uint8Array(100))
    },
    { code: 'overloaded' },
  )
  await narrow.delete('k0')
  await narrow.set('again', new Uint8Array(50))
})

test('options that are none are refused, and a server without JetStream is told of', own, async () => {
  for (const each of [
    { database: 'a.b' },
    { table: '' },
    { replicas: 0 },
    { sweepMs: -1 },
    { sweepMs: 2 ** 31 },
    { storage: 'disk' },
    { unknown: 1 },
  ]) {
    await assert.rejects(openStore({ ...fresh(), ...each } as never), { code: 'invalid-option' })
  }
  await using plain = await ServerProcess.start(natsServer(() => ({ jetstream: false })))
  await assert.rejects(openStore({ addresses: [`127.0.0.1:${plain.port}`] }), { code: 'unavailable' })
})

test('what a key was before does not come back in a bucket that keeps it', options, async () => {
  const place = fresh()
  await new Kvm(raw).create(place.database, { history: 5, max_bytes: place.maxBytes })
  await using store = await openStore(place)
  for (const each of ['1', '2', '3']) await store.set('k', bytes(each))
  assert.equal(await store.delete('k'), true)
  assert.equal(await store.get('k'), undefined)
  assert.equal(await store.delete('k'), false)
  await store.set('k', bytes('1'))
  await store.set('k', bytes('2'), { ttlMs: 1 })
  await until('it has expired', async () => (await store.get('k')) === undefined)
  await store.list()
  await until('it is taken out', async () => (await messagesOf(place.database)) === 0)
  assert.equal(await store.get('k'), undefined)
})

test('one list has all taken out that has expired, however much it is', options, async () => {
  const place = fresh()
  await using store = await openStore(place)
  const keys = Array.from({ length: 2500 }, (_, i) => `k${i}`)
  await Promise.all(keys.map((key) => store.set(key, bytes('x'), { ttlMs: 1 })))
  await store.set('stays', bytes('x'))
  await until('all have expired', async () => (await store.list()).length === 1)
  await until('they are gone', async () => (await messagesOf(place.database)) === 1, 20_000)
})

test('entries whose headers the client library does not read are found and listed', options, async () => {
  const place = fresh()
  await using store = await openStore(place)
  await store.set('a', bytes('1'))
  const header = 'NATS/1.0\r\nsome name: x\r\n\r\n'
  const subject = `$KV.${place.database}.users.theirs`
  const socket = createConnection(server.port, server.host)
  socket.write(`CONNECT {"headers":true,"verbose":false}\r\n`)
  socket.write(`HPUB ${subject} ${header.length} ${header.length + 1}\r\n${header}2\r\nPING\r\n`)
  try {
    await until('it is there', async () => (await messagesOf(place.database)) === 2)
  } finally {
    socket.destroy()
  }
  assert.equal(text(await store.get('theirs')), '2')
  assert.deepEqual(await store.list(), ['a', 'theirs'])
  assert.equal(await store.delete('theirs'), true)
  assert.equal(text(await store.get('a')), '1')
})

test('needs no more permissions than it is said to', own, async () => {
  const more = `authorization { users: [
    { user: bob, password: b, permissions: { publish: ["$JS.API.>", "$KV.shop.>"], subscribe: "_INBOX.>" } }
  ] }`
  await using narrow = await ServerProcess.start(natsServer(() => ({ more })))
  const login = { addresses: [`127.0.0.1:${narrow.port}`], user: 'bob', password: 'b', maxBytes: 1_000_000 }
  await using store = await openStore({ ...login, database: 'shop' })
  await store.set('k', bytes('1'), { ttlMs: 60_000 })
  assert.equal(text(await store.get('k')), '1')
  assert.deepEqual(await store.list(), ['k'])
  assert.equal(await store.delete('k'), true)
  await using other = await openStore({ ...login, database: 'bank' })
  await assert.rejects(other.set('k', bytes('1')), { code: 'forbidden' })
})
