import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Store } from '@micrograft/contracts'
import { createPlatform, installedPackage } from '@micrograft/plugin'
import { build } from '@micrograft/plugin/build'
import { Plugin, type SqliteStoreOptions } from '@micrograft/store-sqlite'
import { componentContext, until } from '@micrograft/testing'
import { withoutSqlite } from './support/without-sqlite.js'

const make = Plugin.newFunc as unknown as (
  options: SqliteStoreOptions,
  context: ReturnType<typeof componentContext>,
) => Promise<Store>
const bytes = (text: string) => new TextEncoder().encode(text)

let folder: string
before(async () => (folder = await mkdtemp(join(tmpdir(), 'micrograft-sqlite-'))))
after(() => rm(folder, { recursive: true }))
const open = (options: SqliteStoreOptions = {}) =>
  make({ addresses: [folder], ...options }, componentContext())
const skip = withoutSqlite

test(
  'the sqlite store says what it needs where Node has no SQLite',
  { skip: !skip && 'this Node has it' },
  async () => {
    await assert.rejects(open(), { code: 'unsupported', message: /node:sqlite.*Node 22\.13 or later/ })
  },
)

test('the plugin file of the sqlite store is built and opened on every Node', async () => {
  const entry = fileURLToPath(new URL('../src/index.ts', import.meta.url))
  const { path } = await build(entry, { name: 'sqlite', type: 'store', version: '0.1.0', outDir: folder })
  const platform = createPlatform({
    host: { '@micrograft/contracts': installedPackage('@micrograft/contracts', import.meta.url) },
  })
  try {
    const plugin = (await platform.open(path)).lookup('Plugin') as typeof Plugin
    const opening = (plugin.newFunc as typeof make)(
      { addresses: [folder], table: 'built' },
      componentContext(),
    )
    if (skip) await assert.rejects(opening, { code: 'unsupported' })
    else await (await opening)[Symbol.asyncDispose]()
  } finally {
    await platform.close()
  }
})

test(
  'the sqlite store keeps entries for the next that opens the file, in the table of the service',
  { skip },
  async () => {
    const first = await open()
    await first.set('a', bytes('1'))
    await first[Symbol.asyncDispose]()
    await using store = await open()
    assert.deepEqual(await store.list(), ['a'])
    await using other = await open({ table: 'other' })
    assert.deepEqual(await other.list(), [])
  },
)

test('the sqlite store sweeps what has expired out of the table, and only that', { skip }, async () => {
  await using store = await open({ database: 'swept.db', table: 'swept', sweepIntervalMs: 30 })
  for (let i = 0; i < 30; i++) await store.set(`short ${i}`, bytes('1'), { ttlMs: 40 })
  await store.set('long', bytes('1'), { ttlMs: 600_000 })
  await store.set('for ever', bytes('1'))
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite') as unknown as {
    DatabaseSync: new (path: string) => { prepare(sql: string): { all(): unknown[] }; close(): void }
  }
  const database = new DatabaseSync(join(folder, 'swept.db'))
  try {
    await until('the rows are gone', () => database.prepare('SELECT 1 FROM swept').all().length === 2)
  } finally {
    database.close()
  }
  assert.deepEqual(await store.list(), ['for ever', 'long'])
})

test(
  'the sqlite store knows no difference between a prefix and a pattern, nor between case and case',
  { skip },
  async () => {
    await using store = await open({ table: 'patterns' })
    for (const key of ['a%b', 'a_b', 'A%b', "a'b", 'a*b', 'ä', 'a\u0308']) await store.set(key, bytes(key))
    assert.deepEqual(await store.list({ prefix: 'a%' }), ['a%b'])
    assert.deepEqual(await store.list({ prefix: "a'" }), ["a'b"])
    assert.deepEqual(await store.list({ suffix: '*b' }), ['a*b'])
    assert.deepEqual(await store.list({ suffix: 'longer than any key' }), [])
    await assert.rejects(store.get('\ud800'), { code: 'bad-request' })
  },
)

test('the sqlite store refuses a value above its limit, and takes one of the limit', { skip }, async () => {
  await using store = await open({ table: 'sizes', maxValueBytes: 1000 })
  await assert.rejects(store.set('a', new Uint8Array(1001)), { code: 'too-large' })
  await store.set('a', new Uint8Array(1000))
  assert.equal((await store.get('a'))?.length, 1000)
})

test(
  'the sqlite store is not opened on what is no database, no folder or of another table',
  { skip },
  async () => {
    await writeFile(join(folder, 'text.db'), 'this is text and no database'.repeat(50))
    await assert.rejects(open({ database: 'text.db' }), {
      code: 'unavailable',
      message: /no database|not a database/,
    })
    await assert.rejects(open({ addresses: [join(folder, 'text.db')] }), { code: 'unavailable' })
    await assert.rejects(open({ table: 'missing', createTable: false }), { code: 'not-found' })
    await using store = await open({ table: 'first' })
    assert.deepEqual(await store.list(), [])
  },
)

test('the sqlite store refuses options that are none', { skip }, async () => {
  for (const wrong of [
    { database: '../a.db' },
    { table: 'sqlite_a' },
    { table: '' },
    { synchronous: 'off' },
    { path: 'a' },
    { addresses: [] },
    { addresses: [''] },
    { addresses: folder },
    { addresses: [5] },
    { table: 5 },
    { database: ['store.db'] },
    { timeoutMs: NaN },
    { timeoutMs: -1 },
    { timeoutMs: 2 ** 31 },
    { maxValueBytes: Infinity },
    { sweepIntervalMs: 0 },
    { sweepIntervalMs: NaN },
  ])
    await assert.rejects(open(wrong as SqliteStoreOptions), { code: 'invalid-option' }, JSON.stringify(wrong))
})
