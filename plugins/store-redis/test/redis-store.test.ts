import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import type { Store } from '@micrograft/contracts'
import { Plugin } from '@micrograft/store-redis'
import {
  freePort,
  missing,
  redisServer,
  serverFor,
  unusable,
  usableServer,
  type TestServer,
} from '@micrograft/test-support'
import { componentContext, until } from '@micrograft/testing'
import { command } from './support/server.js'

const run = promisify(execFile)
const bytes = (text: string) => new TextEncoder().encode(text)
const text = (value: Uint8Array | undefined) => value && new TextDecoder().decode(value)

const kind = redisServer()
const skip = unusable(kind) ?? false
let server: TestServer
/** What other runs have left on the server is under another. */
const ours = `${randomUUID()}:`
before(async () => {
  if (skip === false) server = await usableServer(kind)
})
after(() => server?.[Symbol.asyncDispose]())

async function open(options: object = {}): Promise<Store> {
  const all = { addresses: [server.address], prefix: ours, ...options }
  return Plugin.newFunc(all as never, componentContext())
}

test('two stores of one table see the same entries, and of another table none', { skip }, async () => {
  await using first = await open({ table: 'shared' })
  await using second = await open({ table: 'shared' })
  await using other = await open({ table: 'shared-not' })
  await first.set('k', bytes('1'))
  assert.equal(text(await second.get('k')), '1')
  assert.equal(await other.get('k'), undefined)
  assert.deepEqual(await other.list(), [])
})

test(
  'takes the name of the service for a table, and keeps plain keys under the prefix',
  { skip },
  async () => {
    await using store = await open({ prefix: `${ours}p:` })
    await store.set('k', bytes('1'))
    assert.equal(await command(server, 'GET', `${ours}p:test:k`), '$1\r\n1')
  },
)

test('lists prefixes literally, whatever a pattern would make of them', { skip }, async () => {
  await using store = await open({ table: 'patterns' })
  for (const key of ['a*b', 'axb', 'a?c', 'a[x]', '\\d', 'ab']) await store.set(key, bytes(''))
  assert.deepEqual(await store.list({ prefix: 'a*' }), ['a*b'])
  assert.deepEqual(await store.list({ prefix: 'a?' }), ['a?c'])
  assert.deepEqual(await store.list({ prefix: 'a[x' }), ['a[x]'])
  assert.deepEqual(await store.list({ prefix: '\\' }), ['\\d'])
  assert.deepEqual(await store.list({ prefix: 'ab', suffix: 'b' }), ['ab'])
})

test('lists more keys than one scan gives, page by page, each once', { skip }, async () => {
  await using store = await open({ table: 'many' })
  const keys = Array.from({ length: 3500 }, (_, index) => `k${String(index).padStart(5, '0')}`)
  await Promise.all(keys.map((key) => store.set(key, bytes('1'))))
  const found: string[] = []
  for (;;) {
    const page = await store.list({ limit: 1000, after: found.at(-1) })
    if (page.length === 0) break
    found.push(...page)
  }
  assert.deepEqual(found, keys)
  assert.deepEqual(await store.list({ limit: 3 }), keys.slice(0, 3))
})

test(
  'refuses a key that is no text with bad-request, and a value above its limit with too-large',
  { skip },
  async () => {
    await using store = await open({ table: 'sizes', maxValueBytes: 100 })
    await assert.rejects(store.set('\ud800', bytes('1')), { code: 'bad-request' })
    await store.set('k', new Uint8Array(100))
    await assert.rejects(store.set('k', new Uint8Array(101)), { code: 'too-large', message: /maxValueBytes/ })
    assert.equal((await store.get('k'))?.length, 100)
  },
)

test('keeps an entry for as long as ttlMs says, however long that is', { skip }, async () => {
  await using store = await open({ table: 'expiry', prefix: `${ours}p:` })
  await store.set('short', bytes('1'), { ttlMs: 0.5 })
  await until('it has expired', async () => (await store.get('short')) === undefined)
  await store.set('long', bytes('1'), { ttlMs: Number.MAX_VALUE })
  assert.equal(text(await store.get('long')), '1')
  await store.set('day', bytes('1'), { ttlMs: 86_400_000 })
  const left = Number((await command(server, 'PTTL', `${ours}p:expiry:day`)).slice(1))
  assert.ok(left > 86_300_000 && left <= 86_400_000, `${left}`)
})

test(
  'logs in with user and password from the address or the options, and says what is wrong',
  { skip: missing(kind) ?? false },
  async (t) => {
    const server = await serverFor(t, kind)
    if (!server) return
    const addresses = [`127.0.0.1:${server.port}`]
    const login = { addresses, prefix: undefined, username: 'ann', password: 'p@ss' }
    await command(server, 'ACL', 'SETUSER', 'ann', 'on', '>p@ss', '~micrograft:*', '+@all')
    await using byOptions = await open({ ...login, table: 'login' })
    await byOptions.set('k', bytes('1'))
    await using byAddress = await open({
      addresses: [`redis://ann:p%40ss@127.0.0.1:${server.port}/0`],
      prefix: undefined,
      table: 'login',
    })
    assert.equal(text(await byAddress.get('k')), '1')
    await assert.rejects(open({ ...login, password: 'secret-guess' }), (error: Error) => {
      assert.equal((error as { code?: string }).code, 'unauthenticated')
      assert.doesNotMatch(error.message, /secret-guess/)
      return true
    })
    await using elsewhere = await open({ ...login, prefix: 'other:' })
    await assert.rejects(elsewhere.set('k', bytes('1')), { code: 'forbidden' })
  },
)

test('uses the database that it is told, as a number or as the text of a flag', { skip }, async () => {
  await using first = await open({ database: 1, table: 'd' })
  await using second = await open({ database: '1', table: 'd' })
  await using third = await open({ addresses: [`${server.address.replace(/\/$/, '')}/2`], table: 'd' })
  await first.set('k', bytes('1'))
  assert.equal(text(await second.get('k')), '1')
  assert.equal(await third.get('k'), undefined)
  await assert.rejects(open({ database: 9999 }), { code: 'invalid-option' })
})

test('speaks TLS, verifies the server, and shows a certificate of its own', async (t) => {
  if (skip) return t.skip(skip)
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-tls-'))
  t.after(() => rm(folder, { recursive: true }))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await run('openssl', [...kind, '-days', '2', '-keyout', key, '-out', cert, ...subject])
  const port = await freePort()
  const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert]
  const secure = await serverFor(t, redisServer(['--tls-port', String(port), ...files]))
  if (!secure) return
  const pem = { ca: await readFile(cert), cert: await readFile(cert), key: await readFile(key) }
  const addresses = [`rediss://localhost:${port}`]
  await using store = await open({ addresses, tls: pem })
  await store.set('k', bytes('1'))
  assert.equal(text(await store.get('k')), '1')
  // The option alone turns it on.
  await using second = await open({ addresses: [`127.0.0.1:${port}`], tls: pem })
  assert.equal(text(await second.get('k')), '1')
  await assert.rejects(open({ addresses, connectTimeoutMs: 500 }), {
    code: 'unavailable',
    message: /certificate/,
  })
  await assert.rejects(open({ addresses, tls: { ca: pem.ca }, connectTimeoutMs: 500 }), {
    code: 'unavailable',
  })
})

test('goes to the first of several addresses that is a primary, and to the next when that is lost', async (t) => {
  if (skip) return t.skip(skip)
  const primary = await serverFor(t, redisServer())
  const replica = await serverFor(t, redisServer(['--replicaof', `127.0.0.1 ${primary?.port}`]))
  if (!primary || !replica) return
  const addresses = [await freePort(), replica.port, primary.port].map((port) => `127.0.0.1:${port}`)
  await using store = await open({ addresses, commandTimeoutMs: 10_000, connectTimeoutMs: 10_000 })
  await store.set('k', bytes('1'))
  const copied = () => command(replica, 'GET', `${ours}test:k`)
  await until('the replica has it', async () => (await copied()) === '$1\r\n1', 15_000)
  await primary.kill()
  await command(replica, 'REPLICAOF', 'NO', 'ONE')
  await until(
    'it goes on',
    () =>
      store
        .set('k', bytes('2'))
        .then(() => true)
        .catch(() => false),
    15_000,
  )
  assert.equal(await copied(), '$1\r\n2')
  // One that becomes a replica while it is used is left.
  await primary.start()
  await command(replica, 'REPLICAOF', '127.0.0.1', String(primary.port))
  await until(
    'it is with the primary',
    () =>
      store
        .set('k', bytes('3'))
        .then(() => true)
        .catch(() => false),
    15_000,
  )
  assert.equal(await command(primary, 'GET', `${ours}test:k`), '$1\r\n3')
})

test(
  'rejects with unavailable in time where no server is, and gives up at once where it is told to',
  { skip },
  async () => {
    const addresses = [`127.0.0.1:${await freePort()}`]
    await assert.rejects(open({ addresses, connectTimeoutMs: 200 }), {
      code: 'unavailable',
      message: /ECONNREFUSED/,
    })
    const controller = new AbortController()
    const reason = new Error('enough')
    const opening = Plugin.newFunc({ addresses } as never, {
      ...componentContext(),
      signal: controller.signal,
    })
    controller.abort(reason)
    await assert.rejects(Promise.resolve(opening), reason)
  },
)

test('refuses options that are none, without telling what may be a password', { skip }, async () => {
  for (const options of [
    { addresses: [] },
    { addresses: ['http://secret@127.0.0.1'] },
    { addresses: ['redis://user:%zzsecret@127.0.0.1'] },
    { addresses: ['127.0.0.1:99999999'] },
    { database: 'secret' },
    { database: -1 },
    { table: 'a b' },
    { commandTimeoutMs: 0 },
    { maxValueBytes: 1.5 },
    { adresses: [] },
  ]) {
    await assert.rejects(open(options), (error: Error) => {
      assert.equal((error as { code?: string }).code, 'invalid-option', JSON.stringify(options))
      assert.ok('database' in options || !error.message.includes('secret'), error.message)
      return true
    })
  }
})

test('connects over a unix socket', async (t) => {
  if (skip) return t.skip(skip)
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-redis-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'redis.sock')
  if (!(await serverFor(t, redisServer(['--unixsocket', path])))) return
  await using store = await open({ addresses: [`unix:${path}`] })
  await store.set('k', bytes('1'))
  assert.equal(text(await store.get('k')), '1')
})

test('lets the process end once it is disposed', { skip }, async () => {
  const script = `
    import { Plugin } from '@micrograft/store-redis'
    import { componentContext } from '@micrograft/testing'
    const store = await Plugin.newFunc({ addresses: ['${server.address}'] }, componentContext())
    await store.set('k', new Uint8Array(1))
    await store[Symbol.asyncDispose]()`
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: import.meta.dirname,
    timeout: 10_000,
  })
  assert.equal(stdout, '')
})

test('the three plugins for Redis have the same connection', async () => {
  for (const name of ['redis-link.ts', 'redis-connection.ts', 'redis-options.ts', 'redis-error.ts']) {
    const [store, ...others] = await Promise.all(
      ['store', 'broker', 'registry'].map((each) =>
        readFile(new URL(`../../${each}-redis/src/${name}`, import.meta.url), 'utf8'),
      ),
    )
    for (const other of others) assert.equal(other, store, name)
  }
})
