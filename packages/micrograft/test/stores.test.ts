import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { componentContext, storeCases } from '@micrograft/testing'
import { fileStore } from '../dist/store/file-store.js'
import { memoryStore } from '../dist/store/memory-store.js'
import { complyEveryWay } from './support/comply-every-way.js'

const root = join(tmpdir(), `micrograft-${randomUUID()}`)
after(() => rm(root, { recursive: true, force: true }))
const fresh = () => ({ addresses: [join(root, randomUUID())] })

complyEveryWay('memory store', storeCases, {
  type: 'store',
  name: 'memory',
  file: 'store/memory-store',
  factory: 'memoryStore',
})
complyEveryWay('file store', storeCases, {
  type: 'store',
  name: 'file',
  file: 'store/file-store',
  factory: 'fileStore',
  options: fresh,
})

const value = new Uint8Array([1])

test('a memory store refuses values and entries above its limits, and makes room of what has expired', async () => {
  await using store = memoryStore({ maxValueBytes: 2, maxEntries: 2 })
  await assert.rejects(store.set('a', new Uint8Array(3)), { code: 'too-large' })
  await store.set('a', value)
  await store.set('b', value, { ttlMs: 1 })
  while ((await store.get('b')) !== undefined) await new Promise((resolve) => setTimeout(resolve, 1))
  await store.set('c', value)
  await assert.rejects(store.set('d', value), { code: 'overloaded' })
  await store.set('a', value)
})

test('a file store keeps entries for the next process, files and folders for their owner alone', async () => {
  const options = fresh()
  {
    await using store = fileStore(options, componentContext())
    await store.set('a', value)
  }
  await using again = fileStore(options, componentContext())
  assert.deepEqual([...((await again.get('a')) ?? [])], [1])
  const { statSync } = await import('node:fs')
  const folder = join(options.addresses[0] as string, 'default', 'test')
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  for (const name of await readdir(folder))
    assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name)
  assert.equal((await readdir(folder)).length, 1)
})

test('a file store keeps tables apart, and refuses a name with a path in it', async () => {
  const options = fresh()
  await using a = fileStore({ ...options, table: 'a' }, componentContext())
  await using b = fileStore({ ...options, table: 'b' }, componentContext())
  await a.set('k', value)
  assert.equal(await b.get('k'), undefined)
  for (const table of ['..', 'a/b', ''])
    assert.throws(() => fileStore({ ...options, table }, componentContext()), { code: 'invalid-option' })
})

test('a file store says what a file is that is no entry, and rejects with unavailable where its folder is none', async () => {
  const options = fresh()
  await using store = fileStore(options, componentContext())
  await store.set('k', value)
  const folder = join(options.addresses[0] as string, 'default', 'test')
  const [name] = await readdir(folder)
  await writeFile(join(folder, name as string), 'no entry')
  await assert.rejects(store.get('k'), { code: 'unavailable', message: /is no entry of a file store/ })
  const blocked = fresh()
  await writeFile(blocked.addresses[0] as string, 'a file')
  await using none = fileStore(blocked, componentContext())
  await assert.rejects(none.set('k', value), { code: 'unavailable' })
})

test('a file store goes on once its folder can be made, and where that was taken away', async () => {
  const options = fresh()
  const [path] = options.addresses as [string]
  await writeFile(path, 'a file')
  await using store = fileStore(options, componentContext())
  await assert.rejects(store.set('a', value), { code: 'unavailable' })
  await rm(path)
  await store.set('a', value)
  await rm(path, { recursive: true })
  assert.deepEqual(await store.list(), [])
  await store.set('b', value)
  assert.deepEqual(await store.list(), ['b'])
})

test('the stores in the box refuse a value that is no bytes, and limits that are none', async () => {
  for (const store of [memoryStore(), fileStore(fresh(), componentContext())]) {
    for (const wrong of ['text', undefined, null, 5, { length: 1 }, [1, 2]])
      await assert.rejects(store.set('a', wrong as never), { code: 'bad-request' }, store.name)
    assert.equal(await store.get('a'), undefined)
    await store[Symbol.asyncDispose]()
  }
  for (const limit of [Number.NaN, -1, '5']) {
    const wrong = { maxValueBytes: limit } as object
    assert.throws(() => memoryStore(wrong), { code: 'invalid-option', message: /maxValueBytes/ })
    assert.throws(() => fileStore({ ...fresh(), ...wrong }, componentContext()), { code: 'invalid-option' })
  }
  assert.throws(() => memoryStore({ maxEntries: Number.NaN }), {
    code: 'invalid-option',
    message: /maxEntries/,
  })
})
