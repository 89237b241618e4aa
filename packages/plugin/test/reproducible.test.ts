import assert from 'node:assert/strict'
import { mkdir, readFile, rename, symlink, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { build, type BuildOptions } from '@micrograft/plugin/build'
import { runModule } from './support/child.js'
import { workshop, type Workshop } from './support/workshop.js'

/** A package with sources of every kind; dependencies are installed in `modules`. */
async function project({ write }: Workshop, folder: string, modules: string): Promise<string> {
  const json = (fields: object) => JSON.stringify({ version: '1.2.3', ...fields })
  const files = {
    [`${folder}/package.json`]: json({
      name: '@acme/greeter',
      type: 'module',
      peerDependencies: { 'host-sdk': '^1' },
    }),
    [`${folder}/tsconfig.json`]: '{ "compilerOptions": { "strict": true } }',
    [`${folder}/src/words.ts`]: `export class Words { static all = ['héllo'] }; export const late = () => import('./late.js')`,
    [`${folder}/src/late.ts`]: `export default new Error().stack`,
    [`${folder}/src/data.json`]: '{ "b": 1, "a": [2] }',
    [`${folder}/src/note.txt`]: 'note\r\n',
    [`${modules}/plain/package.json`]: json({ name: 'plain', optionalDependencies: { absent: '*' } }),
    [`${modules}/plain/index.js`]: `/*! plain is free */ let absent; try { absent = require('absent') } catch {}
      exports.Words = class Words { ok = !absent }; exports.path = require('path').sep`,
    [`${modules}/modern/package.json`]: json({ name: 'modern', type: 'module', exports: './lib/main.js' }),
    [`${modules}/modern/lib/main.js`]: `/** @license modern is free */ export { default as modern } from './other.js'`,
    [`${modules}/modern/lib/other.js`]: `import { Words } from 'plain'; export default class Modern extends Words {}`,
    [`${modules}/plain/lines.txt`]: '// ../../elsewhere/node_modules/plain/index.js',
    [`${folder}/src/index.ts`]: `import { Base } from 'host-sdk'
      import { Words as Plain, path } from 'plain'
      import { modern } from 'modern'
      import lines from 'plain/lines.txt'
      import { late, Words } from './words.js'
      import data from './data.json'
      import note from './note.txt'
      export class Greeter extends Base { words = [Plain, modern, Words, late, data, note, path, lines, import.meta.url] }
      export function Hello(): string { return 'hello' }`,
  }
  for (const [name, text] of Object.entries(files)) await write(name, text)
  return `${folder}/src/index.ts`
}

const external = ['host-sdk']

/** What was built; the map without what says where it lies. */
async function outcome(path: string): Promise<{ file: string; map: object }> {
  const map = JSON.parse(await readFile(`${path}.map`, 'utf8')) as object
  return { file: await readFile(path, 'utf8'), map: { ...map, sourceRoot: '' } }
}

/** Builds in a process of its own, in `cwd` and with other variables. */
async function buildElsewhere(
  shop: Workshop,
  entry: string,
  cwd: string,
  env: Readonly<Record<string, string>>,
  options: BuildOptions,
): Promise<void> {
  const { status, stderr } = await runModule(
    shop,
    'elsewhere.mjs',
    `import { build } from '@micrograft/plugin/build'
    process.chdir(${JSON.stringify(cwd)})
    Object.assign(process.env, ${JSON.stringify(env)})
    if (process.env.TZ && new Date(0).getTimezoneOffset() === 0) throw new Error('no other time zone')
    await build(${JSON.stringify(entry)}, ${JSON.stringify(options)})`,
  )
  assert.equal(status, 0, stderr)
}

for (const minify of [false, true]) {
  test(`gives the same bytes wherever, whenever and however it is built${minify ? ', minified' : ''}`, async (t) => {
    const shop = await workshop(t)
    const { folder } = shop
    const place = (...names: string[]) => join(folder, ...names)
    const options = { external, minify }

    const entry = place(await project(shop, 'one', 'one/node_modules'))
    const { path } = await build(entry, { ...options, outDir: place('out') })
    assert.equal(path, place('out/greeter-1.2.3.plugin.cjs'.replace('greeter', 'greeter')))
    const expected = await outcome(path)
    assert.match(expected.file, /plain is free/)
    assert.doesNotMatch(expected.file, new RegExp(folder))
    assert.doesNotMatch(JSON.stringify(expected.map), new RegExp(folder))

    const again = await build(entry, { ...options, outFile: place('a/far/place/renamed.js') })
    assert.deepEqual(await outcome(again.path), expected)

    // As a workspace has it: deeper, and its dependencies above it.
    const deep = place(await project(shop, 'very/deep/down/two', 'very/node_modules'))
    for (const name of ['index.ts', 'words.ts', 'data.json'])
      await utimes(place('very/deep/down/two/src', name), 1e9, 1e9)
    await buildElsewhere(
      shop,
      deep,
      place('very'),
      { TZ: 'Asia/Kathmandu', LC_ALL: 'tr_TR.UTF-8', NODE_ENV: 'production' },
      { ...options, outDir: 'built' },
    )
    assert.deepEqual(await outcome(place('very/built/greeter-1.2.3.plugin.cjs')), expected)

    // Both the package and what it depends on may be links.
    await symlink(place('one'), place('link'), 'junction')
    await mkdir(place('three'))
    await rename(place('one/node_modules'), place('three/node_modules'))
    await symlink(place('three/node_modules'), place('one/node_modules'), 'junction')
    const linked = await build(place('link/src/index.ts'), { ...options, outDir: place('link') })
    assert.deepEqual(await outcome(linked.path), expected)
  })
}

test('gives each of several entries the bytes that it has alone', async (t) => {
  const shop = await workshop(t)
  const entries = await Promise.all(
    ['a', 'b', 'c'].map((name) =>
      shop.write(`${name}.ts`, `import { z } from 'zod'; export const ${name} = z.string().parse('${name}')`),
    ),
  )
  const together = await build(entries, { outDir: join(shop.folder, 'together') })
  assert.deepEqual(
    together.map(({ manifest }) => manifest.name),
    ['a', 'b', 'c'],
  )
  for (const [i, entry] of entries.entries()) {
    const alone = await build(entry, { outDir: join(shop.folder, 'alone') })
    assert.equal(alone.id, together[i]?.id)
    assert.deepEqual(await outcome(alone.path), await outcome((together[i] as { path: string }).path))
  }
})

test('gives another identity to other code, another name, version or type, and other sources in the map', async (t) => {
  const { plugin } = await workshop(t)
  const source = 'export const a = 1'
  const ids = [
    await plugin('same', source),
    await plugin('same', 'export const a = 2'),
    await plugin('same', `${source} // a remark`),
    await plugin('other', source),
    await plugin('same', source, { version: '1.0.1' }),
    await plugin('same', source, { type: 'client' }),
    await plugin('same', source, { node: '>=22' }),
  ].map(({ id }) => id)
  assert.equal(new Set(ids).size, ids.length)
  const [first] = ids
  assert.equal((await plugin('same', source)).id, first)
})
