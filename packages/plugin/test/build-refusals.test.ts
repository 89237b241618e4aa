import assert from 'node:assert/strict'
import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { build } from '@micrograft/plugin/build'
import { refusesToBuild, type Refusal } from './support/refused-build.js'
import { workshop } from './support/workshop.js'

interface Refused extends Refusal {
  readonly title: string
  /** The entry, `entry.ts` unless a name is given. */
  readonly source: string
  readonly name?: string
  readonly files?: Readonly<Record<string, string>>
  readonly external?: readonly string[]
}

const wayOutOfWaiting = 'do the work in an exported async function, which the host calls'
const wayOutOfAddons =
  'let the host own it and share it as a host package, run it in a child process, or use a JavaScript or WebAssembly build of it'
const json = (fields: object) => JSON.stringify({ version: '1.0.0', ...fields })

const refused: readonly Refused[] = [
  {
    title: 'top-level await',
    source: `import { readFile } from 'node:fs/promises'\nexport const text = await readFile('x')`,
    code: 'top-level-await',
    says: ['entry.ts:2:21', wayOutOfWaiting],
  },
  {
    title: 'top-level await in a loop',
    source: `export const all: unknown[] = []\nfor await (const each of all) all.push(each)`,
    code: 'top-level-await',
    says: ['entry.ts:2:5', wayOutOfWaiting],
  },
  {
    title: 'top-level await in a module that is imported later',
    source: `export const later = () => import('./late.js')`,
    files: { 'late.ts': `export const x = 1\nawait Promise.resolve()` },
    code: 'top-level-await',
    says: ['late.ts:2:1', wayOutOfWaiting],
  },
  {
    title: 'a native addon, imported',
    source: `import addon from './build/addon.node'; export { addon }`,
    files: { 'build/addon.node': '\x7fELF' },
    code: 'native-addon',
    says: ['entry.ts:1:19', './build/addon.node', wayOutOfAddons],
  },
  {
    title: 'a native addon, required, that is not built yet',
    source: `export const addon = require('./build/Release/addon.node')`,
    code: 'native-addon',
    says: ['entry.ts:1:30', './build/Release/addon.node', wayOutOfAddons],
  },
  {
    title: 'a package whose main file is a native addon',
    source: `import addon from 'binary'; export { addon }`,
    files: {
      'node_modules/binary/package.json': json({ name: 'binary', main: 'binary.node' }),
      'node_modules/binary/binary.node': '\x7fELF',
    },
    code: 'native-addon',
    says: ['binary loads a native addon (binary.node)', wayOutOfAddons],
  },
  ...['bindings', 'node-gyp-build', '@mapbox/node-pre-gyp'].map((loader): Refused => ({
    title: `a package that loads a native addon through ${loader}`,
    source: `import fast from 'fast'; export { fast }`,
    files: {
      'node_modules/fast/package.json': json({ name: 'fast', dependencies: { [loader]: '*' } }),
      'node_modules/fast/index.js': `module.exports = require('${loader}')(__dirname)`,
      'node_modules/fast/build/Release/fast.node': '\x7fELF',
      [`node_modules/${loader}/package.json`]: json({ name: loader }),
      [`node_modules/${loader}/index.js`]: `module.exports = (folder) => require(folder + '/build/Release/fast.node')`,
    },
    code: 'native-addon',
    says: [`fast loads a native addon (${loader})`, wayOutOfAddons],
  })),
  {
    title: 'a host package that is bundled through a path',
    source: `import { Base } from './node_modules/host-sdk/index.js'; export class Mine extends Base {}`,
    files: {
      'node_modules/host-sdk/package.json': json({ name: 'host-sdk' }),
      'node_modules/host-sdk/index.js': `exports.Base = class Base {}`,
    },
    external: ['host-sdk'],
    code: 'host-package-bundled',
    says: [
      'entry.ts',
      'a copy of host-sdk',
      './node_modules/host-sdk/index.js',
      'import it by its name, host-sdk',
    ],
  },
  {
    title: 'a host package that a dependency bundles through a path',
    source: `export { Base } from 'between'`,
    files: {
      'node_modules/between/package.json': json({ name: 'between' }),
      'node_modules/between/index.js': `exports.Base = require('../host-sdk/lib/base').Base`,
      'node_modules/host-sdk/package.json': json({ name: 'host-sdk' }),
      'node_modules/host-sdk/lib/base.js': `exports.Base = class Base {}`,
    },
    external: ['host-sdk'],
    code: 'host-package-bundled',
    says: ['between/index.js imports ../host-sdk/lib/base', 'import it by its name, host-sdk'],
  },
  {
    title: 'a host package that is not installed, whose range nobody knows',
    source: `import sdk from 'host-sdk'; export { sdk }`,
    external: ['host-sdk'],
    code: 'unresolved-import',
    says: ['host-sdk is not installed', 'install it, or name a range in peerDependencies'],
  },
  {
    title: 'an entry that is a CommonJS module',
    name: 'entry.cts',
    source: `exports.Hello = () => 'hello'`,
    code: 'commonjs-entry',
    says: ['entry.cts is a CommonJS module', 'use `export`', 'exports its symbols by name'],
  },
  {
    title: 'an entry that exports all of a CommonJS module',
    source: `export * from './old.cjs'`,
    files: { 'old.cjs': `exports.Hello = () => 'hello'` },
    code: 'commonjs-entry',
    says: ['exports all of a CommonJS module', 'name them, as in `export { a, b } from`'],
  },
  {
    title: 'an entry that exports all of a host package',
    source: `export * from '@micrograft/plugin'`,
    code: 'commonjs-entry',
    says: ['or of a host package', 'name them, as in `export { a, b } from`'],
  },
  {
    title: 'a syntax error',
    source: `export const a = 1\nexport function (: number {}`,
    code: 'syntax-error',
    says: [/entry\.ts:2:17: /],
  },
  {
    title: 'a syntax error in JSON',
    source: `import data from './data.json'; export { data }`,
    files: { 'data.json': '{ "a": }' },
    code: 'syntax-error',
    says: [/data\.json:1:8: /],
  },
  {
    title: 'an import of a file that is not there',
    source: `\nimport { a } from './missing.js'; export { a }`,
    code: 'unresolved-import',
    says: ['entry.ts:2:19', './missing.js', 'correct the path'],
  },
  {
    title: 'an import of a package that is not installed',
    source: `import a from 'not-installed'; export { a }`,
    code: 'unresolved-import',
    says: [
      'entry.ts:1:15',
      'not-installed',
      'install it',
      'name its package as external where the host brings it',
    ],
  },
  {
    title: 'an import of a name that is not exported',
    source: `import { b } from './a.js'; export const c = b`,
    files: { 'a.ts': `export const a = 1` },
    code: 'unresolved-import',
    says: ['entry.ts:1:10', '"b"', 'correct the name'],
  },
  {
    title: 'an import of a kind of file that nothing is known of',
    source: `import image from './image.png'; export { image }`,
    files: { 'image.png': 'x' },
    code: 'unresolved-import',
    says: ['entry.ts:1:19', 'image.png', `with { type: 'text' } or { type: 'bytes' }`],
  },
]

for (const { title, source, name = 'entry.ts', files = {}, external = [], code, says } of refused) {
  test(`refuses ${title}`, async (t) => {
    const { write, folder } = await workshop(t)
    for (const [file, text] of Object.entries(files)) await write(`source/${file}`, text)
    const entry = await write(`source/${name}`, 'export const before = 1')
    const options = { outDir: join(folder, 'out'), external }
    if (name === 'entry.ts') await build(entry, options)
    await write(`source/${name}`, source)
    const error = await refusesToBuild(entry, { code, says }, options)
    assert.equal(error.path, entry)
  })
}

test('refuses a host package that is bundled through a link to it', async (t) => {
  const { write, folder } = await workshop(t)
  await write('sdk/package.json', json({ name: 'host-sdk' }))
  await write('sdk/index.ts', `export class Base {}`)
  await mkdir(join(folder, 'app/vendor'), { recursive: true })
  await symlink('../../sdk', join(folder, 'app/vendor/alias'), 'junction')
  const entry = await write('app/entry.ts', `export { Base } from './vendor/alias/index.js'`)
  await refusesToBuild(
    entry,
    { code: 'host-package-bundled', says: ['a copy of host-sdk', './vendor/alias/index.js'] },
    { outDir: join(folder, 'out'), external: ['host-sdk'] },
  )
})

test('tells several problems at once', async (t) => {
  const { write, folder } = await workshop(t)
  const entry = await write(
    'entry.ts',
    `${[1, 2, 3, 4, 5, 6, 7].map((n) => `import './missing-${n}.js'`).join('\n')}`,
  )
  const error = await refusesToBuild(
    entry,
    { code: 'unresolved-import', says: ['missing-1.js', 'missing-5.js', 'and 2 more'] },
    { outDir: join(folder, 'out') },
  )
  assert.equal(error.problems.length, 7)
})
