import assert from 'node:assert/strict'
import { chmod, chown, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { CodeCacheOptions } from '@micrograft/plugin'
import { CacheFolder } from './support/cache-folder.js'
import { runModule } from './support/child.js'
import { until } from './support/until.js'
import { workshop, type Workshop } from './support/workshop.js'

interface Answers {
  answer(): number
}

/**
 * Every source of a number with three digits has the same length, which is all that V8 compares. The
 * number is in module code, for a function within it is compiled when it is called, from the source.
 */
const answering = (n: number) => `const n = ${n}; export const answer = (): number => n`

const hour = 3600

async function cached(t: TestContext) {
  const shop = await workshop(t)
  const cache = new CacheFolder(join(shop.folder, 'cache'))
  /** What a plugin answers when a new platform opens it. */
  const answer = async (path: string, options: Partial<CodeCacheOptions> = {}) => {
    const host = shop.platform({ codeCache: { directory: cache.path, ...options } })
    return (await host.open<Answers>(path)).lookup('answer')()
  }
  return { shop, cache, answer }
}

/** A plugin of the same size as any other that is built so. */
const build = async ({ plugin }: Workshop, n: number) =>
  (await plugin(`answer${n}`, answering(n), { sourceMap: false })).path

test('the first opening writes an entry, and a later one uses it', async (t) => {
  const { shop, cache, answer } = await cached(t)
  const path = await build(shop, 111)
  assert.equal(await answer(path), 111)
  const entry = await cache.added()
  const bytes = await readFile(entry)
  await cache.age(entry, hour)
  assert.equal(await answer(path), 111)
  await cache.used(entry)
  assert.deepEqual(await cache.entries(), [entry])
  assert.deepEqual(await readFile(entry), bytes)
  assert.deepEqual(
    (await readdir(cache.path)).toSorted(),
    [entry.slice(cache.path.length + 1), 'key'].toSorted(),
  )
})

test('another process uses it too, unless its V8 has other flags', async (t) => {
  const { shop, cache, answer } = await cached(t)
  const path = await build(shop, 111)
  assert.equal(await answer(path), 111)
  const entry = await cache.added()
  const script = `
    import { createPlatform } from '@micrograft/plugin'
    const host = createPlatform({ codeCache: { directory: ${JSON.stringify(cache.path)} } })
    console.log((await host.open(${JSON.stringify(path)})).lookup('answer')())`
  // This process was started with a flag, and flags are part of what an entry fits.
  const same = process.execArgv.filter((flag) => flag === '--expose-gc')
  for (const [flags, known] of [
    [same, []],
    [[...same, '--no-opt', '--stack-size=900'], [entry]],
  ] as const) {
    await cache.age(entry, hour)
    const { stdout, stderr } = await runModule(shop, 'host.mjs', script, { flags })
    assert.equal(stdout, '111\n', stderr)
    if (known.length === 0) await cache.used(entry)
    else assert.ok(Date.now() - (await stat(entry)).mtimeMs > 60_000)
    assert.equal((await cache.entries()).length, known.length === 0 ? 1 : 2)
  }
})

test(
  'the folder and all in it are for their owner alone',
  { skip: process.platform === 'win32' && 'Windows has no modes of files' },
  async (t) => {
    const { shop, cache, answer } = await cached(t)
    await answer(await build(shop, 111))
    const entry = await cache.added()
    const mode = async (path: string) => (await stat(path)).mode & 0o777
    assert.equal(await mode(cache.path), 0o700)
    assert.equal(await mode(join(cache.path, 'key')), 0o600)
    assert.equal(await mode(entry), 0o600)
  },
)

/** What can become of an entry. */
const damages: Record<string, (bytes: Buffer) => Buffer> = {
  'has a byte of its code changed': (bytes) => changed(bytes, bytes.length - 100),
  'has a byte of its head changed': (bytes) => changed(bytes, 40),
  'has a byte of its tag changed': (bytes) => changed(bytes, 3),
  'is cut short': (bytes) => bytes.subarray(0, bytes.length - 50),
  'is cut within its tag': (bytes) => bytes.subarray(0, 20),
  'has its tag alone': (bytes) => bytes.subarray(0, 32),
  'is empty': () => Buffer.alloc(0),
  'has bytes appended': (bytes) => Buffer.concat([bytes, Buffer.alloc(8)]),
  'is nothing like one': () => Buffer.from('not compiled code at all, and longer than any tag would be'),
}

function changed(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

for (const [what, damage] of Object.entries(damages)) {
  test(`an entry that ${what} is not used, and goes`, async (t) => {
    const { shop, cache, answer } = await cached(t)
    const path = await build(shop, 111)
    await answer(path)
    const entry = await cache.added()
    const good = await readFile(entry)
    const bad = damage(good)
    await writeFile(entry, bad)
    assert.equal(await answer(path), 111)
    await cache.rewritten(entry, bad)
    await cache.age(entry, hour)
    assert.equal(await answer(path), 111)
    await cache.used(entry)
  })
}

test("an entry under another's name is not used: each plugin runs its own code", async (t) => {
  const { shop, cache, answer } = await cached(t)
  const paths = [await build(shop, 111), await build(shop, 222)] as const
  const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size))
  assert.equal(sizes[0], sizes[1])
  await answer(paths[0])
  const first = await cache.added()
  await answer(paths[1])
  const second = await cache.added([first])
  await rename(first, `${first}.swap`)
  await rename(second, first)
  await rename(`${first}.swap`, second)
  assert.deepEqual([await answer(paths[0]), await answer(paths[1])], [111, 222])
})

test('other content at the same path is not run from what was kept for the old', async (t) => {
  const { shop, cache, answer } = await cached(t)
  const path = join(shop.folder, 'same.plugin.cjs')
  const contents = await Promise.all([111, 222].map(async (n) => readFile(await build(shop, n))))
  for (const n of [111, 222, 111, 222]) {
    await writeFile(path, contents[n === 111 ? 0 : 1] as Buffer)
    assert.equal(await answer(path), n)
    await cache.added()
    assert.equal(await answer(path), n)
  }
})

test('entries that were made with another key are not used, and made again', async (t) => {
  const { shop, cache, answer } = await cached(t)
  const path = await build(shop, 111)
  await answer(path)
  const entry = await cache.added()
  const bytes = await readFile(entry)
  await writeFile(join(cache.path, 'key'), Buffer.alloc(32, 7))
  assert.equal(await answer(path), 111)
  await cache.rewritten(entry, bytes)
})

test('a damaged key is made anew', async (t) => {
  const { shop, cache, answer } = await cached(t)
  const path = await build(shop, 111)
  await answer(path)
  await cache.added()
  for (const damaged of ['', 'short', 'x'.repeat(33)]) {
    await writeFile(join(cache.path, 'key'), damaged)
    for (const entry of await cache.entries()) await rm(entry)
    await until('an entry is written again', async () => {
      assert.equal(await answer(path), 111)
      return (await cache.entries()).length > 0
    })
    assert.equal((await stat(join(cache.path, 'key'))).size, 32)
  }
})

test('a folder that cannot be used makes opening no worse', async (t) => {
  const { shop, answer } = await cached(t)
  const path = await build(shop, 111)
  const file = await shop.write('file', 'a file')
  const keyless = join(shop.folder, 'keyless')
  await shop.write('keyless/key/not-a-file', '')
  const unusable = [file, join(file, 'below'), keyless, join(shop.folder, 'x'.repeat(300))]
  for (const directory of unusable) {
    assert.equal(await answer(path, { directory }), 111)
    assert.equal(await answer(path, { directory }), 111)
  }
  assert.equal(await readFile(file, 'utf8'), 'a file')
})

test('above maxBytes the entries that were not used for the longest time go', async (t) => {
  const { shop, cache, answer } = await cached(t)
  const paths = await Promise.all([111, 222, 333, 444].map((n) => build(shop, n)))
  const entries: string[] = []
  for (const path of paths.slice(0, 3)) {
    await answer(path)
    entries.push(await cache.added(entries))
  }
  const [first, second, third] = entries as [string, string, string]
  for (const [i, entry] of [third, second, first].entries()) await cache.age(entry, (i + 1) * hour)
  const { size } = await stat(first)
  const maxBytes = Math.ceil(size * 2.5)
  // The first is the oldest, but it is used.
  assert.equal(await answer(paths[0] as string, { maxBytes }), 111)
  await cache.used(first)
  await answer(paths[3] as string, { maxBytes })
  const fourth = await cache.added(entries)
  await until('the others are gone', async () => (await cache.entries()).length === 2)
  assert.deepEqual((await cache.entries()).toSorted(), [first, fourth].toSorted())
})

test('several processes may begin with an empty folder at once', async (t) => {
  const { shop, cache, answer } = await cached(t)
  const path = await build(shop, 111)
  const script = `
    import { createPlatform } from '@micrograft/plugin'
    const host = createPlatform({ codeCache: { directory: ${JSON.stringify(cache.path)} } })
    console.log((await host.open(${JSON.stringify(path)})).lookup('answer')())`
  const runs = await Promise.all(Array.from({ length: 4 }, (_, i) => runModule(shop, `host${i}.mjs`, script)))
  assert.deepEqual(
    runs.map(({ stdout, stderr }) => stdout + stderr),
    Array(4).fill('111\n'),
  )
  assert.equal(await answer(path), 111)
  const [entry] = [await until('there is an entry', async () => (await cache.entries())[0])]
  assert.equal((await stat(join(cache.path, 'key'))).size, 32)
  assert.ok(entry)
})

test(
  'a key that others may read is not believed: whoever has it can have any code run',
  { skip: process.platform === 'win32' && 'Windows has no modes of files' },
  async (t) => {
    const { shop, cache, answer } = await cached(t)
    const path = await build(shop, 111)
    await answer(path)
    const entry = await cache.added()
    const bytes = await readFile(entry)
    const key = join(cache.path, 'key')
    for (const mode of [0o644, 0o640, 0o602]) {
      const known = await readFile(key)
      await chmod(key, mode)
      await until('another key is made', async () => {
        assert.equal(await answer(path), 111)
        return !(await readFile(key).catch(() => known)).equals(known)
      })
      assert.equal((await stat(key)).mode & 0o777, 0o600)
    }
    await cache.rewritten(entry, bytes)
  },
)

test(
  "another user's key is not believed, and left to its user",
  { skip: process.geteuid?.() !== 0 && 'needs root, to make a file of another user' },
  async (t) => {
    const { shop, cache, answer } = await cached(t)
    const path = await build(shop, 111)
    await answer(path)
    const entry = await cache.added()
    const key = join(cache.path, 'key')
    const script = `
      import { createPlatform } from '@micrograft/plugin'
      const host = createPlatform({ codeCache: { directory: ${JSON.stringify(cache.path)} } })
      console.log((await host.open(${JSON.stringify(path)})).lookup('answer')())`
    const flags = process.execArgv.filter((flag) => flag === '--expose-gc')
    for (const [uid, used] of [
      [12_345, false],
      [0, true],
    ] as const) {
      await chown(key, uid, 0)
      await cache.age(entry, hour)
      const { stdout, stderr } = await runModule(shop, 'host.mjs', script, { flags })
      assert.equal(stdout, '111\n', stderr)
      assert.equal(Date.now() - (await stat(entry)).mtimeMs < 60_000, used)
      assert.equal((await stat(key)).uid, uid)
    }
  },
)

test('what a process left that was killed while it wrote goes', async (t) => {
  const { shop, cache, answer } = await cached(t)
  await answer(await build(shop, 111))
  const entry = await cache.added()
  const [left, fresh] = [`${entry}.0123456789ab.tmp`, `${entry}.ba9876543210.tmp`]
  for (const each of [left, fresh]) await writeFile(each, 'half an entry')
  await cache.age(left, hour)
  const other = await build(shop, 222)
  await answer(other)
  await until('it is gone', async () => !(await readdir(cache.path)).includes(basename(left)))
  // Another process may be writing this one.
  assert.ok((await readdir(cache.path)).includes(basename(fresh)))
})

test('options that it has not are refused', async (t) => {
  const { shop, cache } = await cached(t)
  const wrong = [
    { directory: cache.path, maxbytes: 1 },
    { directory: cache.path, maxBytes: -1 },
    { directory: '' },
    {} as CodeCacheOptions,
  ]
  for (const codeCache of wrong) assert.throws(() => shop.platform({ codeCache }), { code: 'invalid-option' })
})
