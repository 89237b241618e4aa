import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Store } from '@micrograft/contracts'
import { Plugin, type PostgresStoreOptions } from '@micrograft/store-postgres'
import { impossibleSqlOptions, missing, postgres, ServerProcess } from '@micrograft/test-support'
import { componentContext, until } from '@micrograft/testing'
import { Client } from 'pg'
import { freshDatabase } from './support/database.js'

const make = Plugin.newFunc as unknown as (
  options: PostgresStoreOptions,
  context: ReturnType<typeof componentContext>,
) => Promise<Store>
const bytes = (text: string) => new TextEncoder().encode(text)
const text = (value: Uint8Array | undefined) => value && new TextDecoder().decode(value)
const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    ({ code }: { code?: string }) => code ?? 'no code',
  )

describe(
  'the postgres store, while an administrator is at work',
  { skip: missing(postgres) ?? false },
  () => {
    let server: ServerProcess
    before(async () => (server = await ServerProcess.start(postgres)))
    after(() => server[Symbol.asyncDispose]())

    const open = (options: PostgresStoreOptions) =>
      make({ timeoutMs: 3000, table: 'entries', ...options }, componentContext())
    async function connected(where: string = server.address): Promise<Client & AsyncDisposable> {
      const client = new Client({ connectionString: where })
      await client.connect()
      return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() })
    }
    async function ask(sql: string, where: string = server.address) {
      await using client = await connected(where)
      return (await client.query<Record<string, unknown>>(sql)).rows
    }
    const nameOf = (address: string) => new URL(address).pathname.slice(1)

    test('goes on at the next address where the first takes no writes, however many calls find out', async () => {
      await using standby = await freshDatabase(server)
      await using primary = await freshDatabase(server)
      for (const { address } of [standby, primary])
        await (await open({ addresses: [address] }))[Symbol.asyncDispose]()
      await ask(`ALTER DATABASE ${nameOf(standby.address)} SET default_transaction_read_only = on`)
      for (const calls of [1, 2, 3, 4]) {
        await using store = await open({ addresses: [standby.address, primary.address] })
        const told = Array.from({ length: calls }, () => codeOf(store.set('a', bytes('1'))))
        assert.deepEqual(await Promise.all(told), Array(calls).fill('unavailable'))
        await store.set('a', bytes('2'))
        assert.equal(text(await store.get('a')), '2')
      }
    })

    test('makes its table at the next address where the first takes no writes', async () => {
      await using standby = await freshDatabase(server)
      await using primary = await freshDatabase(server)
      await ask(`ALTER DATABASE ${nameOf(standby.address)} SET default_transaction_read_only = on`)
      await using store = await open({ addresses: [standby.address, primary.address] })
      await store.set('a', bytes('1'))
      await assert.rejects(open({ addresses: [standby.address] }), { code: 'unavailable', message: /writes/ })
    })

    test('goes on where the server has forgotten its prepared statements', async () => {
      await using database = await freshDatabase(server)
      await using store = await open({ addresses: [database.address], maxConnections: 1 })
      await store.set('a', bytes('1'))
      assert.equal(text(await store.get('a')), '1')
      // On the store's own connection: what a pooler between does, or DISCARD ALL.
      await ask(
        `CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN EXECUTE 'DEALLOCATE "micrograft-get"'; RETURN NEW; END $$;
       CREATE TRIGGER forget BEFORE INSERT ON entries FOR EACH ROW WHEN (NEW.key = 'forget') EXECUTE FUNCTION forget()`,
        database.address,
      )
      await store.set('forget', bytes('1'))
      for (let i = 0; i < 3; i++) assert.equal(text(await store.get('a')), '1')
      await ask("ALTER TABLE entries ALTER value TYPE text USING encode(value, 'escape')", database.address)
      await ask("ALTER TABLE entries ALTER value TYPE bytea USING decode(value, 'escape')", database.address)
      assert.equal(text(await store.get('a')), '1')
    })

    test('tells timeout where a lock, or the server itself, takes too long', async () => {
      await using database = await freshDatabase(server)
      const name = nameOf(database.address)
      for (const setting of ['lock_timeout', 'statement_timeout']) {
        await ask(`ALTER DATABASE ${name} RESET ALL; ALTER DATABASE ${name} SET ${setting} = '100ms'`)
        await using store = await open({ addresses: [database.address] })
        await store.set('a', bytes('1'))
        await using other = await connected(database.address)
        await other.query('BEGIN; LOCK TABLE entries IN EXCLUSIVE MODE')
        assert.equal(await codeOf(store.set('a', bytes('2'))), 'timeout', setting)
        await other.query('ROLLBACK')
        await store.set('a', bytes('3'))
      }
    })

    test('tells unavailable where its connection is ended, and takes another', async () => {
      await using database = await freshDatabase(server)
      await using store = await open({ addresses: [database.address] })
      await store.set('a', bytes('1'))
      await using other = await connected(database.address)
      await other.query('BEGIN; LOCK TABLE entries')
      const asked = codeOf(store.get('a'))
      await until('it waits', async () => (await waiting(other)) === 1)
      await other.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'micrograft'`,
      )
      assert.equal(await asked, 'unavailable')
      await other.query('ROLLBACK')
      assert.equal(text(await store.get('a')), '1')
    })

    test('tells forbidden where rights are withdrawn, and goes on when they are given back', async () => {
      await using database = await freshDatabase(server)
      await (await open({ addresses: [database.address] }))[Symbol.asyncDispose]()
      await ask(`CREATE USER moved PASSWORD 'other'; GRANT ALL ON entries TO moved`, database.address)
      const address = database.address.replace(/\/\/[^@]*@/, '//moved:other@')
      await using store = await open({ addresses: [address] })
      await store.set('a', bytes('1'))
      await ask('REVOKE ALL ON entries FROM moved', database.address)
      assert.equal(await codeOf(store.set('a', bytes('2'))), 'forbidden')
      await ask('GRANT ALL ON entries TO moved', database.address)
      await store.set('a', bytes('3'))
      await ask('REVOKE ALL ON entries FROM moved', database.address)
    })

    test('ends what waits for a connection when it is disposed', async () => {
      await using database = await freshDatabase(server)
      const store = await open({ addresses: [database.address], maxConnections: 1, timeoutMs: 20_000 })
      await using other = await connected(database.address)
      await other.query('BEGIN; LOCK TABLE entries')
      const told = Promise.all(['a', 'b', 'c'].map((key) => codeOf(store.get(key))))
      await until('one waits for the lock', async () => (await waiting(other)) === 1)
      await store[Symbol.asyncDispose]()
      const started = performance.now()
      assert.deepEqual(await told, ['closed', 'closed', 'closed'])
      assert.ok(performance.now() - started < 2000)
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
      await other.query('BEGIN; LOCK TABLE entries')
      const slow = store.get('a')
      await until('it waits', async () => (await waiting(other)) === 1)
      const told = Promise.all([codeOf(store.get('a')), codeOf(store.get('a'))])
      assert.deepEqual(await told, ['timeout', 'overloaded'])
      await other.query('ROLLBACK')
      assert.equal(text(await slow), '1')
      assert.equal(text(await store.get('a')), '1')
    })

    /** How many of the store's statements wait for a lock. */
    async function waiting(client: Client): Promise<number> {
      const { rows } = await client.query<{ count: number }>(
        `SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'micrograft' AND wait_event_type = 'Lock'`,
      )
      return rows[0]!.count
    }
  },
)

test('the postgres store refuses numbers and addresses that cannot be', async () => {
  for (const options of impossibleSqlOptions('postgres'))
    await assert.rejects(
      make(options, componentContext()),
      ({ code, message }: { code: string; message: string }) =>
        code === 'invalid-option' && !message.includes('secret'),
      JSON.stringify(options),
    )
})
