import assert from 'node:assert/strict'
import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Store } from '@micrograft/contracts'
import { Plugin, type MysqlStoreOptions } from '@micrograft/store-mysql'
import {
  certificate,
  freePort,
  mariadb,
  ownServer,
  serverFor,
  unusable,
  usableServer,
  type Certificate,
  type ServerKind,
  type TestServer,
} from '@micrograft/test-support'
import { componentContext, until } from '@micrograft/testing'
import { createConnection } from 'mysql2/promise'
import { freshDatabase, type Database } from './support/database.js'

const make = Plugin.newFunc as unknown as (
  options: MysqlStoreOptions,
  context: ReturnType<typeof componentContext>,
) => Promise<Store>
const bytes = (text: string) => new TextEncoder().encode(text)
const reason = unusable(mariadb)

/** MariaDB that also takes connections with TLS, where there is a certificate to show. */
function secure({ cert, key }: Certificate): ServerKind {
  return Object.create(mariadb, {
    arguments: {
      value: async (place: { folder: string; port: number }) => {
        const given = await mariadb.arguments(place)
        const files = { cert: join(place.folder, 'cert.pem'), key: join(place.folder, 'key.pem') }
        await writeFile(files.cert, cert)
        await writeFile(files.key, key, { mode: 0o600 })
        const { uid, gid } = mariadb.user ?? {}
        if (uid !== undefined && gid !== undefined) await chown(files.key, uid, gid)
        return [...given, `--ssl-cert=${files.cert}`, `--ssl-key=${files.key}`]
      },
    },
  }) as ServerKind
}

/** MariaDB that takes no statement of more bytes. @param maxAllowedPacket Asked at each start. */
function limited(maxAllowedPacket: () => number): ServerKind {
  return Object.create(mariadb, {
    arguments: {
      value: async (place: { folder: string; port: number }) => [
        ...(await mariadb.arguments(place)),
        `--max-allowed-packet=${maxAllowedPacket()}`,
      ],
    },
  }) as ServerKind
}

if (reason !== undefined) test('mysql store', { skip: reason })
else {
  let server: TestServer
  let database: Database
  let kind: ServerKind
  let shown: Certificate | undefined
  before(async () => {
    shown = await certificate()
    kind = shown ? secure(shown) : mariadb
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
  const open = (options: MysqlStoreOptions = {}) =>
    make({ addresses: [address()], timeoutMs: 3000, ...options }, componentContext())
  const ask = async (sql: string, where = address()) => {
    const connection = await createConnection(where)
    try {
      return (await connection.query(sql))[0] as Record<string, unknown>[]
    } finally {
      await connection.end()
    }
  }

  test('the mysql store takes the table of the service', async () => {
    await using store = await open()
    await store.set('a', bytes('1'))
    assert.equal((await ask('SELECT * FROM test')).length, 1)
  })

  test('the mysql store makes a table once where many ask for it at a time', async () => {
    for (let round = 0; round < 8; round++) {
      const opening = Array.from({ length: 8 }, () => open({ table: `round ${round}` }))
      const outcomes = await Promise.allSettled(opening)
      for (const each of outcomes) if (each.status === 'fulfilled') await each.value[Symbol.asyncDispose]()
      for (const each of outcomes) if (each.status === 'rejected') throw each.reason
    }
  })

  test('the mysql store makes no table where it must not, and says which is missing', async () => {
    await assert.rejects(open({ table: 'none', createTable: false }), {
      code: 'not-found',
      message: /createTable/,
    })
    await assert.rejects(open({ database: 'none' }), { code: 'not-found', message: /database/ })
    await ask('CREATE TABLE foreign_table (id int)')
    await assert.rejects(open({ table: 'foreign_table' }), { code: 'conflict' })
  })

  test('the mysql store needs no right to make tables where the table is there', async (t) => {
    const own = await ownServer(t, kind, server)
    if (!own) return
    await using owner = await open({ table: 'granted', addresses: [own.address] })
    await owner.set('a', bytes('1'))
    await ask(`CREATE USER reader@127.0.0.1 IDENTIFIED BY 'other'`, own.address)
    await ask('GRANT SELECT ON granted TO reader@127.0.0.1', own.address)
    await using store = await open({ table: 'granted', addresses: [as('reader:other', own)] })
    assert.equal((await store.get('a'))?.length, 1)
    await assert.rejects(store.set('a', bytes('2')), { code: 'forbidden' })
  })

  test('the mysql store sweeps what has expired out of the table, and only that', async () => {
    await using store = await open({ table: 'swept', sweepIntervalMs: 30 })
    const expiring = Array.from({ length: 30 }, (_, index) => `short ${index}`)
    await Promise.all(expiring.map((key) => store.set(key, bytes('1'), { ttlMs: 40 })))
    await store.set('long', bytes('1'), { ttlMs: 600_000 })
    await store.set('for ever', bytes('1'))
    await until('the rows are gone', async () => (await ask('SELECT 1 FROM swept')).length === 2)
    assert.deepEqual(await store.list(), ['for ever', 'long'])
  })

  test('the mysql store knows no difference between a prefix and a pattern, nor between case and case', async () => {
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

  test('the mysql store uses the next address where one does not answer', async () => {
    const dead = `mysql://micrograft:secret@127.0.0.1:${await freePort()}/micrograft`
    await using store = await open({ addresses: [dead, address()], table: 'several' })
    await store.set('a', bytes('1'))
    assert.equal((await store.get('a'))?.length, 1)
  })

  test('the mysql store refuses calls when too many wait, and opens no more connections than it may', async () => {
    await using store = await open({ table: 'waiting', maxConnections: 2, maxWaiting: 5 })
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => store.get('a')))
    const codes = outcomes.map((each) =>
      each.status === 'rejected' ? (each.reason as { code: string }).code : '',
    )
    assert.ok(codes.includes('overloaded'), codes.join())
    assert.ok(codes.filter((code) => code === '').length >= 5)
    const [{ count } = {}] = await ask(
      'SELECT COUNT(*) AS count FROM information_schema.processlist WHERE db = "micrograft" AND id <> CONNECTION_ID()',
    )
    assert.ok((count as number) <= 2, `${String(count)} connections`)
  })

  test('the mysql store refuses a value above its limit, and takes one of the limit', async () => {
    await using store = await open({ table: 'sizes', maxValueBytes: 1000 })
    await assert.rejects(store.set('a', new Uint8Array(1001)), { code: 'too-large' })
    await store.set('a', new Uint8Array(1000))
    assert.equal((await store.get('a'))?.length, 1000)
  })

  test('the mysql store refuses what is above max_allowed_packet before it is sent, and takes what is below', async (t) => {
    const own = await serverFor(
      t,
      limited(() => 65_536),
    )
    if (!own) return
    await using store = await open({ table: 'packets', maxConnections: 4, addresses: [own.address] })
    const connections = async () => {
      const [row] = await ask("SHOW GLOBAL STATUS LIKE 'Connections'", own.address)
      return Number(row?.['Value'])
    }
    await Promise.all(Array.from({ length: 8 }, () => store.get('a')))
    const before = await connections()
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, () => store.set('a', new Uint8Array(65_536))),
    )
    for (const each of outcomes) {
      const { code, message } = (each as PromiseRejectedResult).reason as { code: string; message: string }
      assert.match(
        `${code}: ${message}`,
        /^too-large: .* value of 65536 bytes,.* max_allowed_packet of 65536; split/,
      )
    }
    // Around the limit as well it is never the server that refuses.
    for (let size = 65_536 - 128; size < 65_536; size++)
      await store.set('a', new Uint8Array(size)).catch(({ message }) => assert.match(message, /beside it/))
    // The server ends the connection of who sends it more; the one more is what asked.
    assert.equal((await connections()) - before, 1)
    for (const [key, ttlMs] of [
      ['a', undefined],
      ['k'.repeat(512), 600_000],
    ] as const) {
      const value = new Uint8Array(65_536 - 128 - key.length).fill(7)
      await store.set(key, value, { ttlMs })
      assert.deepEqual(await store.get(key), value)
    }
  })

  test('the mysql store asks for max_allowed_packet once for each connection, not for each call', async (t) => {
    const own = await ownServer(t, kind, server)
    if (!own) return
    await using store = await open({ table: 'asked', maxConnections: 1, addresses: [own.address] })
    const selects = async () => {
      const [row] = await ask("SHOW GLOBAL STATUS LIKE 'Com_select'", own.address)
      return Number(row?.['Value'])
    }
    await store.get('a')
    const before = await selects()
    for (let count = 0; count < 20; count++) await store.get('a')
    assert.equal((await selects()) - before, 20)
  })

  test('the mysql store holds to the limit of the server that it has come to, also of the same one restarted', async (t) => {
    let limit = 65_536
    const own = await serverFor(
      t,
      limited(() => limit),
    )
    if (!own) return
    const table = 'limits'
    const value = new Uint8Array(200_000)
    const addresses = [own.address, address()]
    await using _other = await open({ table })
    await using store = await open({ table, addresses })
    const taken = () =>
      store.set('a', value).then(
        () => true,
        ({ code }) => (code === 'too-large' ? code : false),
      )
    assert.equal(await taken(), 'too-large')
    await own.kill()
    await until('the other server takes it', async () => (await taken()) === true)
    limit = 1_048_576
    await own.start()
    await using restarted = await open({ table, addresses: [own.address] })
    await restarted.set('a', value)
    await own.kill()
    limit = 65_536
    await own.start()
    await until('the limit is the new one', async () =>
      restarted.set('a', value).then(
        () => assert.fail('it was taken'),
        ({ code }) => code === 'too-large',
      ),
    )
  })

  test('the mysql store gives up a connection whose server does not tell its limit in time', async (t) => {
    const own = await ownServer(t, kind, server)
    if (!own) return
    await ask(`CREATE USER slow@127.0.0.1 IDENTIFIED BY 'other'`, own.address)
    await ask('GRANT CREATE, SELECT ON micrograft.* TO slow@127.0.0.1', own.address)
    const addresses = [as('slow:other', own)]
    await using store = await open({ table: 'slow', timeoutMs: 1000, maxConnections: 1, addresses })
    const codeOf = () =>
      store.get('a').then(
        () => '',
        (error: { readonly code: string }) => error.code,
      )
    // Done after a login that has been answered, before the first statement.
    await ask(`SET GLOBAL init_connect = 'DO SLEEP(2)'`, own.address)
    try {
      await ask('KILL USER slow@127.0.0.1', own.address)
      await until('no answer in time', async () => (await codeOf()) === 'timeout')
    } finally {
      await ask(`SET GLOBAL init_connect = ''`, own.address)
    }
    await until('a connection is there again', async () => (await codeOf()) === '')
  })

  test('the mysql store encrypts, and believes only in certificates that it knows', async (t) => {
    if (!shown) return t.skip('there is no openssl on this machine')
    const own = await ownServer(t, kind, server)
    if (!own) return
    const addresses = [own.address]
    await using store = await open({ table: 'secure', tls: { ca: shown.cert }, addresses })
    await store.set('a', bytes('1'))
    await ask(`CREATE USER careful@127.0.0.1 IDENTIFIED BY 'other' REQUIRE SSL`, own.address)
    await ask('GRANT ALL ON micrograft.* TO careful@127.0.0.1', own.address)
    const careful = [as('careful:other', own)]
    await using encrypted = await open({ table: 'secure', tls: { ca: shown.cert }, addresses: careful })
    assert.equal((await encrypted.get('a'))?.length, 1)
    await assert.rejects(open({ table: 'secure', addresses: careful }), { code: 'unauthenticated' })
    await assert.rejects(open({ table: 'secure', tls: true, addresses }), {
      code: 'unavailable',
      message: /certificate/,
    })
    await assert.rejects(open({ table: 'secure', addresses: [`${own.address}?ssl-mode=verify_identity`] }), {
      code: 'unavailable',
    })
  })

  test('the mysql store refuses options that are none, without telling the password', async () => {
    const hidden = (error: { code: string; message: string }) =>
      error.code === 'invalid-option' && !error.message.includes('secret')
    for (const wrong of [
      'http://u:secret@h',
      'mysql://u:secret@h?ssl=1',
      'mysql://u:secret@h?ssl-mode=preferred',
      '',
    ])
      await assert.rejects(open({ addresses: [wrong] }), hidden, wrong)
    await assert.rejects(open({ addresses: [] }), { code: 'invalid-option' })
    await assert.rejects(open({ table: '' }), { code: 'invalid-option' })
    await assert.rejects(open({ tabel: 'a' } as never), { code: 'invalid-option' })
  })
}
