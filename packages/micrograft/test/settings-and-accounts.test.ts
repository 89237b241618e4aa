import assert from 'node:assert/strict'
import { randomUUID, generateKeyPairSync, pbkdf2 } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import type { Account, Config } from '@micrograft/contracts'
import {
  authCases,
  configCases,
  loggerCases,
  tracerCases,
  until,
  type ConfigSubject,
} from '@micrograft/testing'
import { jwtAuth } from '../dist/auth/jwt-auth.js'
import { noopAuth } from '../dist/auth/noop-auth.js'
import { jsonCodec } from '../dist/codec/json-codec.js'
import { ConfigChanges } from '../dist/config/config-changes.js'
import { envConfig } from '../dist/config/env-config.js'
import { fileConfig } from '../dist/config/file-config.js'
import type { MemoryConfig } from '../dist/config/memory-config.js'
import { consoleLogger } from '../dist/logger/console-logger.js'
import { memoryTracer } from '../dist/tracer/memory-tracer.js'
import { complyEveryWay } from './support/comply-every-way.js'
import { soon } from './support/gate.js'
import { comply } from '@micrograft/testing'

const hash = promisify(pbkdf2)
const root = join(tmpdir(), `micrograft-${randomUUID()}`)
after(() => rm(root, { recursive: true, force: true }))

let file = ''
/** As editors and kubernetes do: another file takes the place. */
const replace = async (tree: object) => {
  await mkdir(root, { recursive: true })
  await writeFile(`${file}.new`, JSON.stringify(tree))
  await rename(`${file}.new`, file)
}
complyEveryWay('file config', configCases, {
  type: 'config',
  name: 'file',
  file: 'config/file-config',
  factory: 'fileConfig',
  options: () => ({ addresses: [(file = join(root, `${randomUUID()}.json`))], pollMs: 20 }),
  subject: (config: Config): ConfigSubject => ({
    config,
    write: replace,
    [Symbol.asyncDispose]: () => config[Symbol.asyncDispose](),
  }),
})
comply(test, 'memory config', configCases, {
  create: async () => {
    const { memoryConfig } = await import('../dist/config/memory-config.js')
    const config: MemoryConfig = memoryConfig()
    return {
      config,
      write: async (tree) => config.write(tree),
      [Symbol.asyncDispose]: () => config[Symbol.asyncDispose](),
    }
  },
})
complyEveryWay('jwt auth', authCases, {
  type: 'auth',
  name: 'jwt',
  file: 'auth/jwt-auth',
  factory: 'jwtAuth',
  options: () => ({ privateKey: pem, issuer: 'test' }),
})
complyEveryWay('memory tracer', tracerCases, {
  type: 'tracer',
  name: 'memory',
  file: 'tracer/memory-tracer',
  factory: 'memoryTracer',
})
complyEveryWay('noop tracer', tracerCases, {
  type: 'tracer',
  name: 'noop',
  file: 'tracer/noop-tracer',
  factory: 'noopTracer',
})

const lines = new Map<string, string[]>()
for (const format of ['json', 'text'] as const) {
  complyEveryWay(`console logger, ${format}`, loggerCases, {
    type: 'logger',
    name: 'console',
    file: 'logger/console-logger',
    factory: 'consoleLogger',
    options: () => {
      const written: string[] = []
      lines.set(format, written)
      return { format, write: (line: string) => written.push(line) }
    },
    subject: (logger) => ({ logger, lines: lines.get(format) as string[] }),
  })
}

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const ann: Account = { id: 'ann', type: 'user', issuer: '', scopes: [], metadata: {} }

test('a jwt auth with the public key alone reads tokens and makes none, and takes keys in base64', async () => {
  await using maker = jwtAuth({ privateKey: Buffer.from(pem).toString('base64') })
  const { createPublicKey } = await import('node:crypto')
  const publicPem = createPublicKey(pem).export({ type: 'spki', format: 'pem' }).toString()
  await using reader = jwtAuth({ publicKey: publicPem })
  const { accessToken } = await maker.issue(ann)
  assert.equal((await reader.inspect(accessToken)).id, 'ann')
  await assert.rejects(reader.issue(ann), { code: 'unsupported', message: /--auth_private_key/ })
  await using other = jwtAuth({ publicKey: publicPem, issuer: 'somebody' })
  await assert.rejects(other.inspect(accessToken), { code: 'unauthenticated' })
  assert.throws(() => jwtAuth({ publicKey: 'no key' }), { code: 'invalid-option' })
  const ed = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  assert.throws(() => jwtAuth({ privateKey: ed }), { code: 'invalid-option', message: /RSA/ })
})

test('the noop auth allows everything and makes no tokens', async () => {
  await using auth = noopAuth()
  await auth.verify(undefined, { type: 'service', name: 'x', endpoint: 'y' })
  await assert.rejects(auth.issue(ann), { code: 'unsupported' })
})

test('a change of a file that does not parse is told, and the last good tree stays', async () => {
  file = join(root, `${randomUUID()}.json`)
  await replace({ n: 1 })
  await using config = fileConfig({ addresses: [file], pollMs: 20 })
  const errors: Error[] = []
  const changes = config.watch({ onError: (error) => errors.push(error) })
  const next = changes.next()
  await until('the first look is over', async () => (await config.read())['n'] === 1)
  await writeFile(file, '{')
  await until('the error is told', () => errors.length > 0)
  assert.match(errors[0]?.message ?? '', /is not JSON/)
  await replace({ n: 2 })
  assert.deepEqual((await next).value, { n: 2 })
  await changes.return?.()
})

test('several files are one tree, the later counting, level by level', async () => {
  const [a, b] = [join(root, `${randomUUID()}.json`), join(root, `${randomUUID()}.json`)]
  await mkdir(root, { recursive: true })
  await writeFile(a, '{"db":{"host":"a","port":1},"list":[1,2]}')
  await writeFile(b, '{"db":{"host":"b"},"list":[3],"__proto__":{"bad":1}}')
  await using config = fileConfig({ addresses: [a, b] })
  const tree = await config.read()
  assert.deepEqual(
    [tree['db'], tree['list'], ({} as { bad?: number }).bad],
    [{ host: 'b', port: 1 }, [3], undefined],
  )
  await using missing = fileConfig({ addresses: [join(root, 'none.json')] })
  await assert.rejects(missing.read(), { code: 'unavailable', message: /none\.json/ })
  await using large = fileConfig({ addresses: [a], maxBytes: 10 })
  await assert.rejects(large.read(), { code: 'too-large' })
})

test('the env config reads names level by level', async () => {
  await using config = envConfig({
    env: {
      CONFIG_DB_HOST: 'a',
      CONFIG_DB_PORT: '1',
      CONFIG_DEBUG: 'true',
      CONFIG___proto___bad: '1',
      OTHER: 'x',
      CONFIG_: '1',
    },
  })
  const tree = await config.read()
  assert.deepEqual(JSON.parse(JSON.stringify({ db: tree['db'], debug: tree['debug'] })), {
    db: { host: 'a', port: '1' },
    debug: 'true',
  })
  assert.equal(({} as { bad?: number }).bad, undefined)
})

test('the memory tracer keeps the last spans, with what they were part of', async () => {
  await using tracer = memoryTracer({ maxSpans: 2 })
  const outer = tracer.start('outer', { kind: 'server' })
  const inner = tracer.start('inner', { kind: 'client', parent: outer.context, attributes: { a: 1 } })
  inner.set('b', 2)
  inner.end(new Error('failed'))
  outer.end()
  const [first, second] = tracer.spans
  assert.deepEqual(
    [first?.name, first?.parentId, first?.error, first?.attributes],
    ['inner', outer.context.spanId, 'failed', { a: 1, b: 2 }],
  )
  assert.equal(first?.context.traceId, second?.context.traceId)
  tracer.start('third', { kind: 'internal' }).end()
  assert.deepEqual(
    tracer.spans.map(({ name }) => name),
    ['outer', 'third'],
  )
})

test('a logger refuses a level or a form that is none', () => {
  assert.throws(() => consoleLogger({ level: 'loud' as never }), { code: 'invalid-option', message: /loud/ })
  assert.throws(() => consoleLogger({ format: 'xml' as never }), { code: 'invalid-option', message: /xml/ })
})

test('a tracer and a codec refuse a limit that is none', () => {
  for (const maxSpans of [Number.NaN, -1, '5' as never])
    assert.throws(() => memoryTracer({ maxSpans }), { code: 'invalid-option', message: /maxSpans/ })
  for (const maxDepth of [Number.NaN, -1, '5' as never])
    assert.throws(() => jsonCodec({ maxDepth }), { code: 'invalid-option', message: /maxDepth/ })
})

test('a change of a file right after it is watched is told', async () => {
  file = join(root, `${randomUUID()}.json`)
  await replace({ n: 1 })
  await using config = fileConfig({ addresses: [file], pollMs: 20 })
  // With all threads at work, a look that waits for one comes after the change.
  const busy = Array.from({ length: 8 }, () => hash('a', 'b', 100_000, 64, 'sha512'))
  const changes = config.watch()
  writeFileSync(file, '{"n":22}')
  await Promise.all(busy)
  assert.deepEqual((await soon('it is told', changes.next())).value, { n: 22 })
  await changes.return?.()
})

test('who watches the settings with a signal that is aborted already holds nothing', async () => {
  let read = 0
  const signal = AbortSignal.abort(new Error('given up'))
  const changes = new ConfigChanges()
  const followed = changes.follow(signal, () => read++)
  await assert.rejects(followed.next(), /given up/)
  assert.equal(changes.watched, false)
})

test('settings refuse a time to look again and a size that are none', () => {
  for (const options of [{ pollMs: 0 }, { pollMs: Number.NaN }, { maxBytes: -1 }])
    assert.throws(() => fileConfig(options), {
      code: 'invalid-option',
      message: new RegExp(Object.keys(options)[0] as string),
    })
})

test('a rule that is none is refused, and does no harm to others', async () => {
  await using auth = jwtAuth()
  const resource = { type: 'service', name: 'greeter', endpoint: 'Say.Hello' }
  const rule = { id: 'a', scope: '', resource, access: 'granted', priority: 0 } as const
  await auth.grant(rule)
  for (const wrong of [
    null,
    { ...rule, id: 5 },
    { ...rule, id: 'b', resource: undefined },
    { ...rule, id: 'b', resource: { type: 'service', name: 'greeter' } },
    { ...rule, id: 'b', scope: undefined },
    { ...rule, id: 'b', priority: '1' },
  ])
    await assert.rejects(auth.grant(wrong as never), { code: 'bad-request' }, JSON.stringify(wrong))
  await auth.verify(undefined, resource)
  assert.equal((await auth.rules()).length, 1)
})

test('a jwt auth refuses a key that is too short, and a life that is none', async () => {
  const short = generateKeyPairSync('rsa', {
    modulusLength: 1024,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  for (const options of [{ privateKey: short.privateKey }, { publicKey: short.publicKey }])
    assert.throws(() => jwtAuth(options), { code: 'invalid-option', message: /2048/ })
  await using auth = jwtAuth()
  for (const ttlMs of [Number.NaN, 0, -1, Infinity])
    await assert.rejects(auth.issue(ann, { ttlMs }), { code: 'invalid-option' }, `${ttlMs}`)
})

test('a text log keeps an event on its line, and controls no terminal', () => {
  const lines: string[] = []
  const log = consoleLogger({ format: 'text', write: (line) => lines.push(line) })
  log.info('asked', { endpoint: 'a\n12:00:00.000 error forged', color: '\u001b[31m\u009b31m', 'na\nme': 'b' })
  assert.equal(lines[0]?.match(/\n/g)?.length, 1)
  // oxlint-disable-next-line no-control-regex -- these are what must not be there
  assert.doesNotMatch(lines[0]?.trimEnd() ?? '', /[\u0000-\u001f\u007f-\u009f]/)
  log.info('asked', { name: 'plain text' })
  assert.match(lines[1] ?? '', /name=plain text\n$/)
})
