import assert from 'node:assert/strict'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { inspect, type PluginError, type PluginErrorCode } from '@micrograft/plugin'
import { watchBuild, type BuildOptions, type BuildOutcome, type BuiltPlugin } from '@micrograft/plugin/build'
import { runModule } from './support/child.js'
import { until } from './support/until.js'
import { workshop } from './support/workshop.js'

/** Builds while sources change, until the test ends. */
async function watching(t: TestContext, entry: string | URL, options: BuildOptions) {
  const outcomes: BuildOutcome[] = []
  const watcher = await watchBuild(entry, options, (outcome) => outcomes.push(outcome))
  t.after(() => watcher.close())
  return {
    outcomes,
    /** The next build that worked and had these symbols; a file can be seen before all of it is written. */
    built: (...symbols: string[]): Promise<BuiltPlugin> =>
      until(`a build with ${symbols.join(', ')}`, () => {
        const [outcome] = outcomes.splice(0, 1)
        const built = outcome && 'built' in outcome ? outcome.built : undefined
        return built?.manifest.symbols.join() === symbols.join() ? built : undefined
      }),
    /** The next failure with this code. */
    failed: (code: PluginErrorCode): Promise<PluginError> =>
      until(`a failure with ${code}`, () => {
        const [outcome] = outcomes.splice(0, 1)
        const error = outcome && 'error' in outcome ? outcome.error : undefined
        return error?.code === code ? error : undefined
      }),
  }
}

test('builds again when the entry, an import, JSON or its package changes', async (t) => {
  const { write, folder } = await workshop(t)
  const outDir = join(folder, 'out')
  await write('app/package.json', '{ "name": "app", "version": "1.0.0" }')
  await write('app/lib/word.ts', `export const one = 1`)
  await write('app/data/data.json', '{ "n": 1 }')
  const source = (name: string) =>
    `export * from './lib/word.js'; export { default as json } from './data/data.json'; export const ${name} = 1`
  const entry = await write('app/index.ts', source('a'))
  const { built } = await watching(t, pathToFileURL(entry), { outDir })

  await built('a', 'json', 'one')
  await write('app/index.ts', source('b'))
  await built('b', 'json', 'one')
  await write('app/lib/word.ts', `export const two = 2`)
  const { id } = await built('b', 'json', 'two')
  await write('app/data/data.json', '{ "n": 2 }')
  await until('other JSON', async () => (await built('b', 'json', 'two')).id !== id)
  // As many editors save.
  await rename(await write('app/lib/word.ts~', `export const three = 3`), join(folder, 'app/lib/word.ts'))
  const before = await built('b', 'json', 'three')
  await write('app/package.json', '{ "name": "app", "version": "1.1.0" }')
  const after = await until('the version', async () => {
    const next = await built('b', 'json', 'three')
    return next.manifest.version === '1.1.0' ? next : undefined
  })
  assert.notEqual(before.path, after.path)
  assert.equal(after.path, join(outDir, 'app-1.1.0.plugin.cjs'))
  assert.deepEqual((await inspect(after.path)).manifest, after.manifest)
})

test('tells of a failure, keeps the last output, and builds again once the source is mended', async (t) => {
  const { write, folder } = await workshop(t)
  const entry = await write('entry.ts', 'export const a = 1')
  const { built, failed } = await watching(t, entry, { outDir: folder })
  const first = await built('a')
  await write('entry.ts', 'export const a = ')
  const error = await failed('syntax-error')
  assert.match(error.message, /entry\.ts:1:18/)
  assert.equal((await inspect(first.path)).id, first.id)
  await write('entry.ts', 'export const b = 1')
  await built('b')
})

test('begins with a failure, and takes up a file that appears where it was looked for', async (t) => {
  const { write, folder } = await workshop(t)
  const entry = await write('src/entry.ts', `export { a } from '../far/away/a.js'`)
  const { built, failed } = await watching(t, entry, { outDir: folder })
  await failed('unresolved-import')
  await mkdir(join(folder, 'far/away'), { recursive: true })
  await failed('unresolved-import')
  await write('far/away/a.ts', 'export const a = ]')
  await failed('syntax-error')
  await write('far/away/a.ts', 'export const a = 1')
  await built('a')
})

test('goes on when a folder is taken away and put back, as a checkout does', async (t) => {
  const { write, folder } = await workshop(t)
  await write('app/lib/word.ts', `export const one = 1`)
  const entry = await write('app/entry.ts', `export * from './lib/word.js'`)
  const { built, failed } = await watching(t, entry, { outDir: folder })
  await built('one')
  await rm(join(folder, 'app/lib'), { recursive: true })
  await failed('unresolved-import')
  for (const word of ['two', 'three']) {
    await write('app/lib/word.ts', `export const ${word} = 1`)
    await built(word)
  }
})

test('builds once for changes that come together, and not for its output or other files', async (t) => {
  const { write, folder } = await workshop(t)
  const save = async (name: string, text: string) =>
    rename(await write(`aside/${name}`, text), join(folder, 'src', name))
  await write('src/shared.ts', 'export const shared = 1')
  await write('src/other.ts', 'export const other = 1')
  const entry = await write('src/entry.ts', `export { shared } from './shared.js'`)
  const witness = await write('src/witness.ts', `export { other } from './other.js'`)
  // Both write beside their sources, under names that tell nothing.
  const subject = await watching(t, entry, { outFile: join(folder, 'src/one.js') })
  const other = await watching(t, witness, { outFile: join(folder, 'src/two.js') })
  await subject.built('shared')
  await other.built('other')
  for (const n of [2, 3]) {
    await save('other.ts', `export const other = ${n}`)
    await other.built('other')
  }
  // The witness has built for this and for its own output, so the subject has heard of both too.
  assert.deepEqual([subject.outcomes, other.outcomes], [[], []])
  await Promise.all([
    save('shared.ts', 'export const shared = 2'),
    save('entry.ts', `export { shared, shared as again } from './shared.js'`),
  ])
  await subject.built('again', 'shared')
  await save('other.ts', `export const other = 4`)
  await other.built('other')
  assert.deepEqual([subject.outcomes, other.outcomes], [[], []])
})

test('tells of nothing after close, and lets the process end', async (t) => {
  const shop = await workshop(t)
  await shop.write('entry.ts', 'export const a = 1')
  const { status, stdout, stderr } = await runModule(
    shop,
    'main.mjs',
    `import { writeFileSync } from 'node:fs'
    import { watchBuild } from '@micrograft/plugin/build'
    let changed
    const watcher = await watchBuild('entry.ts', { outDir: 'out' }, (outcome) => {
      console.log('built' in outcome ? 'built' : outcome.error.message)
      changed?.()
    })
    await new Promise((resolve) => { changed = resolve; writeFileSync('entry.ts', 'export const a = 2') })
    writeFileSync('entry.ts', 'export const a = 3')
    await Promise.all([watcher.close(), watcher.close()])
    writeFileSync('entry.ts', 'export const a = 4')
    console.log('closed')`,
  )
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: 'built\nbuilt\nclosed\n', stderr: '' })
})
