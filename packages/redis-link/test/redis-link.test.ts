import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import type { RedisOptions } from '@micrograft/redis-link'
import {
  freePort,
  missing,
  redisCommand,
  redisServer,
  serverFor,
  unusable,
  usableServer,
  type TestServer,
} from '@micrograft/test-support'
import { until } from '@micrograft/testing'
import { ask, codeOf, openLink } from './support/links.js'

const run = promisify(execFile)
const kind = redisServer()
const skip = unusable(kind) ?? false
let server: TestServer
/** What other runs have left on the server is under another. */
const key = randomUUID()
before(async () => {
  if (skip === false) server = await usableServer(kind)
})
after(() => server?.[Symbol.asyncDispose]())

const open = (options: RedisOptions = {}) => openLink({ addresses: [server.address], ...options })

test(
  'logs in with user and password from the address or the options, and says what is wrong',
  { skip: missing(kind) ?? false },
  async (t) => {
    const server = await serverFor(t, kind)
    if (!server) return
    const addresses = [`127.0.0.1:${server.port}`]
    const login = { addresses, username: 'ann', password: 'p@ss' }
    await redisCommand(server, 'ACL', 'SETUSER', 'ann', 'on', '>p@ss', '~mine:*', '+@all')
    await using byOptions = await openLink(login)
    await ask(byOptions, ['SET', 'mine:k', '1'])
    await using byAddress = await openLink({ addresses: [`redis://ann:p%40ss@127.0.0.1:${server.port}/0`] })
    assert.equal(await ask(byAddress, ['GET', 'mine:k']), '1')
    await using byBoth = await openLink({
      addresses: [`redis://ann@127.0.0.1:${server.port}`],
      password: 'p@ss',
    })
    assert.equal(await ask(byBoth, ['ACL', 'WHOAMI']), 'ann')
    await assert.rejects(openLink({ ...login, password: 'secret-guess' }), (error: Error) => {
      assert.equal((error as { code?: string }).code, 'unauthenticated')
      assert.doesNotMatch(error.message, /secret-guess/)
      return true
    })
    const script = "return redis.call('SET', 'other:k', '1')"
    for (const command of [
      ['SET', 'other:k', '1'],
      ['EVAL', script, '0'],
    ])
      await assert.rejects(ask(byOptions, command), { code: 'forbidden' })
  },
)

test('uses the database that it is told, as a number or as the text of a flag', { skip }, async () => {
  await using first = await open({ database: 1 })
  await using second = await open({ database: '1' })
  await using third = await open({ addresses: [`${server.address.replace(/\/$/, '')}/2`] })
  await ask(first, ['SET', key, '1'])
  assert.equal(await ask(second, ['GET', key]), '1')
  assert.equal(await ask(third, ['GET', key]), null)
  await assert.rejects(open({ database: 9999 }), { code: 'invalid-option' })
})

test('speaks TLS, verifies the server, and shows a certificate of its own', async (t) => {
  if (skip) return t.skip(skip)
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-tls-'))
  t.after(() => rm(folder, { recursive: true }))
  const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await run('openssl', [...kind, '-days', '2', '-keyout', keyFile, '-out', certFile, ...subject])
  const port = await freePort()
  const files = ['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', certFile]
  const secure = await serverFor(t, redisServer(['--tls-port', String(port), ...files]))
  if (!secure) return
  const cert = await readFile(certFile)
  const tls = { ca: cert, cert, key: await readFile(keyFile) }
  const addresses = [`rediss://localhost:${port}`]
  await using link = await openLink({ addresses, tls })
  await ask(link, ['SET', key, '1'])
  assert.equal(await ask(link, ['GET', key]), '1')
  // The option alone turns it on.
  await using second = await openLink({ addresses: [`127.0.0.1:${port}`], tls })
  assert.equal(await ask(second, ['GET', key]), '1')
  await assert.rejects(openLink({ addresses, connectTimeoutMs: 500 }), {
    code: 'unavailable',
    message: /certificate/,
  })
  await assert.rejects(openLink({ addresses, tls: { ca: cert }, connectTimeoutMs: 500 }), {
    code: 'unavailable',
  })
})

test('goes to the first of several addresses that is a primary, and to the next when that is lost', async (t) => {
  if (skip) return t.skip(skip)
  const primary = await serverFor(t, redisServer())
  const replica = await serverFor(t, redisServer(['--replicaof', `127.0.0.1 ${primary?.port}`]))
  if (!primary || !replica) return
  const addresses = [await freePort(), replica.port, primary.port].map((port) => `127.0.0.1:${port}`)
  await using link = await openLink({ addresses, commandTimeoutMs: 10_000, connectTimeoutMs: 10_000 })
  await ask(link, ['SET', key, '1'])
  const copied = () => redisCommand(replica, 'GET', key)
  await until('the replica has it', async () => (await copied()) === '$1\r\n1', 15_000)
  await primary.kill()
  await redisCommand(replica, 'REPLICAOF', 'NO', 'ONE')
  await until('it goes on', async () => (await codeOf(ask(link, ['SET', key, '2']))) === 'none', 15_000)
  assert.equal(await copied(), '$1\r\n2')
  // One that becomes a replica while it is used is left.
  await primary.start()
  await redisCommand(replica, 'REPLICAOF', '127.0.0.1', String(primary.port))
  const moved = async () => (await codeOf(ask(link, ['SET', key, '3']))) === 'none'
  await until('it is with the primary', moved, 15_000)
  assert.equal(await redisCommand(primary, 'GET', key), '$1\r\n3')
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
    const opening = openLink({ addresses }, controller.signal)
    controller.abort(reason)
    await assert.rejects(opening, reason)
  },
)

test('refuses options that are none, without telling what may be a password', async () => {
  for (const options of [
    { addresses: [] },
    { addresses: ['http://secret@127.0.0.1'] },
    { addresses: ['redis://user:%zzsecret@127.0.0.1'] },
    { addresses: ['127.0.0.1:99999999'] },
    { database: 'secret' },
    { database: -1 },
    { commandTimeoutMs: 0 },
    { connectTimeoutMs: 0.5 },
    { maxReconnectDelayMs: -1 },
    // A timer would take it for 1.
    { commandTimeoutMs: 2 ** 31 },
    { addresses: '127.0.0.1:1' },
    { addresses: ['unix:'] },
    { addresses: ['redis://127.0.0.1:1/0?secret=1'] },
  ]) {
    await assert.rejects(openLink(options as RedisOptions), (error: Error) => {
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
  await using link = await openLink({ addresses: [`unix:${path}`] })
  await ask(link, ['SET', key, '1'])
  assert.equal(await ask(link, ['GET', key]), '1')
})

test('lets the process end once it is disposed', { skip }, async () => {
  const script = `
    import { ask, openLink } from './support/links.js'
    const link = await openLink({ addresses: ['${server.address}'] })
    await ask(link, ['SET', '${key}', '1'])
    await link[Symbol.asyncDispose]()`
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: import.meta.dirname,
    timeout: 10_000,
  })
  assert.equal(stdout, '')
})
