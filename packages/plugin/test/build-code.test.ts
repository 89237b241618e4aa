import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { build } from '@micrograft/plugin/build'
import { workshop } from './support/workshop.js'

/** What an ES module has and sloppy code has not; each gives the name of an error, or what was there. */
const strictness = `
  const attempt = (run: () => unknown): unknown => { try { return run() } catch (e) { return (e as Error).name } }
  export const strictness = [
    attempt(() => (Object.freeze({ a: 1 }) as { a: number }).a = 2),
    attempt(() => (undeclaredInPlugin as unknown) = 1),
    attempt(function (this: unknown) { return typeof this }),
    attempt(() => delete (Object.prototype as { constructor?: unknown }).constructor && 'kept'),
  ]`
const strict = ['TypeError', 'ReferenceError', 'undefined']

for (const minify of [false, true]) {
  const how = minify ? ', minified' : ''

  test(`runs as strict code, as an ES module does${how}`, async (t) => {
    const { write, plugin, platform } = await workshop(t)
    await write(
      'strict-src/old.cjs',
      `/* licence */ // and a remark\n'use strict'\nexports.self = (function () { return this })()`,
    )
    for (const [name, source] of Object.entries({
      alone: strictness,
      strict: `${strictness}; export { self } from './old.cjs'`,
    })) {
      const { path } = await plugin(name, source, { minify })
      const opened = await platform().open(path)
      assert.deepEqual((opened.lookup('strictness') as unknown[]).slice(0, 3), strict)
      if (name === 'strict') assert.equal(opened.lookup('self'), undefined)
    }
  })

  test(`runs CommonJS code that is not strict as it was written${how}`, async (t) => {
    const { write, plugin, platform } = await workshop(t)
    // As most packages of TypeScript code have it; esbuild would make all of the bundle strict.
    await write('sloppy-src/tsconfig.json', '{ "compilerOptions": { "strict": true } }')
    await write('sloppy-src/node_modules/old/package.json', '{ "name": "old", "version": "1.0.0" }')
    await write(
      'sloppy-src/node_modules/old/index.js',
      `"use sloppy"; var box = { inner: 010 }; with (box) { exports.inner = inner }
       exports.callee = (function () { return typeof arguments.callee })()
       exports.frozen = (function () { Object.freeze(box).inner = 9; return box.inner })()`,
    )
    const { path } = await plugin(
      'sloppy',
      `export { inner, callee, frozen } from 'old'; export function fail(): never {
        throw new Error('here') }`,
      { minify },
    )
    const opened = await platform().open<{ fail(): never }>(path)
    const look = (name: string) => opened.lookup(name as 'fail') as unknown
    assert.deepEqual(['inner', 'callee', 'frozen'].map(look), [8, 'function', 8])
    assert.throws(opened.lookup('fail'), ({ stack }: Error) => /sloppy\.ts:2:15/.test(String(stack)))
  })

  test(`keeps every character of strings, patterns and names${how}`, async (t) => {
    const { write, plugin, platform, folder } = await workshop(t)
    const source = `
      export const texts = ['héllo', 'Ωmega', '日本語', '👩‍👩‍👧‍👦', 'a\\u2028b\\u2029c', '\\ud800 alone', '\u2028\u2029', '\ufeff', '</script>', '*/', '\\0\\x01']
      export const raw = String.raw\`é\\n\\u00e9 \${1} 日本\`
      export const cooked = ((parts) => [parts[0], parts.raw[0]])\`ü\\t\`
      export const pattern = ['Größe 12', /(?<größe>Größe) \\d+/u.exec('Größe 12')?.groups?.größe, /[é-ü]/.test('ö'), /\\p{Script=Han}/u.test('本')]
      const größe = 1, \\u0061bc = 2, 変数 = 3
      export const named = { größe, abc, 変数, 'a b': 4, '日本': 5 }
      export const keys = Object.keys(named)
      export const name = (function größer() {}).name\n`
    const native = (await import(pathToFileURL(await write('native.mjs', `\ufeff${source}`)).href)) as object
    const { path } = await plugin('text', `\ufeff${source}`, { minify, outDir: folder })
    const opened = await platform().open(path)
    const got = Object.fromEntries(opened.symbols.map((symbol) => [symbol, opened.lookup(symbol)]))
    assert.deepEqual(got, { ...native })
  })
}

test('minifies without a change of names, and into lines that a tool can show', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    /** A long remark that minified code does not carry. */
    export class Failure extends Error {}
    const Inner = class {}
    export function names(): string[] {
      const arrow = () => 1
      function local(): void {}
      return [Failure, Inner, arrow, local, names, function spare() {}, class Spare {}, table.method].map(({ name }) => name)
    }
    export function fail(): never {
      throw new Failure('down')
    }
    export const table = { method() {}, ${Array.from({ length: 400 }, (_, i) => `add${i}: (value: number) => value + ${i}`).join()} }`
  const small = await plugin('small', source, { minify: true })
  const full = await plugin('full', source)
  assert.ok(small.bytes < full.bytes * 0.8, `${small.bytes} and ${full.bytes}`)
  const text = await readFile(small.path, 'utf8')
  assert.doesNotMatch(text, /remark/)
  const [, ...lines] = text.split('\n')
  assert.ok(Math.max(...lines.map((line) => line.length)) < 2000)

  const opened = await platform().open<{ names(): string[]; fail(): never }>(small.path)
  assert.deepEqual(opened.lookup('names')(), [
    'Failure',
    'Inner',
    'arrow',
    'local',
    'names',
    'spare',
    'Spare',
    'method',
  ])
  assert.throws(opened.lookup('fail'), ({ stack }: Error) => /fail .*small\.ts:11:13/.test(String(stack)))
})

test('names its sources so that a stack shows them where they are, in a folder of any name', async (t) => {
  const { write, platform, folder } = await workshop(t)
  const place = '100% ü #1 & a?b'
  await write(`${place}/package.json`, '{ "name": "placed", "version": "1.0.0" }')
  const entry = await write(`${place}/ä b.ts`, `export function fail(): never { throw new Error('here') }`)
  for (const outDir of [folder, join(folder, place), join(folder, `${place} out/deep`)]) {
    const { path } = await build(entry, { outDir, name: 'placed' })
    const host = platform()
    const opened = await host.open<{ fail(): never }>(path)
    assert.throws(opened.lookup('fail'), ({ stack }: Error) => String(stack).includes(`${entry}:1:`))
    await host.close()
  }
})

test('builds, opens and unloads two megabytes of code', async (t) => {
  const { plugin, platform } = await workshop(t)
  const functions = Array.from(
    { length: 4000 },
    (_, i) => `function number${i}(a: number): number { return a + ${i} + '${'x'.repeat(250)}'.length }`,
  )
  const { path, bytes } = await plugin(
    'large',
    `${functions.join('\n')}
    const all = [${functions.map((_, i) => `number${i}`).join()}]
    export const call = (i: number): number => all[i]!(1)
    export const text = ${JSON.stringify('x'.repeat(1_000_000))}`,
  )
  assert.ok(bytes > 2_000_000, String(bytes))
  const opened = await platform().open<{ call(i: number): number; text: string }>(path)
  assert.equal(opened.lookup('call')(3999), 4250)
  assert.equal(opened.lookup('text').length, 1_000_000)
  await opened.close()
  assert.equal(await opened.collected(), true)
})
