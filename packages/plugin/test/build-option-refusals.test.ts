import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { PluginErrorCode } from '@micrograft/plugin'
import { build, type BuildOptions } from '@micrograft/plugin/build'
import { runModule } from './support/child.js'
import { refusesToBuild } from './support/refused-build.js'
import { workshop } from './support/workshop.js'

const source = `export const Hello = (): string => 'hello'`

const options: readonly [
  title: string,
  options: object,
  code: PluginErrorCode,
  says: readonly (string | RegExp)[],
][] = [
  ['an empty name', { name: '' }, 'invalid-name', ['""', 'use letters, digits']],
  ['a name with a path in it', { name: '../x' }, 'invalid-name', ['"../x"', 'use letters, digits']],
  ['a name with a space in it', { name: 'a b' }, 'invalid-name', ['"a b"']],
  ['a version that is none', { version: '1.0' }, 'invalid-version', ['"1.0"', 'write one as 1.2.3']],
  ['a type that is none', { type: 'Client' }, 'invalid-name', ['"Client"', 'use lower-case letters']],
  ['a range that is none', { node: 'new' }, 'invalid-range', ['"new"', 'write one as >=20.19']],
  ['an unknown option', { outfile: 'x' }, 'invalid-option', ['"outfile"', 'there are outFile, outDir, name']],
  ['an external that is a path', { external: ['./sdk'] }, 'invalid-option', ['"./sdk"', 'name packages']],
  [
    'an external that is a module',
    { external: ['sdk/errors'] },
    'invalid-option',
    ['"sdk/errors"', 'name packages'],
  ],
  ["an external that is Node's", { external: ['node:fs'] }, 'invalid-option', ['"node:fs"']],
  ['a key that is none', { signKey: 'secret' }, 'malformed-key', ['PEM', 'micrograft keygen']],
]

for (const [title, given, code, says] of options) {
  test(`refuses ${title}`, async (t) => {
    const { write, folder } = await workshop(t)
    const outDir = join(folder, 'out')
    const entry = await write('entry.ts', source)
    await build(entry, { outDir })
    await refusesToBuild(entry, { code, says }, { outDir, ...(given as BuildOptions) })
  })
}

test('refuses an entry that is not there, and one that is a directory', async (t) => {
  const { folder, write } = await workshop(t)
  const outDir = join(folder, 'out')
  const missing = join(folder, 'missing.ts')
  await refusesToBuild(missing, { code: 'entry-not-found', says: [missing, 'correct the path'] }, { outDir })
  await write('folder.ts/index.ts', source)
  const directory = join(folder, 'folder.ts')
  await refusesToBuild(
    directory,
    { code: 'entry-not-found', says: [directory, 'is not a file', 'name the module'] },
    { outDir },
  )
})

test('refuses one name or one output for several entries, and builds none of them', async (t) => {
  const { folder, write } = await workshop(t)
  const outDir = join(folder, 'out')
  const entries = [await write('a.ts', source), await write('b.ts', source)]
  for (const option of ['outFile', 'name'] as const)
    await refusesToBuild(
      entries,
      { code: 'invalid-option', says: [`${option} is for one entry`, 'use outDir'] },
      { outDir, [option]: 'x' },
    )
  const same = [await write('one/a.ts', source), await write('two/a.ts', source)]
  await refusesToBuild(
    same,
    { code: 'invalid-option', says: [...same, 'a-0.0.1.plugin.cjs', 'build them one by one'] },
    { outDir },
  )
  const broken = await write('broken.ts', 'export const = 1')
  await refusesToBuild([...entries, broken], { code: 'syntax-error', says: ['broken.ts:1:14'] }, { outDir })
})

test('refuses to write over its own source', async (t) => {
  const { folder, write } = await workshop(t)
  await write('src/word.ts', `export const word = 'hello'`)
  const entry = await write(
    'src/entry.ts',
    `import { word } from './word.js'; export const Hello = () => word`,
  )
  for (const outFile of [entry, join(folder, 'src/word.ts')])
    await refusesToBuild(
      entry,
      { code: 'invalid-option', says: [outFile, 'write to another file'] },
      { outDir: join(folder, 'src'), outFile },
    )
})

test('refuses an output that cannot be written, and leaves the map of an earlier one', async (t) => {
  const { folder, write } = await workshop(t)
  const outDir = join(folder, 'out')
  const entry = await write('entry.ts', source)
  const outFile = join(outDir, 'taken.plugin.cjs')
  await build(entry, { outDir, outFile })
  await rm(outFile)
  await mkdir(outFile)
  const says = [outFile, 'is a directory', 'name another place']
  await refusesToBuild(entry, { code: 'write-failed', says }, { outDir, outFile })

  const file = await write('out/file', '')
  const below = join(file, 'x.plugin.cjs')
  await refusesToBuild(entry, { code: 'write-failed', says: [below] }, { outDir, outFile: below })
})

test('refuses a folder that it may not write to', async (t) => {
  const { folder, write } = await workshop(t)
  const entry = await write('entry.ts', source)
  const outDir = join(folder, 'locked')
  await mkdir(outDir)
  await chmod(outDir, 0o555)
  // Root may write everywhere but to where nobody may.
  const target = process.getuid?.() === 0 ? '/proc' : outDir
  if (process.platform === 'win32' || !(await stat(target).catch(() => undefined)))
    return t.skip('no such folder')
  await refusesToBuild(
    entry,
    { code: 'write-failed', says: [join(target, 'entry-0.0.1.plugin.cjs'), 'may write there'] },
    { outDir, outFile: join(target, 'entry-0.0.1.plugin.cjs') },
  )
})

test('takes away the map of an earlier build when it makes none', async (t) => {
  const { folder, write } = await workshop(t)
  const entry = await write('entry.ts', source)
  const { mapPath } = await build(entry, { outDir: folder })
  assert.ok(await stat(mapPath as string))
  const built = await build(entry, { outDir: folder, sourceMap: false })
  assert.equal(built.mapPath, undefined)
  assert.equal(built.manifest.map, undefined)
  await assert.rejects(stat(mapPath as string), { code: 'ENOENT' })
})

test('says how to get esbuild where it is not installed', async (t) => {
  const { folder, write } = await workshop(t)
  const entry = await write('entry.ts', source)
  // A package of this project where no `node_modules` above it has esbuild.
  const place = 'alone/node_modules/@micrograft/plugin'
  const dist = new URL('./', import.meta.resolve('@micrograft/plugin'))
  const { cp } = await import('node:fs/promises')
  await cp(dist, join(folder, place, 'dist'), { recursive: true })
  await write(`${place}/package.json`, await readFile(new URL('../package.json', dist)))
  await rm(join(folder, 'node_modules'))
  const { stdout, stderr } = await runModule(
    { folder, write },
    'alone/main.mjs',
    `import { build } from '@micrograft/plugin/build'
    await build(${JSON.stringify(entry)}).catch(({ code, message }) => console.log(code + ' ' + message))`,
  )
  assert.match(stdout, /^esbuild-missing .*npm install --save-dev esbuild\n$/, stderr)
})
