import assert from 'node:assert/strict'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { workshop } from './support/workshop.js'

test('opens a plugin file and calls what it exports', async (t) => {
  const { plugin, platform } = await workshop(t)
  const { path } = await plugin('hello', `export function Hello(): string { return 'hello' }`)
  const opened = await platform().open<{ Hello(): string }>(path)
  assert.equal(opened.lookup('Hello')(), 'hello')
  assert.deepEqual(opened.symbols, ['Hello'])
})

test('runs module code once, however often, concurrently and from whatever path the content is opened', async (t) => {
  const { plugin, platform, folder } = await workshop(t)
  const { path } = await plugin(
    'counted',
    `const g = process.env as Record<string, string>; g.COUNTED = String(Number(g.COUNTED ?? 0) + 1); export const n = Number(g.COUNTED)`,
  )
  t.after(() => delete process.env['COUNTED'])
  const copy = join(folder, 'copy.plugin.cjs')
  await copyFile(path, copy)
  const host = platform()
  const [a, b] = await Promise.all([host.open(path), host.open(copy), host.open(path)])
  assert.equal(a, b)
  assert.equal(await host.open(path), a)
  assert.equal(process.env['COUNTED'], '1')
})
