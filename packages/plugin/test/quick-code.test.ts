import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { workshop } from './support/workshop.js'

/** A CommonJS module as V8 compiles it at once: a function in parentheses. */
const eager = /__commonJS\(\{\s*"[^"\n]*old\.cjs": ?\(function\s*\(exports/

for (const minify of [false, true]) {
  test(`has CommonJS modules compiled where they stand, at their lines and columns${minify ? ', minified' : ''}`, async (t) => {
    const { write, plugin, platform } = await workshop(t)
    await write(
      'eager-src/old.cjs',
      `exports.fail = function fail() {\n  const why = 'old'; throw new Error(why)\n}`,
    )
    const { path } = await plugin('eager', `export { fail } from './old.cjs'`, { minify })
    assert.match(await readFile(path, 'utf8'), eager)
    const opened = await platform().open<{ fail(): never }>(path)
    assert.throws(opened.lookup('fail'), ({ stack }: Error) => /old\.cjs:2:28/.test(String(stack)))
  })
}

test('text that looks like the beginning or the end of a module stays as it is', async (t) => {
  const { write, plugin, platform } = await workshop(t)
  const beginning = 'var require_x = __commonJS({\n  "x.cjs"(exports, module) {'
  const ending = '\n  }\n});'
  const texts = [ending, beginning, beginning + ending, `${ending}\n${beginning}`]
  for (const [i, text] of texts.entries()) {
    const version = `1.0.${i}`
    await write(`text-${version}/old.cjs`, `exports.text = \`\n${text}\n\``)
    const { path } = await plugin('text', `export { text } from './old.cjs'`, { version })
    assert.equal((await platform().open(path)).lookup('text'), `\n${text}\n`)
  }
})

test('a dash in a comment does not double what the code takes, and the source map has it', async (t) => {
  const { write, plugin, platform } = await workshop(t)
  await write(
    'dash-src/sum.ts',
    `export const said = ['—', \`“\${1}”\`]\nexport const sum = (\n// one — and “two” →\n1 + 2)`,
  )
  const { path, mapPath } = await plugin('dash', `export * from './sum.ts'`)
  const code = await readFile(path, 'utf8')
  assert.match(code, /\/\/ one - and "two" \?\n/)
  assert.doesNotMatch(code, /[^\0-\xff]/)
  assert.match(await readFile(mapPath as string, 'utf8'), /one — and “two” →/)
  assert.deepEqual((await platform().open(path)).lookup('said'), ['—', '“1”'])
})

test('text that cannot be written in ASCII stays as it is', async (t) => {
  const { plugin, platform } = await workshop(t)
  const { path } = await plugin('raw', `export const raw = [String.raw\`→\`, /…/.source]`)
  assert.deepEqual((await platform().open(path)).lookup('raw'), ['→', '…'])
})
