import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Store } from '@micrograft/contracts'
import { Plugin, type MysqlStoreOptions } from '@micrograft/store-mysql'
import { impossibleSqlOptions, mariadb, missing, ServerProcess } from '@micrograft/test-support'
import { componentContext, until } from '@micrograft/testing'
import { createConnection, type Connection } from 'mysql2/promise'
import { freshDatabase } from './support/database.js'

const make = Plugin.newFunc as unknown as (
  options: MysqlStoreOptions,
  context: ReturnType<typeof componentContext>,
) => Promise<Store>
const bytes = (text: string) => new TextEncoder().encode(text)
const text = (value: Uint8Array | undefined) => value && new TextDecoder().decode(value)
const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    ({ code }: { code?: string }) => code ?? 'no code',
  )

describe('the mysql store, while an administrator is at work', { skip: missing(mariadb) ?? false }, () => {
  let server: ServerProcess
  before(async () => (server = await ServerProcess.start(mariadb)))
  after(() => server[Symbol.asyncDispose]())

  const open = (options: MysqlStoreOptions) =>
    make({ timeoutMs: 3000, table: 'entries', ...options }, componentContext())
  async function connected(where: string = server.address): Promise<Connection & AsyncDisposable> {
    const connection = await createConnection({ uri: where, multipleStatements: true })
    return Object.assign(connection, { [Symbol.asyncDispose]: () => connection.end() })
  }
  async function ask(sql: string, where: string = server.address) {
    await using connection = await connected(where)
    return (await connection.query(sql))[0] as Record<string, unknown>[]
  }
  /** As another user, who is made, and may do what is said. */
  async function as(user: string, address: string, rights: string, more = ''): Promise<string> {
    await ask(
      `CREATE USER ${user}@127.0.0.1 IDENTIFIED BY 'other' ${more}; GRANT ${rights} TO ${user}@127.0.0.1`,
      address,
    )
    return address.replace(/\/\/[^@]*@/, `//${user}:other@`)
  }
  /** The connections that run or wait with a statement on the table. */
  async function busy(connection: Connection): Promise<number[]> {
    const [rows] = await connection.query(
      `SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND info LIKE '%entries%'`,
    )
    return (rows as { id: number }[]).map(({ id }) => id)
  }

  test('goes on at the next address where the first takes no writes, however many calls find out', async () => {
    await using database = await freshDatabase(server)
    const second = database.address
    const first = await as('writer', second, 'SELECT, INSERT, UPDATE, DELETE, CREATE ON *.*')
    await (await open({ addresses: [second] }))[Symbol.asyncDispose]()
    await ask('SET GLOBAL read_only = 1')
    try {
      for (const calls of [1, 2, 3, 4]) {
        await using store = await open({ addresses: [first, second] })
        const told = Array.from({ length: calls }, () => codeOf(store.set('a', bytes('1'))))
        assert.deepEqual(await Promise.all(told), Array(calls).fill('unavailable'))
        await store.set('a', bytes('2'))
        assert.equal(text(await store.get('a')), '2')
      }
      await using store = await open({ addresses: [first, second], table: 'new_entries' })
      await store.set('a', bytes('1'))
    } finally {
      await ask('SET GLOBAL read_only = 0')
    }
  })

  test('tells unavailable where its connection is ended, and takes another', async () => {
    await using database = await freshDatabase(server)
    await using store = await open({ addresses: [database.address] })
    await store.set('a', bytes('1'))
    await using other = await connected(database.address)
    await other.query('LOCK TABLES entries WRITE')
    await using third = await connected()
    const asked = codeOf(store.get('a'))
    await until('it waits', async () => (await busy(third)).length === 1)
    for (const id of await busy(third)) await third.query(`KILL ${id}`)
    assert.equal(await asked, 'unavailable')
    await other.query('UNLOCK TABLES')
    for (let i = 0; i < 3; i++) assert.equal(text(await store.get('a')), '1')
  })

  test('tells timeout where a lock takes too long, and whose statement was ended', async () => {
    await using database = await freshDatabase(server)
    await ask('SET GLOBAL innodb_lock_wait_timeout = 1')
    await using store = await open({ addresses: [database.address] })
    await store.set('a', bytes('1'))
    await using other = await connected(database.address)
    await other.query('BEGIN')
    await other.query('UPDATE entries SET expires_at = NULL')
    await other.query('SELECT * FROM entries FOR UPDATE')
    assert.equal(await codeOf(store.set('a', bytes('2'))), 'timeout')
    await ask('SET GLOBAL innodb_lock_wait_timeout = 50')
    await using patient = await open({ addresses: [database.address] })
    const asked = codeOf(patient.set('a', bytes('3')))
    await using third = await connected()
    await until('it waits', async () => (await busy(third)).length === 1)
    for (const id of await busy(third)) await third.query(`KILL QUERY ${id}`)
    assert.equal(await asked, 'timeout')
    await other.query('ROLLBACK')
    await patient.set('a', bytes('4'))
  })

  test('tells overloaded where the server has no room for connections or prepared statements', async () => {
    await using database = await freshDatabase(server)
    await (await open({ addresses: [database.address] }))[Symbol.asyncDispose]()
    const address = await as('few', database.address, 'ALL ON *.*', 'WITH MAX_USER_CONNECTIONS 1')
    await using narrow = await open({ addresses: [address], maxConnections: 4 })
    const told = await Promise.all(Array.from({ length: 8 }, () => codeOf(narrow.get('a'))))
    assert.deepEqual([...new Set(told)].sort(), ['overloaded', undefined])

    await using store = await open({ addresses: [database.address] })
    await ask('SET GLOBAL max_prepared_stmt_count = 0')
    try {
      assert.equal(await codeOf(store.get('a')), 'overloaded')
    } finally {
      await ask('SET GLOBAL max_prepared_stmt_count = 16382')
    }
    await store.get('a')
  })

  test('does not leave an address for being busy there', async () => {
    await using first = await freshDatabase(server)
    await using second = await freshDatabase(server)
    await using near = await open({ addresses: [first.address] })
    await near.set('a', bytes('1'))
    await (await open({ addresses: [second.address] }))[Symbol.asyncDispose]()
    await using store = await open({
      addresses: [first.address, second.address],
      maxConnections: 1,
      maxWaiting: 1,
      timeoutMs: 1000,
    })
    await using other = await connected(first.address)
    await other.query('LOCK TABLES entries WRITE')
    const slow = store.get('a')
    await using third = await connected()
    await until('it waits', async () => (await busy(third)).length === 1)
    const told = Promise.all([codeOf(store.get('a')), codeOf(store.get('a'))])
    assert.deepEqual(await told, ['timeout', 'overloaded'])
    await other.query('UNLOCK TABLES')
    assert.equal(text(await slow), '1')
    assert.equal(text(await store.get('a')), '1')
  })

  test('tells what its account may not any more, and goes on when it may again', async () => {
    await using database = await freshDatabase(server)
    await (await open({ addresses: [database.address] }))[Symbol.asyncDispose]()
    const name = new URL(database.address).pathname.slice(1)
    const address = await as('moved', database.address, `SELECT ON ${name}.entries`)
    await using store = await open({ addresses: [address] })
    assert.equal(await codeOf(store.set('a', bytes('1'))), 'forbidden')
    await ask(`GRANT INSERT, UPDATE ON ${name}.entries TO moved@127.0.0.1`)
    await store.set('a', bytes('1'))
    await ask(`REVOKE INSERT, UPDATE ON ${name}.entries FROM moved@127.0.0.1`)
    assert.equal(await codeOf(store.set('a', bytes('2'))), 'forbidden')
    await ask('ALTER USER moved@127.0.0.1 ACCOUNT LOCK')
    assert.equal(await codeOf(open({ addresses: [address] })), 'unauthenticated')
    await ask('ALTER USER moved@127.0.0.1 ACCOUNT UNLOCK')
    assert.equal(text(await store.get('a')), '1')
  })
})

test('the mysql store refuses numbers and addresses that cannot be', async () => {
  for (const options of impossibleSqlOptions('mysql'))
    await assert.rejects(
      make(options, componentContext()),
      ({ code, message }: { code: string; message: string }) =>
        code === 'invalid-option' && !message.includes('secret'),
      JSON.stringify(options),
    )
})
