import assert from 'node:assert/strict'
import { appendFile, copyFile, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { WatchOptions } from '@micrograft/plugin'
import { pluginFolder } from './support/plugin-folder.js'
import { until } from './support/until.js'
import { workshop } from './support/workshop.js'

/** Long enough that nothing is refused for it within a test. */
const never = 600_000

/** A platform, a folder, and how to begin to watch it. */
async function watched(t: TestContext) {
  const shop = await workshop(t)
  const host = shop.platform()
  const folder = await pluginFolder(shop, host)
  const watch = (options?: WatchOptions) => host.watch(folder.path, { settleMs: never, ...options })
  const { call } = host.use<{ version(): string }>('hello')
  return { host, shop, folder, watch, call, file: join(folder.path, 'hello.plugin.cjs') }
}

test('takes the files that are there before it begins', async (t) => {
  const { folder, watch, call, host } = await watched(t)
  await folder.put(await folder.build('hello', '1.0.0'), 'b.plugin.cjs')
  await folder.put(await folder.build('hello', '2.0.0'), 'a.plugin.cjs')
  const watcher = await watch()
  assert.equal(watcher.directory, folder.path)
  assert.deepEqual(folder.opened, ['hello 2.0.0', 'hello 1.0.0'])
  assert.equal(call.version(), '2.0.0')
  assert.deepEqual(folder.refused, [])
  assert.equal(host.plugins.length, 2)
})

test('takes a file that appears, without waiting for the next look', async (t) => {
  const { folder, watch, call } = await watched(t)
  await watch({ pollMs: never })
  await folder.put(await folder.build('hello', '1.0.0'), 'hello.plugin.cjs')
  await until('it is taken', () => folder.opened.length === 1)
  assert.equal(call.version(), '1.0.0')
})

test('takes what replaces a file, renamed over it or written into it', async (t) => {
  const { folder, watch, call, file } = await watched(t)
  await folder.put(await folder.build('hello', '1.0.0'), 'hello.plugin.cjs')
  await watch()
  await folder.put(await folder.build('hello', '2.0.0'), 'hello.plugin.cjs')
  await until('the renamed file is taken', () => folder.opened.includes('hello 2.0.0'))
  assert.equal(call.version(), '2.0.0')
  await writeFile(file, await readFile(await folder.build('hello', '3.0.0')))
  await until('the overwritten file is taken', () => folder.opened.includes('hello 3.0.0'))
  assert.equal(call.version(), '3.0.0')
  assert.deepEqual(folder.refused, [])
})

test('takes a file that is written slowly only when it is complete, and refuses it at no time', async (t) => {
  const { folder, watch, file } = await watched(t)
  await folder.put(await folder.build('hello', '1.0.0'), 'hello.plugin.cjs')
  await watch()
  const bytes = await readFile(await folder.build('hello', '2.0.0'))
  await writeFile(file, '')
  const writer = await open(file, 'r+')
  // Ends of chunks: in the magic, the manifest, the code, and before the last byte.
  const ends = [4, 60, bytes.indexOf(10) + 40, bytes.length - 1, bytes.length]
  let at = 0
  for (const end of ends) {
    await writer.write(bytes, at, end - at, at)
    at = end
    if (end === bytes.length) break
    await folder.looked()
    assert.deepEqual(folder.opened, ['hello 1.0.0'], `after ${end} of ${bytes.length} bytes`)
  }
  await writer.close()
  await until('the complete file is taken', () => folder.opened.includes('hello 2.0.0'))
  assert.deepEqual(folder.refused, [])
})

test('refuses a truncated file that stays as it is, once, and no sooner than settleMs', async (t) => {
  const { folder, watch, file } = await watched(t)
  await watch({ settleMs: 150 })
  const bytes = await readFile(await folder.build('hello', '1.0.0'))
  const written = performance.now()
  await folder.putContent(bytes.subarray(0, bytes.length - 10), 'hello.plugin.cjs')
  await folder.looked()
  await until('it is refused', () => folder.refused.length > 0)
  // The clock of the file's look and this one may differ by a rounding.
  assert.ok(performance.now() - written >= 148)
  await folder.looked()
  const [only, ...more] = folder.refused
  assert.deepEqual([only?.path, only?.error.code, more], [file, 'truncated', []])
  assert.match(only?.error.message ?? '', /hello\.plugin\.cjs has \d+ of the \d+ bytes/)
})

test('refuses what is no plugin file, each once, and goes on with the others', async (t) => {
  const { folder, watch } = await watched(t)
  const { path } = folder
  const good = await readFile(await folder.build('hello', '1.0.0'))
  const flipped = Buffer.from(good)
  flipped[flipped.length - 3] = (flipped.at(-3) ?? 0) ^ 1
  await watch({ settleMs: 1 })
  const cases: readonly (readonly [string, string | Buffer])[] = [
    ['code-mismatch', flipped],
    ['code-mismatch', Buffer.concat([good, Buffer.from('// more')])],
    ['empty', ''],
    ['not-a-plugin', '\x7fELF and so on'],
    ['not-a-plugin', 'module.exports = {}\n'],
    ['newer-format', '/*!plugin 9 x*/\n\n'],
  ]
  for (const [i, [code, content]] of cases.entries())
    await folder.putContent(content, `${i}-${code}.plugin.cjs`)
  await mkdir(join(path, '6-not-a-file.plugin.cjs'))
  await until('all are refused', () => folder.refused.length >= 7)
  await folder.looked()
  const told = folder.refused.map((each) => [each.path, each.error.code]).toSorted()
  const expected = [...cases.map(([code]) => code), 'not-a-file']
  assert.deepEqual(
    told,
    expected.map((code, i) => [join(path, `${i}-${code}.plugin.cjs`), code]),
  )
  assert.deepEqual(folder.opened, [])
})

test('refuses at once what more bytes would not mend', async (t) => {
  const { folder, watch, shop } = await watched(t)
  await watch()
  const throwing = await shop.plugin('throws', `throw new Error('mine')`)
  await folder.put(throwing.path, 'throws.plugin.cjs')
  await until('it is refused', () => folder.refused.length > 0)
  assert.equal(folder.refused[0]?.error.code, 'module-threw')
  await folder.put(await folder.build('hello', '1.0.0'), 'a.plugin.cjs')
  await until('it is taken', () => folder.opened.length === 1)
  const other = await folder.build('hello', '1.0.0', { type: 'other', outDir: join(shop.folder, 'other') })
  await folder.put(other, 'b.plugin.cjs')
  await until('it is refused', () => folder.refused.length > 1)
  assert.equal(folder.refused[1]?.error.code, 'version-taken')
})

test('takes a refused file once it is corrected, renamed over or written to', async (t) => {
  const { folder, watch, file, call } = await watched(t)
  await watch({ settleMs: 1 })
  const garbage = () => folder.refused.filter(({ error }) => error.code === 'not-a-plugin')
  const corrections = [
    (good: string) => folder.put(good, 'hello.plugin.cjs'),
    async (good: string) => writeFile(file, await readFile(good)),
  ]
  for (const [i, correct] of corrections.entries()) {
    const version = `${i}.0.0`
    const good = await folder.build('hello', version)
    await folder.putContent('garbage', 'hello.plugin.cjs')
    await until('the garbage is refused', () => garbage().length > i)
    await correct(good)
    await until('the corrected file is taken', () => folder.opened.includes(`hello ${version}`))
    assert.equal(call.version(), version)
  }
  assert.equal(garbage().length, 2)
})

test('completes a truncated file that somebody goes on writing after it was refused', async (t) => {
  const { folder, watch, file } = await watched(t)
  await watch({ settleMs: 1 })
  const bytes = await readFile(await folder.build('hello', '1.0.0'))
  await folder.putContent(bytes.subarray(0, 300), 'hello.plugin.cjs')
  await until('it is refused', () => folder.refused.length > 0)
  await appendFile(file, bytes.subarray(300))
  await until('it is taken', () => folder.opened.length === 1)
})

test('leaves files of other names alone, hidden and temporary ones too', async (t) => {
  const { folder, watch } = await watched(t)
  const good = await folder.build('hello', '1.0.0')
  const put = (name: string) => copyFile(good, join(folder.path, name))
  await put('before.cjs')
  await watch({ settleMs: 0 })
  const names = ['.hello.plugin.cjs', 'hello.plugin.cjs.tmp', 'hello.plugin.cjs~', 'hello.plugin.cjs.map']
  for (const name of [...names, 'hello.cjs', 'hello.plugin.js', 'plugin.cjs', 'README.md']) await put(name)
  await mkdir(join(folder.path, 'sub'))
  await put('sub/hello.plugin.cjs')
  await folder.looked()
  assert.deepEqual([folder.opened, folder.refused], [[], []])
  await rename(join(folder.path, 'hello.plugin.cjs.tmp'), join(folder.path, 'hello.plugin.cjs'))
  await until('it is taken under its own name', () => folder.opened.length === 1)
})

test('a file that goes, or goes and comes back, changes nothing', async (t) => {
  const { folder, watch, host, call } = await watched(t)
  const good = await folder.build('hello', '1.0.0')
  const path = await folder.put(good, 'hello.plugin.cjs')
  await watch()
  const { plugins } = host
  await rm(path)
  await folder.looked()
  assert.equal(call.version(), '1.0.0')
  await folder.put(good, 'hello.plugin.cjs')
  await folder.put(good, 'copy.plugin.cjs')
  await folder.looked()
  assert.deepEqual(
    host.plugins.filter(({ manifest }) => manifest.name === 'hello'),
    plugins,
  )
  assert.deepEqual([folder.opened, folder.refused], [['hello 1.0.0'], []])
})
