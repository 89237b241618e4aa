import assert from 'node:assert/strict'
import { symlink } from 'node:fs/promises'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { installedPackage, PluginError } from '@micrograft/plugin'
import { build } from '@micrograft/plugin/build'
import { workshop, type Workshop } from './support/workshop.js'

interface Sdk {
  readonly Base: new () => { readonly kind: string }
  readonly seen: unknown[]
}

/** An installed package `host-sdk` 1.4.2 in the folder `at`, with a module `host-sdk/errors`. */
async function sdk({ write, folder }: Workshop, at: string, kind: 'module' | 'commonjs'): Promise<string> {
  const place = `${at}/node_modules/host-sdk`
  await write(
    `${place}/package.json`,
    JSON.stringify({
      name: 'host-sdk',
      version: '1.4.2',
      type: kind,
      exports: { '.': './index.js', './errors': './errors.js' },
    }),
  )
  if (kind === 'module') {
    await write(
      `${place}/index.js`,
      `export class Base { kind = 'base' }
      export const seen = []
      export let count = 0
      export const increase = () => { count++ }
      export default function describe(value) { return value instanceof Base }`,
    )
    await write(`${place}/errors.js`, `export class SdkError extends Error {}`)
  } else {
    await write(
      `${place}/index.js`,
      `class Base { kind = 'base' }
      module.exports = function describe(value) { return value instanceof Base }
      Object.assign(module.exports, { Base, seen: [] })`,
    )
    await write(`${place}/errors.js`, `exports.SdkError = class SdkError extends Error {}`)
  }
  return pathToFileURL(`${folder}/${at}/host.js`).href
}

const source = `import describe, { Base, seen } from 'host-sdk'
import * as all from 'host-sdk'
import { SdkError } from 'host-sdk/errors'

export class Mine extends Base { mine = true }
seen.push(Mine)
export const make = (): Base => new Mine()
export const isBase = (value: unknown): boolean => value instanceof Base && describe(value)
export const fail = (): never => { throw new SdkError('mine') }
export const same = [all.Base === Base, all.default === describe, require('host-sdk').Base === Base]
export const required = require('host-sdk')
export const later = async (): Promise<boolean> => {
  const module = await import('host-sdk')
  return module.Base === Base && module.default === describe
}
export { Base }`

for (const kind of ['module', 'commonjs'] as const) {
  const what = kind === 'module' ? 'an ES module' : 'a CommonJS module'

  test(`shares the classes of a host package that is ${what}, with its default export`, async (t) => {
    const shop = await workshop(t)
    const from = await sdk(shop, 'shared', kind)
    const shared = installedPackage('host-sdk', from, ['errors'])
    const { Base, seen } = shared.modules['host-sdk'] as Sdk
    const { SdkError } = shared.modules['host-sdk/errors'] as { SdkError: new () => Error }
    assert.equal(shared.version, '1.4.2')

    const entry = await shop.write('shared/entry.ts', source)
    const { path, manifest } = await build(entry, { outDir: shop.folder, external: ['host-sdk'] })
    assert.deepEqual(manifest.host, { 'host-sdk': '^1.4.2' })
    assert.deepEqual(manifest.imports, ['host-sdk', 'host-sdk/errors'])

    const host = shop.platform({ host: { 'host-sdk': shared } })
    const plugin = await host.open<{
      Mine: new () => object
      Base: unknown
      make(): object
      isBase(value: unknown): boolean
      fail(): never
      same: boolean[]
      required: unknown
      later(): Promise<boolean>
    }>(path)
    assert.equal(plugin.lookup('Base'), Base)
    assert.ok(plugin.lookup('make')() instanceof Base)
    assert.equal(plugin.lookup('isBase')(new Base()), true)
    assert.equal(plugin.lookup('isBase')({ kind: 'base' }), false)
    assert.throws(plugin.lookup('fail'), SdkError)
    assert.deepEqual(seen, [plugin.lookup('Mine')])
    assert.deepEqual(plugin.lookup('same'), [true, true, true])
    assert.equal(await plugin.lookup('later')(), true)
    if (kind === 'commonjs') assert.equal(plugin.lookup('required'), shared.modules['host-sdk'])
  })
}

test('shows exports of a host package as they change', async (t) => {
  const shop = await workshop(t)
  const from = await sdk(shop, 'live', 'module')
  const shared = installedPackage('host-sdk', from)
  const entry = await shop.write(
    'live/entry.ts',
    `import { count, increase } from 'host-sdk'
    export const next = (): number => { increase(); return count }`,
  )
  const { path } = await build(entry, { outDir: shop.folder, external: ['host-sdk'] })
  const plugin = await shop.platform({ host: { 'host-sdk': shared } }).open<{ next(): number }>(path)
  assert.deepEqual([plugin.lookup('next')(), plugin.lookup('next')()], [1, 2])
  assert.equal((shared.modules['host-sdk'] as { count: number }).count, 2)
})

test('shares a host package with the dependencies of a plugin too', async (t) => {
  const shop = await workshop(t)
  const from = await sdk(shop, 'through', 'module')
  for (const [kind, text] of [
    ['module', `import { Base } from 'host-sdk'; export { Base }`],
    ['commonjs', `exports.Base = require('host-sdk').Base`],
  ] as const) {
    await shop.write(
      `through/node_modules/uses-${kind}/package.json`,
      JSON.stringify({ name: `uses-${kind}`, version: '1.0.0', type: kind }),
    )
    await shop.write(`through/node_modules/uses-${kind}/index.js`, text)
  }
  const entry = await shop.write(
    'through/entry.ts',
    `export { Base as one } from 'uses-module'; export { Base as two } from 'uses-commonjs'`,
  )
  const { path } = await build(entry, { outDir: shop.folder, external: ['host-sdk'] })
  const shared = installedPackage('host-sdk', from)
  const plugin = await shop.platform({ host: { 'host-sdk': shared } }).open(path)
  const { Base } = shared.modules['host-sdk'] as Sdk
  assert.deepEqual([plugin.lookup('one'), plugin.lookup('two')], [Base, Base])
})

test("gives the plugin the host's copy of this package", async (t) => {
  const { plugin, platform } = await workshop(t)
  const { path, manifest } = await plugin(
    'errors',
    `import { PluginError, register } from '@micrograft/plugin'
    register({ name: 'by-hand', symbols: { n: 1 } })
    export const make = (): Error => new PluginError('closed', 'made in a plugin')`,
  )
  assert.deepEqual(Object.keys(manifest.host), ['@micrograft/plugin'])
  const host = platform()
  const opened = await host.open<{ make(): PluginError }>(path)
  const made = opened.lookup('make')()
  assert.ok(made instanceof PluginError)
  assert.equal(Object.getPrototypeOf(made), PluginError.prototype)
  assert.deepEqual(host.versions('by-hand'), ['1.0.0'])
})

test('bundles a library of this project, and leaves to the host what that imports of the host', async (t) => {
  const shop = await workshop(t)
  const place = 'uses/node_modules/@micrograft'
  await shop.write(
    `${place}/contracts/package.json`,
    JSON.stringify({
      name: '@micrograft/contracts',
      version: '0.1.0',
      type: 'module',
      exports: './index.js',
    }),
  )
  await shop.write(`${place}/contracts/index.js`, `export const shared = {}`)
  await shop.write(
    `${place}/some-link/package.json`,
    JSON.stringify({
      name: '@micrograft/some-link',
      version: '0.1.0',
      type: 'module',
      exports: './index.js',
    }),
  )
  await shop.write(
    `${place}/some-link/index.js`,
    `import { shared } from '@micrograft/contracts'\nexport const link = () => shared`,
  )
  const entry = await shop.write('uses/entry.ts', `export { link } from '@micrograft/some-link'`)
  const { path, manifest, inputs } = await build(entry, { outDir: shop.folder })
  assert.deepEqual(manifest.host, { '@micrograft/contracts': '^0.1.0' })
  assert.deepEqual(manifest.imports, ['@micrograft/contracts'])
  assert.ok(inputs.some((input) => input.endsWith('some-link/index.js')))
  const shared = {}
  const contracts = { version: '0.1.0', modules: { '@micrograft/contracts': { shared } } }
  const host = shop.platform({ host: { '@micrograft/contracts': contracts } })
  const plugin = await host.open<{ link(): object }>(path)
  assert.equal(plugin.lookup('link')(), shared)
})

test('takes the range that the package of the plugin asks for, else what fits the version installed', async (t) => {
  const shop = await workshop(t)
  const cases: [json: object, range: string][] = [
    [{ peerDependencies: { 'host-sdk': '^1.2 || ^2' } }, '^1.2 || ^2'],
    [{ dependencies: { 'host-sdk': '~1.4.0' } }, '~1.4.0'],
    [{ peerDependencies: { 'host-sdk': '*' } }, '^1.4.2'],
    [{ dependencies: { 'host-sdk': 'workspace:*' } }, '^1.4.2'],
    [{}, '^1.4.2'],
  ]
  for (const [i, [json, range]] of cases.entries()) {
    await sdk(shop, `asks-${i}`, 'module')
    await shop.write(
      `asks-${i}/package.json`,
      JSON.stringify({ name: `asks-${i}`, version: '1.0.0', ...json }),
    )
    const entry = await shop.write(`asks-${i}/plugin.ts`, `export { Base } from 'host-sdk'`)
    const { manifest } = await build(entry, { outDir: shop.folder, external: ['host-sdk'] })
    assert.deepEqual(manifest.host, { 'host-sdk': range })
  }
})

test('takes a host package from a workspace, through a link', async (t) => {
  const shop = await workshop(t)
  await sdk(shop, 'elsewhere', 'module')
  await shop.write('linked/node_modules/.keep', '')
  await symlink(
    '../../elsewhere/node_modules/host-sdk',
    `${shop.folder}/linked/node_modules/host-sdk`,
    'junction',
  )
  const entry = await shop.write('linked/entry.ts', `export { Base } from 'host-sdk'`)
  const { manifest, inputs } = await build(entry, { outDir: shop.folder, external: ['host-sdk'] })
  assert.deepEqual(manifest.host, { 'host-sdk': '^1.4.2' })
  assert.deepEqual(inputs, ['linked/entry.ts'])
})
