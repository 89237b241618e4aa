import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import type { Store } from '@micrograft/contracts'
import { Plugin } from '@micrograft/store-redis'
import { redisCommand, redisServer, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { componentContext, until } from '@micrograft/testing'

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
    assert.equal(await redisCommand(server, 'GET', `${ours}p:test:k`), '$1\r\n1')
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
  const left = Number((await redisCommand(server, 'PTTL', `${ours}p:expiry:day`)).slice(1))
  assert.ok(left > 86_300_000 && left <= 86_400_000, `${left}`)
})

test('refuses options that are none', { skip }, async () => {
  for (const options of [
    { addresses: [] },
    { table: 'a b' },
    { maxValueBytes: 1.5 },
    { commandTimeoutMs: 0 },
    { adresses: [] },
  ])
    await assert.rejects(open(options), { code: 'invalid-option' }, JSON.stringify(options))
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
