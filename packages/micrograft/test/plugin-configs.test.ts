import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  build,
  createService,
  generate,
  type ComponentType,
  type PackagedPlugin,
  type PluginConfig,
} from 'micrograft'
import { build as buildFile } from '@micrograft/plugin/build'

/** A folder with a package `some-package` installed, which is the working directory meanwhile. */
async function project(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-'))
  const cwd = process.cwd()
  t.after(async () => {
    process.chdir(cwd)
    await rm(folder, { recursive: true, force: true })
  })
  process.chdir(folder)
  await mkdir(join(folder, 'node_modules/some-package'), { recursive: true })
  await writeFile(
    join(folder, 'node_modules/some-package/package.json'),
    JSON.stringify({ name: 'some-package', version: '1.0.0', type: 'module', exports: './index.js' }),
  )
  await writeFile(
    join(folder, 'node_modules/some-package/index.js'),
    `
    export const newClient = () => ({ name: 'client', protocol: 'p', call: async () => {}, stream: async () => {}, [Symbol.asyncDispose]: async () => {} })
    export const newNothing = () => undefined
    export const newHalf = () => ({ name: 'half', call: async () => {} })
    export const newThrowing = () => { throw new Error('no such host') }
    export const newHanging = () => new Promise(() => {})
  `,
  )
  await symlink(
    fileURLToPath(new URL('../../../node_modules/@micrograft', import.meta.url)),
    join(folder, 'node_modules/@micrograft'),
    'junction',
  )
  return folder
}

const packaged: PackagedPlugin = {
  name: 'client',
  type: 'client',
  path: 'some-package',
  newFunc: 'newClient',
}

test('builds a plugin file from a config alone, and leaves nothing else', async (t) => {
  const folder = await project(t)
  const before = await readdir(folder)
  const path = await build('out/test', packaged)
  assert.equal(path, join(folder, 'out/test.plugin.cjs'))
  assert.deepEqual((await readdir(folder)).sort(), [...before, 'out'].sort())
  assert.deepEqual((await readdir(join(folder, 'out'))).sort(), ['test.plugin.cjs', 'test.plugin.cjs.map'])

  const service = createService({ name: 'x', logger: 'noop' })
  t.after(() => service.stop())
  const config = await service.plugins.load(path)
  assert.deepEqual(
    [config.name, config.type, config.path, typeof config.newFunc],
    ['client', 'client', 'some-package', 'function'],
  )
})

test('the same config gives the same bytes', async (t) => {
  await project(t)
  const [a, b] = [await build('a', packaged), await build('b', packaged)]
  assert.deepEqual(await readFile(a), await readFile(b))
})

test('generates a source that builds to the same plugin', async (t) => {
  const folder = await project(t)
  const source = await generate(join(folder, 'client'), packaged)
  assert.equal(source, join(folder, 'client.ts'))
  assert.match(await readFile(source, 'utf8'), /import \{ newClient as newFunc \} from "some-package"/)
  const { path } = await buildFile(source, { name: 'client', type: 'client', version: '1.0.0' })
  const service = createService({ name: 'x', logger: 'noop', plugins: [path], client: 'client' })
  t.after(() => service.stop())
  await service.start()
  assert.equal(service.use('client').protocol, 'p')
})

test('refuses a config that is none, saying what was expected', async (t) => {
  await project(t)
  await assert.rejects(
    build('x', { name: 'a b', type: 'klient' as ComponentType, path: '', newFunc: 'not a name' }),
    (error: Error & { code: string }) => {
      assert.equal(error.code, 'invalid-option')
      for (const part of [/name is "a b"/, /did you mean client\?/, /path/, /newFunc/])
        assert.match(error.message, part)
      return true
    },
  )
  await assert.rejects(build('x', { ...packaged, path: 'not-installed' }), {
    code: 'unresolved-import',
    message: /not-installed/,
  })
  await assert.rejects(build('x', { ...packaged, newFunc: 'newOther' }), { name: 'PluginError' })
  assert.deepEqual((await readdir('.')).sort(), ['node_modules'])
})

test('init refuses an invalid config and an unknown type', () => {
  const { plugins } = createService({ name: 'x' })
  const good: PluginConfig = { name: 'a', type: 'store', version: '1.0.0', newFunc: () => undefined as never }
  const cases: [unknown, RegExp][] = [
    [{ ...good, type: 'stor' }, /type is "stor".*did you mean store\?/s],
    [{ ...good, version: 'one' }, /version is "one".*1\.0\.0/s],
    [{ ...good, newFunc: 'newStore' }, /newFunc is "newStore"; expected a function/],
    [{ ...good, name: '' }, /name is ""/],
    [null, /null/],
    ['store', /string/],
  ]
  for (const [config, message] of cases)
    assert.throws(() => plugins.init(config as PluginConfig), { code: 'invalid-option', message })
})

test('a newFunc that makes nothing, half of it, throws or never ends is an error that names the plugin', async (t) => {
  await project(t)
  const cases: [string, { code: string; message: RegExp }][] = [
    [
      'newNothing',
      {
        code: 'invalid-option',
        message: /client client 1\.0\.0 made no client: it gave nothing; a client has call\(\), stream\(\)/,
      },
    ],
    ['newHalf', { code: 'invalid-option', message: /it lacks stream\(\), protocol/ }],
    ['newThrowing', { code: 'invalid-option', message: /client client 1\.0\.0: no such host/ }],
    ['newHanging', { code: 'timeout', message: /client client 1\.0\.0 was not made within 100 ms/ }],
  ]
  for (const [newFunc, expected] of cases) {
    const path = await build(newFunc, { ...packaged, newFunc })
    const service = createService({
      name: 'x',
      logger: 'noop',
      plugins: [path],
      client: 'client',
      makeTimeoutMs: 100,
    })
    await assert.rejects(service.start(), expected, newFunc)
    await service.stop()
  }
})

test('a file without a config, and one whose manifest says another type, are refused with their names', async (t) => {
  const folder = await project(t)
  await writeFile(join(folder, 'bare.ts'), 'export const Other = 1')
  const bare = await buildFile(join(folder, 'bare.ts'), { name: 'bare' })
  const service = createService({ name: 'x', logger: 'noop' })
  t.after(() => service.stop())
  await assert.rejects(service.plugins.load(bare.path), {
    code: 'invalid-option',
    message: /bare.*no symbol Plugin/s,
  })
  const source = await generate(join(folder, 'client'), packaged)
  const wrong = await buildFile(source, { name: 'wrong', type: 'store' })
  await assert.rejects(service.plugins.load(wrong.path), {
    code: 'invalid-option',
    message: /wrong.*store.*client/s,
  })
  const unknown = await buildFile(source, { name: 'odd', type: 'gadget' })
  await assert.rejects(service.plugins.load(unknown.path), { code: 'unknown-type', message: /gadget/ })
})

test('a plugin that fails to load stops the start, or is a warning where that was asked for', async (t) => {
  const folder = await project(t)
  const options = { name: 'x', logger: 'noop', plugins: [join(folder, 'no.plugin.cjs')] }
  await assert.rejects(createService(options).start(), { code: 'not-found', message: /no\.plugin\.cjs/ })
  const warnings: Error[] = []
  const onWarning = (warning: Error) => warnings.push(warning)
  process.on('warning', onWarning)
  t.after(() => process.off('warning', onWarning))
  const service = createService({ ...options, pluginErrors: 'warn' })
  t.after(() => service.stop())
  await service.start()
  await new Promise((resolve) => setImmediate(resolve))
  assert.match(warnings[0]?.message ?? '', /no\.plugin\.cjs/)
})
