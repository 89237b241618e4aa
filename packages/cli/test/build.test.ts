import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { test } from 'node:test'
import { inspect } from '@micrograft/plugin'
import { commandLine } from './support/command-line.js'

const source = `export function Hello(): string { return 'hello' }\n`

test('builds an entry into the working directory and prints path, name, version, size and time', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  await write('hello.ts', source)
  const { status, stdout, stderr } = await micrograft('build', 'hello.ts')
  assert.equal(stderr, '')
  assert.equal(status, 0)
  const { bytes } = await inspect(path('hello-0.0.1.plugin.cjs'))
  const [file, plugin, size, time, ...rest] = stdout.trimEnd().split('  ')
  assert.deepEqual(
    [file, plugin, size],
    ['hello-0.0.1.plugin.cjs', 'hello 0.0.1', `${(bytes / 1000).toFixed(1)} kB`],
  )
  assert.match(time as string, /^\d+ ms$/)
  assert.deepEqual(rest, [])
})

test('prints one line of JSON for each file with --json', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  await write('hello.ts', source)
  const { status, stdout, stderr } = await micrograft('build', 'hello.ts', '--json')
  assert.equal(stderr, '')
  assert.equal(status, 0)
  const { ms, ...built } = JSON.parse(stdout) as Record<string, unknown>
  const file = path('hello-0.0.1.plugin.cjs')
  const { id, bytes } = await inspect(file)
  assert.ok(typeof ms === 'number' && ms > 0)
  assert.deepEqual(built, {
    path: file,
    mapPath: `${file}.map`,
    name: 'hello',
    version: '0.0.1',
    type: null,
    id,
    bytes,
    signed: false,
  })
  assert.equal(stdout, `${JSON.stringify({ ...built, ms })}\n`)
})

test('writes to the file that -o names, and makes its folder', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  await write('hello.ts', source)
  const { status, stdout } = await micrograft('build', 'hello.ts', '-o', 'deep/v1.plugin.cjs')
  assert.equal(status, 0)
  assert.match(stdout, /^deep\/v1\.plugin\.cjs {2}/)
  assert.ok((await stat(path('deep/v1.plugin.cjs'))).isFile())
})

test('takes -o for a folder where it ends with a slash', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  await write('hello.ts', source)
  assert.equal((await micrograft('build', 'hello.ts', '-o', 'new/')).status, 0)
  assert.ok(existsSync(path('new/hello-0.0.1.plugin.cjs')))
})

test('takes -o for a folder where there is one', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  await write('hello.ts', source)
  await mkdir(path('there'))
  assert.equal((await micrograft('build', 'hello.ts', '--out', 'there')).status, 0)
  assert.ok(existsSync(path('there/hello-0.0.1.plugin.cjs')))
})

test('takes -o for a folder where there are several entries, and prints each', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  await write('one.ts', source)
  await write('two.ts', source)
  const { status, stdout } = await micrograft('build', 'one.ts', 'two.ts', '-o', 'out')
  assert.equal(status, 0)
  const files = stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split('  ')[0] as string)
  assert.deepEqual(files, ['out/one-0.0.1.plugin.cjs', 'out/two-0.0.1.plugin.cjs'])
  for (const file of files) assert.ok(existsSync(path(file)))
})

test('puts --name, --version, --type and --node into the manifest', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  await write('hello.ts', source)
  const args = ['--name', 'greeter', '--version', '1.2.3-rc.1', '--type', 'handler', '--node', '>=20.19 <30']
  assert.equal((await micrograft('build', 'hello.ts', ...args)).status, 0)
  const { manifest } = await inspect(path('greeter-1.2.3-rc.1.plugin.cjs'))
  const { name, version, type, node } = manifest
  assert.deepEqual(
    { name, version, type, node },
    { name: 'greeter', version: '1.2.3-rc.1', type: 'handler', node: '>=20.19 <30' },
  )
})

test('leaves each package of --external to the host, in one option or in several', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  const peerDependencies = { 'acme-sdk': '^1.0.0', 'acme-log': '^2.0.0' }
  await write('package.json', JSON.stringify({ name: 'plugins', version: '1.0.0', peerDependencies }))
  await write(
    'hello.ts',
    `import { a } from 'acme-sdk'\nimport { b } from 'acme-log'\nexport const both = [a, b]`,
  )
  const together = ['--external', 'acme-sdk', 'acme-log']
  const apart = ['--external', 'acme-sdk', '--external', 'acme-log']
  for (const args of [together, apart]) {
    assert.equal((await micrograft('build', 'hello.ts', ...args)).status, 0)
    const { manifest } = await inspect(path('hello-1.0.0.plugin.cjs'))
    assert.deepEqual(manifest.imports, ['acme-log', 'acme-sdk'])
    assert.deepEqual(manifest.host, peerDependencies)
  }
  assert.match((await micrograft('build', 'hello.ts')).stderr, /\[unresolved-import\]\n$/)
})

test('shortens the code with --minify', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  await write('hello.ts', source)
  const sizes: number[] = []
  for (const args of [[], ['--minify']]) {
    assert.equal((await micrograft('build', 'hello.ts', ...args)).status, 0)
    sizes.push((await inspect(path('hello-0.0.1.plugin.cjs'))).manifest.code.bytes)
  }
  const [plain, short] = sizes as [number, number]
  assert.ok(short < plain, `${short} is not below ${plain}`)
})

test('writes a source map, and none with --no-source-map', async (t) => {
  const { micrograft, write, path } = await commandLine(t)
  await write('hello.ts', source)
  assert.equal((await micrograft('build', 'hello.ts', '-o', 'with.plugin.cjs')).status, 0)
  assert.ok(existsSync(path('with.plugin.cjs.map')))
  const { status, stdout } = await micrograft(
    'build',
    'hello.ts',
    '-o',
    'without.plugin.cjs',
    '--no-source-map',
    '--json',
  )
  assert.equal(status, 0)
  assert.equal((JSON.parse(stdout) as { mapPath: unknown }).mapPath, null)
  assert.ok(!existsSync(path('without.plugin.cjs.map')))
})

test('prints a path outside the working directory in full', async (t) => {
  const { micrograft, write } = await commandLine(t)
  const other = await commandLine(t)
  await write('hello.ts', source)
  const { stdout } = await micrograft('build', 'hello.ts', '-o', `${other.folder}/`)
  assert.ok(stdout.startsWith(`${other.path('hello-0.0.1.plugin.cjs')}  `), stdout)
})
