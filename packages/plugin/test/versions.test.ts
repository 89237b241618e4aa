import assert from 'node:assert/strict'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { defaultPlatform, open } from '@micrograft/plugin'
import { workshop } from './support/workshop.js'

interface Counts {
  count(): number
}

const counting = 'let n = 0; export const count = (): number => ++n'

test('other content at the same path is a version beside the old one', async (t) => {
  const { plugin, platform, folder } = await workshop(t)
  const host = platform()
  const path = join(folder, 'hello.plugin.cjs')
  const say = (text: string) => `export const say = (): string => ${JSON.stringify(text)}`
  await copyFile((await plugin('hello', say('one'))).path, path)
  const first = await host.open<{ say(): string }>(path)
  await copyFile((await plugin('hello', say('two'), { version: '2.0.0' })).path, path)
  const second = await host.open<{ say(): string }>(path)
  assert.notEqual(first, second)
  assert.deepEqual([first.path, second.path], [path, path])
  assert.deepEqual(host.plugins, [first, second])
  assert.deepEqual([first.lookup('say')(), second.lookup('say')()], ['one', 'two'])
  await first.close()
  assert.equal(second.lookup('say')(), 'two')
})

test('two platforms share nothing', async (t) => {
  const { plugin, platform } = await workshop(t)
  const [a, b] = [platform(), platform()]
  const { path } = await plugin('counts', counting)
  const [inA, inB] = [await a.open<Counts>(path), await b.open<Counts>(path)]
  const seen: string[] = []
  b.events.on('switched', () => seen.push('switched'))
  b.events.on('closed', () => seen.push('closed'))
  assert.notEqual(inA, inB)
  assert.equal(inA.id, inB.id)
  inA.lookup('count')()
  assert.equal(inA.lookup('count')(), 2)
  assert.equal(inB.lookup('count')(), 1)
  await a.open((await plugin('counts', counting, { version: '2.0.0' })).path)
  a.prefer('counts', '2.0.0')
  assert.equal(b.use('counts').version, '1.0.0')
  assert.deepEqual(b.versions('counts'), ['1.0.0'])
  await a.close()
  assert.equal(inA.closed, true)
  assert.equal(inB.closed, false)
  assert.equal(b.use<Counts>('counts').call.count(), 2)
  assert.deepEqual(seen, [])
})

test('open uses one platform for the whole process', async (t) => {
  const { plugin } = await workshop(t)
  const { path } = await plugin('counts', counting)
  const opened = await open<Counts>(path)
  t.after(() => opened.close())
  assert.equal(await defaultPlatform().open(path), opened)
  assert.equal(defaultPlatform(), defaultPlatform())
  opened.lookup('count')()
  assert.equal(defaultPlatform().use<Counts>('counts').call.count(), 2)
})

test('a version whose module code fails after it has registered changes nothing', async (t) => {
  const { plugin, platform } = await workshop(t)
  const failures = {
    'module-threw': `throw new Error('not today')`,
    'module-rejected': `void Promise.reject(new Error('not today'))`,
  }
  for (const [code, failure] of Object.entries(failures)) {
    const host = platform()
    const good = await host.open((await plugin('hello', `export const say = () => 'one'`)).path)
    const told: string[] = []
    for (const event of ['opened', 'registered', 'switched', 'closed'] as const)
      host.events.on(event, () => told.push(event))
    const source = `
      import { register } from '@micrograft/plugin'
      register({ symbols: { say: () => 'two' } })
      register({ name: 'other', symbols: {} })
      export const timer = setInterval(() => undefined, 1)
      process.on('SIGUSR2', () => undefined)
      ${failure}`
    const { path } = await plugin('hello', source, { version: '2.0.0' })
    const listening = process.listenerCount('SIGUSR2')
    await assert.rejects(host.open(path), { code, path, message: /hello 2\.0\.0.*not today/ })
    assert.deepEqual(told, [], code)
    assert.deepEqual(host.plugins, [good], code)
    assert.deepEqual([host.versions('hello'), host.versions('other')], [['1.0.0'], []], code)
    assert.equal(host.use<{ say(): string }>('hello').call.say(), 'one', code)
    assert.equal(process.listenerCount('SIGUSR2'), listening, code)
    await assert.rejects(host.open(path), { code }, 'and it fails again the next time')
  }
})

test('a version that failed to open leaves its name and version to one that does', async (t) => {
  const { plugin, platform, folder } = await workshop(t)
  const host = platform()
  const { path: bad } = await plugin('hello', `throw new Error('bad')`, { outDir: join(folder, 'bad') })
  await assert.rejects(host.open(bad), { code: 'module-threw' })
  const { path: good } = await plugin('hello', `export const say = () => 'good'`)
  await host.open(good)
  assert.equal(host.use<{ say(): string }>('hello').call.say(), 'good')
})

test('what failed to open can register nothing later', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const shared = globalThis as { later?: (register: () => void) => void }
  let later: () => void = () => undefined
  shared.later = (given) => (later = given)
  t.after(() => delete shared.later)
  const source = `
    import { register } from '@micrograft/plugin'
    globalThis.later(() => register({ version: '2.0.0', symbols: {} }))
    throw new Error('not today')`
  await assert.rejects(host.open((await plugin('hello', source)).path), { code: 'module-threw' })
  assert.throws(() => later(), { code: 'closed' })
  assert.deepEqual(host.versions('hello'), [])
})

test('module code that fails takes no listener of the host for rejections away', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const once = () => undefined
  const always = () => undefined
  process.once('unhandledRejection', once)
  process.on('unhandledRejection', always)
  t.after(() => process.off('unhandledRejection', once).off('unhandledRejection', always))
  const before = process.rawListeners('unhandledRejection')
  const { path } = await plugin('rejects', `void Promise.reject(new Error('mine'))`)
  await assert.rejects(host.open(path), { code: 'module-rejected' })
  assert.deepEqual(process.rawListeners('unhandledRejection'), before)
})
