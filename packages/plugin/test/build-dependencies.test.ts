import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build } from '@micrograft/plugin/build'
import { workshop, type Workshop } from './support/workshop.js'

/** Writes a package into the `node_modules` of `folder`. */
async function install(
  { write }: Workshop,
  folder: string,
  json: { readonly name: string } & Record<string, unknown>,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const place = `${folder}/node_modules/${json.name}`
  await write(`${place}/package.json`, JSON.stringify({ version: '1.0.0', ...json }))
  for (const [name, text] of Object.entries(files)) await write(`${place}/${name}`, text)
}

test('gives each of two plugins the version of a dependency that it was built with', async (t) => {
  const shop = await workshop(t)
  for (const version of ['1.0.0', '2.0.0']) {
    const folder = `uses-${version}`
    await install(
      shop,
      folder,
      { name: 'dep', version },
      {
        'index.js': `exports.version = '${version}'; exports.seen = []; exports.see = (what) => exports.seen.push(what)`,
      },
    )
    await shop.write(
      `${folder}/entry.ts`,
      `import { seen, see, version } from 'dep'; see(version); export { seen, version }`,
    )
  }
  const host = shop.platform()
  const [one, two] = await Promise.all(
    ['1.0.0', '2.0.0'].map(async (version) => {
      const entry = `${shop.folder}/uses-${version}/entry.ts`
      const { path } = await build(entry, { name: `uses-${version}`, outDir: shop.folder })
      return host.open(path)
    }),
  )
  assert.deepEqual([one?.lookup('version'), two?.lookup('version')], ['1.0.0', '2.0.0'])
  assert.deepEqual([one?.lookup('seen'), two?.lookup('seen')], [['1.0.0'], ['2.0.0']])
})

test('bundles CommonJS packages: exports, module.exports, and one made from an ES module', async (t) => {
  const shop = await workshop(t)
  await install(
    shop,
    'cjs',
    { name: 'plain' },
    {
      'index.js': `exports.a = 1; exports.here = [typeof __dirname, this === exports, typeof require('path').join]`,
    },
  )
  await install(shop, 'cjs', { name: 'whole' }, { 'index.js': `module.exports = class Whole { n = 2 }` })
  await install(
    shop,
    'cjs',
    { name: 'made' },
    {
      'index.js': `Object.defineProperty(exports, '__esModule', { value: true }); exports.default = 3; exports.named = 4`,
    },
  )
  await install(
    shop,
    'cjs',
    { name: 'folded', exports: { '.': { default: './lib/index.cjs' }, './sub': './lib/sub.js' } },
    {
      'lib/index.cjs': `exports.b = require('./sub.js').b + 1`,
      'lib/sub.js': `exports.b = 5`,
    },
  )
  const entry = await shop.write(
    'cjs/entry.mts',
    `import { a, here } from 'plain'
    import Whole from 'whole'
    import made, { named } from 'made'
    import folded from 'folded'
    import { b } from 'folded/sub'
    export const got = [a, new Whole().n, made.default, named, folded.b, b]
    export { here }`,
  )
  const { path } = await build(entry, { outDir: shop.folder })
  const opened = await shop.platform().open(path)
  assert.deepEqual(opened.lookup('got'), [1, 2, 3, 4, 6, 5])
  assert.deepEqual(opened.lookup('here'), ['string', true, 'function'])
})

test('bundles packages that are ES modules only, also where CommonJS code requires them', async (t) => {
  const shop = await workshop(t)
  const json = {
    name: 'modern',
    type: 'module',
    exports: { '.': { import: './index.js', types: './index.d.ts' } },
  }
  await install(shop, 'esm', json, {
    'index.js': `export default function modern() { return 'modern' }
      export const where = import.meta.url.startsWith('file:')`,
  })
  await install(
    shop,
    'esm',
    { name: 'bridge' },
    {
      'index.js': `exports.get = () => import('modern').then((m) => m.default())`,
    },
  )
  const entry = await shop.write(
    'esm/entry.ts',
    `import modern, { where } from 'modern'
    import { get } from 'bridge'
    export { where, get }
    export const text: string = modern()`,
  )
  const { path } = await build(entry, { outDir: shop.folder })
  const opened = await shop.platform().open<{ where: boolean; text: string; get(): Promise<string> }>(path)
  assert.deepEqual([opened.lookup('text'), opened.lookup('where')], ['modern', true])
  assert.equal(await opened.lookup('get')(), 'modern')
})

test('carries the code of a workspace package that node_modules links to', async (t) => {
  const shop = await workshop(t)
  const { symlink } = await import('node:fs/promises')
  await shop.write(
    'workspace/lib/package.json',
    '{ "name": "lib", "version": "1.0.0", "main": "src/index.ts" }',
  )
  await shop.write('workspace/lib/src/index.ts', `export enum Color { Red = 'red' }`)
  await shop.write('workspace/app/package.json', '{ "name": "app", "version": "3.2.1" }')
  await shop.write('workspace/node_modules/.keep', '')
  await symlink('../lib', `${shop.folder}/workspace/node_modules/lib`, 'junction')
  const entry = await shop.write(
    'workspace/app/index.ts',
    `import { Color } from 'lib'; export const color: Color = Color.Red`,
  )
  const { path, manifest, inputs } = await build(entry, { outDir: shop.folder })
  assert.deepEqual([manifest.name, manifest.version], ['app', '3.2.1'])
  assert.deepEqual(inputs.toSorted(), ['../lib/src/index.ts', 'index.ts'])
  assert.equal((await shop.platform().open(path)).lookup('color'), 'red')
})

test('treats what a package can do without, and is not installed or native, as absent', async (t) => {
  const shop = await workshop(t)
  const attempt = (name: string) =>
    `(() => { try { return require('${name}') } catch (e) { return e.code } })()`
  const names = ['opt-missing', 'opt-bindings', 'opt-gyp', 'opt-main', 'peer-native', 'opt-plain']
  await install(
    shop,
    'optional',
    {
      name: 'careful',
      optionalDependencies: Object.fromEntries(
        names.filter((name) => name.startsWith('opt-')).map((name) => [name, '*']),
      ),
      peerDependencies: { 'peer-native': '*' },
      peerDependenciesMeta: { 'peer-native': { optional: true } },
    },
    { 'index.js': `module.exports = [${names.map(attempt).join()}]` },
  )
  await install(
    shop,
    'optional',
    { name: 'opt-bindings', dependencies: { bindings: '*' } },
    {
      'index.js': `module.exports = require('bindings')('addon')`,
    },
  )
  await install(
    shop,
    'optional',
    { name: 'opt-gyp' },
    { 'index.js': 'module.exports = 1', 'binding.gyp': '{}' },
  )
  await install(shop, 'optional', { name: 'opt-main', main: 'addon.node' }, { 'addon.node': '\x7fELF' })
  await install(
    shop,
    'optional',
    { name: 'peer-native', dependencies: { 'node-gyp-build': '*' } },
    {
      'index.js': `module.exports = require('node-gyp-build')(__dirname)`,
    },
  )
  await install(shop, 'optional', { name: 'opt-plain' }, { 'index.js': `module.exports = 'there'` })
  const entry = await shop.write('optional/entry.ts', `import careful from 'careful'; export { careful }`)
  const { path, manifest } = await build(entry, { outDir: shop.folder })
  assert.deepEqual(manifest.imports, [])
  const opened = await shop.platform().open(path)
  const absent = 'MODULE_NOT_FOUND'
  assert.deepEqual(opened.lookup('careful'), [absent, absent, absent, absent, absent, 'there'])
})
