import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  createPlatform,
  inspect,
  installedPackage,
  PluginError,
  type PlatformOptions,
} from '@micrograft/plugin'
import { build } from '@micrograft/plugin/build'
import { workshop } from './support/workshop.js'

/** As a program in JavaScript gives it. */
const wrong = (options: object) => options as PlatformOptions

for (const [what, options, says] of [
  [
    'options that are no object',
    true as unknown as object,
    /the options of a platform are true; give an object/,
  ],
  ['trust that is no object', { trust: true }, /the trust options are true; give an object/],
  ['one key in place of a list', { trust: { keys: 'PEM' } }, /trust\.keys .* list/],
  ['a key that is no text', { trust: { keys: [undefined] } }, /trust\.keys .* list/],
  ['one directory in place of a list', { trust: { directories: '.' } }, /trust\.directories .* list/],
  ['one type in place of a list', { types: 'client' }, /types .* list/],
  ['one module in place of a list', { builtins: 'fs' }, /builtins .* list/],
  [
    'a host package that is the module itself',
    { host: { 'acme-sdk': { Order: 1 } } },
    /acme-sdk .*installedPackage/,
  ],
  [
    'a host package without modules',
    { host: { 'acme-sdk': { version: '1.0.0' } } },
    /acme-sdk .*installedPackage/,
  ],
  ['a host package that is nothing', { host: { 'acme-sdk': undefined } }, /acme-sdk .*installedPackage/],
  ['a cache folder that is no text', { codeCache: { directory: 5 } }, /code cache has no directory/],
  [
    'a time that no timer can wait',
    { disposeTimeoutMs: 2 ** 31 },
    /disposeTimeoutMs .* from 0 to 2147483647/,
  ],
] as const) {
  test(`refuses ${what}, by its name`, () => {
    assert.throws(
      () => createPlatform(wrong(options)),
      (error) => {
        assert.ok(error instanceof PluginError, String(error))
        assert.equal(error.code, 'invalid-option')
        assert.match(error.message, says)
        return true
      },
    )
  })
}

test('refuses to watch with times that no timer can wait', async (t) => {
  const { folder, platform } = await workshop(t)
  for (const options of [{ pollMs: 2 ** 31 }, { settleMs: 2 ** 31 }])
    await assert.rejects(platform().watch(folder, options), { code: 'invalid-option', name: 'PluginError' })
})

test('refuses a URL that is no file, and what is no path at all', async (t) => {
  const { platform, folder } = await workshop(t)
  const host = platform()
  for (const path of [new URL('https://example.com/hello.plugin.cjs'), undefined as unknown as string]) {
    const refusal = { name: 'PluginError', code: 'invalid-option', message: /is no path of a file; give/ }
    await assert.rejects(host.open(path), refusal)
    await assert.rejects(inspect(path), refusal)
    if (path !== undefined) await assert.rejects(build(path, { outDir: folder }), refusal)
  }
})

test('refuses a range and a version that are no text', async (t) => {
  const { platform, plugin } = await workshop(t)
  const host = platform()
  await host.open((await plugin('hello', 'export const n = 1')).path)
  assert.throws(() => host.prefer('hello', 1 as unknown as string), { code: 'invalid-range' })
})

test('says from where a host package is looked for in vain, whatever was given', () => {
  for (const from of ['relative/path.js', '', 'https://example.com/x.js'])
    assert.throws(() => installedPackage('acme-sdk', from), { name: 'PluginError', code: 'not-found' })
})

test('keeps compiled code where it was told to, also when the host changes its folder', async (t) => {
  const { folder, plugin, platform, write } = await workshop(t)
  const { path } = await plugin('hello', 'export const n = 1')
  await write('elsewhere/x', '')
  const before = process.cwd()
  t.after(() => process.chdir(before))
  process.chdir(folder)
  const host = platform({ codeCache: { directory: 'kept' } })
  process.chdir(join(folder, 'elsewhere'))
  await host.open(path)
  const { CacheFolder } = await import('./support/cache-folder.js')
  await new CacheFolder(join(folder, 'kept')).added()
})
