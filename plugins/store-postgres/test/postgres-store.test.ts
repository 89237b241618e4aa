import assert from 'node:assert/strict'
import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Store } from '@micrograft/contracts'
import { Plugin, type PostgresStoreOptions } from '@micrograft/store-postgres'
import {
  certificate,
  freePort,
  postgres,
  ownServer,
  unusable,
  usableServer,
  type Certificate,
  type ServerKind,
  type TestServer,
} from '@micrograft/test-support'
import { componentContext, until } from '@micrograft/testing'
import { Client } from 'pg'
import { freshDatabase, type Database } from './support/database.js'

const make = Plugin.newFunc as unknown as (
  options: PostgresStoreOptions,
  context: ReturnType<typeof componentContext>,
) => Promise<Store>
const bytes = (text: string) => new TextEncoder().encode(text)
const reason = unusable(postgres)

/** PostgreSQL that also takes connections with TLS, where there is a certificate to show. */
function secure({ cert, key }: Certificate): ServerKind {
  return Object.create(postgres, {
    arguments: {
      value: async (place: { folder: string; port: number }) => {
        const given = await postgres.arguments(place)
        const files = { cert: join(place.folder, 'cert.pem'), key: join(place.folder, 'key.pem') }
        await writeFile(files.cert, cert)
        await writeFile(files.key, key, { mode: 0o600 })
        const { uid, gid } = postgres.user ?? {}
        if (uid !== undefined && gid !== undefined) await chown(files.key, uid, gid)
        const settings = ['ssl=on', `ssl_cert_file=${files.cert}`, `ssl_key_file=${files.key}`]
        return [...given, ...settings.flatMap((each) => ['-c', each])]
      },
    },
  }) as ServerKind
}

if (reason !== undefined) test('postgres store', { skip: reason })
else {
  let server: TestServer
  let database: Database
  let kind: ServerKind
  let shown: Certificate | undefined
  before(async () => {
    shown = await certificate()
    kind = shown ? secure(shown) : postgres
    server = await usableServer(kind)
    database = await freshDatabase(server)
  })
  after(async () => {
    await database[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })

  const address = () => database.address
  /** As another user. */
  const as = (account: string, { address }: TestServer) => address.replace(/\/\/[^@]*@/, `//${account}@`)
  const open = (options: PostgresStoreOptions = {}) =>
    make({ addresses: [address()], timeoutMs: 3000, ...options }, componentContext())
  const ask = async (sql: string, where = address()) => {
    const client = new Client({ connectionString: where })
    await client.connect()
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows
    } finally {
      await client.end()
    }
  }

  test('the postgres store takes the table of the service', async () => {
    await using store = await open()
    await store.set('a', bytes('1'))
    assert.equal((await ask('SELECT * FROM test')).length, 1)
  })

  test('the postgres store makes a table once where many ask for it at a time', async () => {
    for (let round = 0; round < 8; round++) {
      const opening = Array.from({ length: 8 }, () => open({ table: `round ${round}` }))
      const outcomes = await Promise.allSettled(opening)
      for (const each of outcomes) if (each.status === 'fulfilled') await each.value[Symbol.asyncDispose]()
      for (const each of outcomes) if (each.status === 'rejected') throw each.reason
    }
  })

  test('the postgres store makes no table where it must not, and says which is missing', async () => {
    await assert.rejects(open({ table: 'none', createTable: false }), {
      code: 'not-found',
      message: /createTable/,
    })
    await assert.rejects(open({ database: 'none' }), { code: 'not-found', message: /database/ })
    await ask('CREATE TABLE foreign_table (id int)')
    await assert.rejects(open({ table: 'foreign_table' }), { code: 'conflict' })
  })

  test('the postgres store needs no right to make tables where the table is there', async (t) => {
    const own = await ownServer(t, kind, server)
    if (!own) return
    await using owner = await open({ table: 'granted', addresses: [own.address] })
    await owner.set('a', bytes('1'))
    await ask(`CREATE USER reader PASSWORD 'other'`, own.address)
    await ask('REVOKE CREATE ON SCHEMA public FROM PUBLIC', own.address)
    await ask('GRANT SELECT ON granted TO reader', own.address)
    await using store = await open({ table: 'granted', addresses: [as('reader:other', own)] })
    assert.equal((await store.get('a'))?.length, 1)
    await assert.rejects(store.set('a', bytes('2')), { code: 'forbidden' })
  })

  test('the postgres store sweeps what has expired out of the table, and only that', async () => {
    await using store = await open({ table: 'swept', sweepIntervalMs: 30 })
    const expiring = Array.from({ length: 30 }, (_, index) => `short ${index}`)
    await Promise.all(expiring.map((key) => store.set(key, bytes('1'), { ttlMs: 40 })))
    await store.set('long', bytes('1'), { ttlMs: 600_000 })
    await store.set('for ever', bytes('1'))
    await until('the rows are gone', async () => (await ask('SELECT 1 FROM swept')).length === 2)
    assert.deepEqual(await store.list(), ['for ever', 'long'])
  })

  test('the postgres store knows no difference between a prefix and a pattern, nor between case and case', async () => {
    await using store = await open({ table: 'patterns' })
    for (const key of ['a%b', 'a_b', 'aXb', 'A%b', 'a\\b', "a'b", 'ä', 'a\u0308'])
      await store.set(key, bytes(key))
    assert.deepEqual(await store.list({ prefix: 'a%' }), ['a%b'])
    assert.deepEqual(await store.list({ prefix: 'a_' }), ['a_b'])
    assert.deepEqual(await store.list({ prefix: "a'" }), ["a'b"])
    assert.deepEqual(await store.list({ suffix: '\\b' }), ['a\\b'])
    assert.deepEqual(await store.list({ suffix: 'longer than any key' }), [])
    assert.deepEqual(await store.list({ prefix: 'a', after: 'a_b', limit: 2 }), ['a\u0308'])
    assert.equal(await store.get('a '), undefined)
    await assert.rejects(store.get('\ud800'), { code: 'bad-request' })
  })

  test('the postgres store uses the next address where one does not answer', async () => {
    const dead = `postgres://micrograft:secret@127.0.0.1:${await freePort()}/postgres`
    await using store = await open({ addresses: [dead, address()], table: 'several' })
    await store.set('a', bytes('1'))
    assert.equal((await store.get('a'))?.length, 1)
  })

  test('the postgres store refuses calls when too many wait, and opens no more connections than it may', async () => {
    await using store = await open({ table: 'waiting', maxConnections: 2, maxWaiting: 5 })
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => store.get('a')))
    const codes = outcomes.map((each) =>
      each.status === 'rejected' ? (each.reason as { code: string }).code : '',
    )
    assert.ok(codes.includes('overloaded'), codes.join())
    assert.ok(codes.filter((code) => code === '').length >= 5)
    const [{ count } = {}] = await ask(
      `SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'micrograft' AND query LIKE '%"waiting"%'`,
    )
    assert.ok((count as number) > 0 && (count as number) <= 2, `${String(count)} connections`)
  })

  test('the postgres store refuses a value above its limit, and takes one of the limit', async () => {
    await using store = await open({ table: 'sizes', maxValueBytes: 1000 })
    await assert.rejects(store.set('a', new Uint8Array(1001)), { code: 'too-large' })
    await store.set('a', new Uint8Array(1000))
    assert.equal((await store.get('a'))?.length, 1000)
  })

  test('the postgres store encrypts, and believes only in certificates that it knows', async (t) => {
    if (!shown) return t.skip('there is no openssl on this machine')
    const own = await ownServer(t, kind, server)
    if (!own) return
    const addresses = [own.address]
    await using store = await open({ table: 'secure', tls: { ca: shown.cert }, addresses })
    await store.set('a', bytes('1'))
    const [{ count } = {}] = await ask(
      `SELECT count(*)::int FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name = 'micrograft'`,
      own.address,
    )
    assert.ok((count as number) > 0)
    await assert.rejects(open({ table: 'secure', tls: true, addresses }), {
      code: 'unavailable',
      message: /certificate/,
    })
    await assert.rejects(open({ table: 'secure', addresses: [`${own.address}?sslmode=verify-full`] }), {
      code: 'unavailable',
    })
  })

  test('the postgres store refuses options that are none, without telling the password', async () => {
    const hidden = (error: { code: string; message: string }) =>
      error.code === 'invalid-option' && !error.message.includes('secret')
    for (const wrong of [
      'http://u:secret@h',
      'postgres://u:secret@h?ssl=1',
      'postgres://u:secret@h?sslmode=prefer',
      '',
    ])
      await assert.rejects(open({ addresses: [wrong] }), hidden, wrong)
    await assert.rejects(open({ addresses: [] }), { code: 'invalid-option' })
    await assert.rejects(open({ table: '' }), { code: 'invalid-option' })
    await assert.rejects(open({ tabel: 'a' } as never), { code: 'invalid-option' })
  })
}
