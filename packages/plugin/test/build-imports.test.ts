import assert from 'node:assert/strict'
import fs from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { build } from '@micrograft/plugin/build'
import { life } from './support/life.js'
import { workshop } from './support/workshop.js'

test('bundles several source files, imported with and without their ending', async (t) => {
  const { write, plugin, platform } = await workshop(t)
  await write('main-src/words.ts', `export const words: readonly string[] = ['hello', 'world']`)
  await write(
    'main-src/deep/join.ts',
    `import { words } from '../words'; export const all = (): string => words.join(' ')`,
  )
  await write(
    'main-src/shout.mts',
    `export default function shout(text: string): string { return text.toUpperCase() }`,
  )
  const { path, inputs } = await plugin(
    'main',
    `import shout from './shout.mjs'
    import { all } from './deep/join.js'
    export { words } from './words.js'
    export const Hello = (): string => shout(all())`,
  )
  const opened = await platform().open<{ Hello(): string; words: string[] }>(path)
  assert.equal(opened.lookup('Hello')(), 'HELLO WORLD')
  assert.deepEqual(opened.lookup('words'), ['hello', 'world'])
  assert.deepEqual(inputs.toSorted(), [
    'main-src/deep/join.ts',
    'main-src/main.ts',
    'main-src/shout.mts',
    'main-src/words.ts',
  ])
})

test('imports JSON, text by its ending, and any file as text or bytes by an attribute', async (t) => {
  const { write, plugin, platform } = await workshop(t)
  const text = 'héllo\n"world" `${1}`\n'
  await write('data-src/data.json', JSON.stringify({ name: 'ü', list: [1, { a: null }], 'a-b': true }))
  for (const ending of ['txt', 'md', 'html', 'sql', 'css', 'graphql', 'proto', 'tpl', 'dat'])
    await write(`data-src/file.${ending}`, text)
  await write('data-src/file.bin', Uint8Array.of(0, 255, 13, 10))
  await write('data-src/json-as-text.json', '{ "a":  1 }')
  const { path, inputs } = await plugin(
    'data',
    `import data, { name } from './data.json'
    import txt from './file.txt'
    import md from './file.md'
    import html from './file.html'
    import sql from './file.sql'
    import css from './file.css'
    import graphql from './file.graphql'
    import proto from './file.proto'
    import tpl from './file.tpl' with { type: 'text' }
    import dat from './file.dat' with { type: 'bytes' }
    import datText from './file.dat' with { type: 'text' }
    import bin from './file.bin'
    import json from './json-as-text.json' with { type: 'text' }
    export const texts = [txt, md, html, sql, css, graphql, proto, tpl, datText]
    export const bytes = [dat, bin]
    export { data, name, json }`,
  )
  const opened = await platform().open(path)
  assert.deepEqual(opened.lookup('data'), { name: 'ü', list: [1, { a: null }], 'a-b': true })
  assert.equal(opened.lookup('name'), 'ü')
  assert.deepEqual(
    opened.lookup('texts'),
    Array.from({ length: 9 }, () => text),
  )
  const [dat, bin] = opened.lookup('bytes') as Uint8Array[]
  assert.equal(Buffer.from(dat as Uint8Array).toString(), text)
  assert.deepEqual([...(bin as Uint8Array)], [0, 255, 13, 10])
  assert.equal(opened.lookup('json'), '{ "a":  1 }')
  // Once, though it is two modules.
  assert.deepEqual(
    inputs.filter((input) => input.includes('file.dat')),
    ['data-src/file.dat'],
  )
})

test('imports its own code and modules of Node with import(), when they are asked for', async (t) => {
  const shop = await workshop(t)
  await shop.write(
    'lazy-src/late.ts',
    `export default 'late'
    export const ran = (process.env.LATE = 'ran')`,
  )
  t.after(() => delete process.env['LATE'])
  const built = await shop.plugin(
    'lazy',
    `export async function own(): Promise<string> {
      const module = await import('./late.js')
      return module.default + ' ' + module.ran + ' ' + ((await import('./late.js')) === module)
    }
    export const node = async (): Promise<string> => (await import('node:path')).default.basename('/a/b')
    export async function other(name: string): Promise<string> {
      return import(name).then(() => 'there', (error: { code: string }) => error.code)
    }`,
  )
  assert.deepEqual(built.manifest.imports, ['node:path'])
  interface Lazy {
    own(): Promise<string>
    node(): Promise<string>
    other(name: string): Promise<string>
  }
  const leftovers = await life<Lazy>(shop, built, async (plugin) => {
    assert.equal(process.env['LATE'], undefined)
    assert.equal(await plugin.lookup('own')(), 'late ran true')
    assert.equal(await plugin.lookup('node')(), 'b')
    assert.equal(await plugin.lookup('other')('zod'), 'MODULE_NOT_FOUND')
    assert.equal(await plugin.lookup('other')('node:child_process'), 'MODULE_NOT_FOUND')
  })
  assert.deepEqual(leftovers, [])
})

test("imports Node's modules by default, by name and as a namespace, with node: and without", async (t) => {
  const { plugin, platform } = await workshop(t)
  const { path, manifest } = await plugin(
    'node',
    `import fs, { readFileSync } from 'node:fs'
    import * as path from 'path'
    import { default as util, promisify } from 'util'
    import { readFile } from 'fs/promises'
    export const same = [fs.readFileSync === readFileSync, util.promisify === promisify]
    export { readFileSync, readFile }
    export const joined = path.join('a', 'b') + typeof path.default.join`,
  )
  assert.deepEqual(manifest.imports, ['node:fs', 'node:fs/promises', 'node:path', 'node:util'])
  const opened = await platform().open(path)
  assert.deepEqual(opened.lookup('same'), [true, true])
  assert.equal(opened.lookup('readFileSync'), fs.readFileSync)
  assert.equal(opened.lookup('readFile'), fs.promises.readFile)
  assert.equal(opened.lookup('joined'), `${join('a', 'b')}function`)
})

test('names a module that this Node lacks as it names the others, and fails where it is asked for', async (t) => {
  const { plugin, platform } = await workshop(t)
  const { path, manifest } = await plugin(
    'newer',
    `export const ask = (): unknown => require('node:of_the_future')
    export const answer = 42`,
  )
  // Otherwise what a file says would depend on the Node that built it.
  assert.deepEqual(manifest.imports, ['node:of_the_future'])
  const opened = await platform().open<{ ask(): unknown; answer: number }>(path)
  assert.equal(opened.lookup('answer'), 42)
  assert.throws(opened.lookup('ask'), { code: 'ERR_UNKNOWN_BUILTIN_MODULE' })
})

/** `(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))` */
const wasm = Buffer.from(
  '0061736d0100000001070160027f7f017f030201000707010361646400000a09010700200020016a0b',
  'hex',
)

test('carries a WebAssembly module, which runs and leaves with the plugin', async (t) => {
  const shop = await workshop(t)
  await shop.write('sum-src/add.wasm', wasm)
  const built = await shop.plugin(
    'sum',
    `import bytes from './add.wasm'
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes))
    export const add = exports.add as (a: number, b: number) => number
    export const later = async (): Promise<number> => {
      const { instance } = await WebAssembly.instantiate(bytes)
      return (instance.exports.add as typeof add)(1, 2)
    }`,
  )
  interface Sum {
    add(a: number, b: number): number
    later(): Promise<number>
  }
  const leftovers = await life<Sum>(shop, built, async (plugin) => {
    assert.equal(plugin.lookup('add')(40, 2), 42)
    assert.equal(plugin.lookup('add')(2 ** 31 - 1, 1), -(2 ** 31))
    assert.equal(await plugin.lookup('later')(), 3)
  })
  assert.deepEqual(leftovers, [])
})

test('exports all of an ES module, also of a package', async (t) => {
  const { folder, write, platform } = await workshop(t)
  await write(
    'all/node_modules/shapes/package.json',
    '{ "name": "shapes", "version": "1.0.0", "type": "module" }',
  )
  await write(
    'all/node_modules/shapes/index.js',
    `export * from './round.js'; export const square = 4; export default 0`,
  )
  await write('all/node_modules/shapes/round.js', `export const circle = 1`)
  await write('all/own.ts', `export const own = 1; export type Hidden = string`)
  const entry = await write(
    'all/entry.ts',
    `export * from './own.js'; export * from 'shapes'; export * as s from 'shapes'`,
  )
  const { path, manifest } = await build(entry, { outDir: folder })
  assert.deepEqual(manifest.symbols, ['circle', 'own', 's', 'square'])
  const opened = await platform().open(path)
  assert.equal(opened.lookup('circle'), 1)
  assert.equal((opened.lookup('s') as { default: number }).default, 0)
})
