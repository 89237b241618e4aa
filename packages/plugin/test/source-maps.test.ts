import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { generateKeys } from '@micrograft/plugin'
import type { BuiltPlugin } from '@micrograft/plugin/build'
import { positionOf, stackOf } from './support/stacks.js'
import { workshop } from './support/workshop.js'

const source = `interface Nothing { readonly none: true }
type Also = Nothing

export function fail(): never {
  throw new RangeError('mine')
}
`

interface Fails {
  fail(): never
}

/** Checks that a frame shows a position in the plugin file as it lies on disk. */
async function assertInPluginFile(frame: string | undefined, { path }: BuiltPlugin): Promise<void> {
  const [, url, line, column] =
    /^fail \((file:.*\.plugin\.cjs)(?:\?\w+)?:(\d+):(\d+)\)$/.exec(frame ?? '') ?? []
  assert.equal(url, pathToFileURL(path).href, frame)
  const text = (await readFile(path, 'utf8')).split('\n')[Number(line) - 1]
  assert.ok(text?.slice(Number(column) - 1).startsWith('new RangeError'), text)
}

/** What can become of a map. */
const damages: Record<string, (built: BuiltPlugin, other: BuiltPlugin) => Promise<void>> = {
  'is gone': ({ mapPath }) => rm(mapPath as string),
  'is empty': ({ mapPath }) => writeFile(mapPath as string, ''),
  'is no JSON': ({ mapPath }) => writeFile(mapPath as string, '{"version":3,"sources":['),
  'is no map': ({ mapPath }) => writeFile(mapPath as string, '{"version":3}'),
  'is null': ({ mapPath }) => writeFile(mapPath as string, 'null'),
  'is of another build': async ({ mapPath }, other) =>
    writeFile(mapPath as string, await readFile(other.mapPath as string)),
  'has one mapping changed': async ({ mapPath }) => {
    const map = JSON.parse(await readFile(mapPath as string, 'utf8')) as { mappings: string }
    const mappings = map.mappings.replace(/A/, 'C')
    assert.notEqual(mappings, map.mappings)
    await writeFile(mapPath as string, JSON.stringify({ ...map, mappings }))
  },
}

for (const [what, damage] of Object.entries(damages)) {
  test(`where the map ${what} stacks show lines of the plugin file`, async (t) => {
    const { plugin, platform } = await workshop(t)
    const other = await plugin('other', `// Another.\n${source}`)
    for (const signKey of [undefined, generateKeys().privateKey]) {
      const built = await plugin('fails', source, { signKey })
      await damage(built, other)
      const opened = await platform().open<Fails>(built.path)
      const [heading, first] = stackOf(opened.lookup('fail'))
      assert.equal(heading, 'RangeError: mine')
      await assertInPluginFile(first, built)
    }
  })
}

test('a plugin that was built without a map shows lines of the plugin file', async (t) => {
  const { plugin, platform } = await workshop(t)
  const built = await plugin('fails', source, { sourceMap: false })
  const opened = await platform().open<Fails>(built.path)
  await assertInPluginFile(stackOf(opened.lookup('fail'))[1], built)
})

test('the map may lie anywhere with its file, and names sources from there', async (t) => {
  const { plugin, platform, folder, write } = await workshop(t)
  const built = await plugin('fails', source)
  const path = await write('moved/fails.plugin.cjs', await readFile(built.path))
  await write('moved/fails.plugin.cjs.map', await readFile(built.mapPath as string))
  const opened = await platform().open<Fails>(path)
  const expected = `fail (${join(folder, 'fails-src/fails.ts')}:${positionOf(source, 'new RangeError')})`
  assert.equal(stackOf(opened.lookup('fail'))[1], expected)
})

test('a map is read when the first error asks for it, and not again', async (t) => {
  const { plugin, platform, folder } = await workshop(t)
  const { path, mapPath = '' } = await plugin('fails', source)
  const map = await readFile(mapPath)
  await rm(mapPath)
  const opened = await platform().open<Fails>(path)
  await writeFile(mapPath, map)
  const expected = `fail (${join(folder, 'fails-src/fails.ts')}:${positionOf(source, 'new RangeError')})`
  assert.equal(stackOf(opened.lookup('fail'))[1], expected)
  await rm(mapPath)
  assert.equal(stackOf(opened.lookup('fail'))[1], expected)
})
