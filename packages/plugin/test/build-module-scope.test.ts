import assert from 'node:assert/strict'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { workshop } from './support/workshop.js'

for (const minify of [false, true]) {
  const how = minify ? ', minified' : ''

  test(`import.meta, __filename and __dirname are those of the plugin file${how}`, async (t) => {
    const { write, plugin, platform } = await workshop(t)
    await write('place-src/inner.cts', `exports.inner = [__filename, __dirname]`)
    const { path, manifest } = await plugin(
      'place',
      `import { inner } from './inner.cjs'
      export const meta = [import.meta.url, import.meta.filename, import.meta.dirname]
      export const names = [__filename, __dirname]
      export const beside = new URL('data.txt', import.meta.url).href
      export { inner }`,
      { minify },
    )
    const opened = await platform().open(path)
    const url = pathToFileURL(path).href
    assert.deepEqual(opened.lookup('meta'), [url, path, dirname(path)])
    assert.deepEqual(opened.lookup('names'), [path, dirname(path)])
    assert.deepEqual(opened.lookup('inner'), [path, dirname(path)])
    assert.equal(opened.lookup('beside'), new URL('data.txt', url).href)
    assert.deepEqual(manifest.imports, ['node:url'])
  })

  test(`require gives its own files and declared modules, and nothing else${how}`, async (t) => {
    const { write, plugin, platform } = await workshop(t)
    await write('asks-src/helper.cjs', `module.exports = { word: 'helped', main: require.main === module }`)
    await write('asks-src/list.json', '[1]')
    const { path, manifest } = await plugin(
      'asks',
      `const helper = require('./helper.cjs')
      const list = require('./list.json')
      export const helped = [helper.word, helper.main, list]
      export const os: typeof import('node:os') = require('os')
      export const ask = (name: string): unknown => require(name)
      export const kind = typeof require`,
      { minify },
    )
    assert.deepEqual(manifest.imports, ['node:os'])
    const opened = await platform().open<{ helped: unknown; os: unknown; ask(name: string): unknown }>(path)
    assert.deepEqual(opened.lookup('helped'), ['helped', false, [1]])
    const ask = opened.lookup('ask')
    assert.equal(ask('node:os'), opened.lookup('os'))
    for (const name of ['node:fs', 'fs', 'zod', './helper.cjs', path])
      assert.throws(() => ask(name), { code: 'MODULE_NOT_FOUND', message: new RegExp(`'${name}'`) }, name)
  })

  test(`code that declares names of globals and of CommonJS itself runs with its own${how}`, async (t) => {
    const { write, plugin, platform } = await workshop(t)
    const declarations = `
      import { dirname } from 'node:path'
      import { fileURLToPath } from 'node:url'
      const process = { title: 'mine' }
      function setTimeout(text: string): string { return 'set ' + text }
      let clearTimeout = 1
      class global { static n = 2 }
      let globalThis2 = globalThis
      const setInterval = () => 3, exports = 4, module = 5
      const __filename = fileURLToPath(import.meta.url)
      const __dirname = dirname(__filename)
      const require = (name: string) => 'required ' + name
      export const got = [process.title, setTimeout('x'), ++clearTimeout, global.n, globalThis2 === globalThis,
        setInterval(), exports, module, require('y')]
      export const place = [__filename, __dirname]`
    // Alone, and beside a module that means the globals.
    await write('both-src/alone.ts', declarations)
    const sources = {
      alone: declarations,
      both: `export { got, place } from './alone.js'
        export const others = [typeof process.pid, typeof setTimeout(() => undefined, 0).unref, typeof global.Array, typeof __filename]`,
    }
    for (const [name, source] of Object.entries(sources)) {
      const { path } = await plugin(name, source, { minify })
      const opened = await platform().open(path)
      assert.deepEqual(opened.lookup('got'), ['mine', 'set x', 2, 2, true, 3, 4, 5, 'required y'])
      assert.deepEqual(opened.lookup('place'), [path, dirname(path)])
      if (name === 'both')
        assert.deepEqual(opened.lookup('others'), ['number', 'function', 'function', 'string'])
    }
  })
}

test('an entry with a line for the shell keeps its lines', async (t) => {
  const { plugin, platform } = await workshop(t)
  const { path } = await plugin(
    'script',
    `#!/usr/bin/env node
    export function fail(): never { throw new Error('here') }`,
  )
  const opened = await platform().open<{ fail(): never }>(path)
  assert.throws(opened.lookup('fail'), ({ stack }: Error) => /script\.ts:2:\d+/.test(String(stack)))
})
