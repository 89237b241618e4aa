import assert from 'node:assert/strict'
import { test } from 'node:test'
import { register } from '@micrograft/plugin'
import { workshop } from './support/workshop.js'

interface Says {
  say(): string
}

const importing = `import { register } from '@micrograft/plugin'\n`

test('a plugin that registers nothing is registered under its own name and version with its exports', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const source = `export const say = (): string => 'hi'; export default 42`
  await host.open((await plugin('@acme/hello', source, { version: '1.2.3' })).path)
  assert.deepEqual(host.versions('@acme/hello'), ['1.2.3'])
  const handle = host.use<Says & { default: number }>('@acme/hello')
  assert.equal(handle.call.say(), 'hi')
  assert.equal(handle.lookup('default'), 42)
})

test('module code registers symbols under its own name and version unless it says otherwise', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const source = `${importing}
    register({ symbols: { say: () => 'registered' } })
    export const say = (): string => 'exported'`
  const opened = await host.open<Says>((await plugin('hello', source, { version: '1.2.3' })).path)
  assert.deepEqual(host.versions('hello'), ['1.2.3'])
  assert.equal(host.use<Says>('hello').call.say(), 'registered')
  assert.equal(opened.lookup('say')(), 'exported')
})

test('one plugin registers several names and several versions of one', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const source = `${importing}
    register({ name: 'a', symbols: { say: () => 'a' } })
    register({ name: 'b', version: '2.0.0', symbols: { say: () => 'b2' } })
    register({ name: 'b', version: '1.0.0', symbols: { say: () => 'b1' } })
    export {}`
  const opened = await host.open((await plugin('several', source, { version: '0.1.0' })).path)
  assert.deepEqual(host.versions('a'), ['0.1.0'])
  assert.deepEqual(host.versions('b'), ['2.0.0', '1.0.0'])
  assert.deepEqual(host.versions('several'), [])
  const { say } = host.use<Says>('b').call
  assert.equal(host.use<Says>('a').call.say(), 'a')
  assert.equal(say(), 'b2')
  host.prefer('b', '1.0.0')
  assert.equal(say(), 'b1')
  await opened.close()
  assert.deepEqual([host.versions('a'), host.versions('b')], [[], []])
  assert.throws(() => say(), { code: 'no-such-plugin' })
})

test('what is registered is read once, at that moment', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const source = `${importing}
    const symbols: Record<string, () => string> = { say: () => 'then' }
    register({ symbols })
    symbols['say'] = () => 'now'
    symbols['more'] = () => 'more'
    export const say = (): string => 'exported'`
  await host.open((await plugin('hello', source)).path)
  const { call } = host.use<Says & { more(): string }>('hello')
  assert.equal(call.say(), 'then')
  assert.throws(() => call.more(), { code: 'unknown-symbol' })
})

test('a plugin registers later too, new versions and new symbols for one that it has', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const source = `${importing}
    export const say = (): string => 'first'
    export const again = (version: string, text: string): void => register({ version, symbols: { say: () => text } })`
  const opened = await host.open<{ again(version: string, text: string): void }>(
    (await plugin('hello', source)).path,
  )
  const again = opened.lookup('again')
  const handle = host.use<Says>('hello')
  assert.equal(handle.call.say(), 'first')
  again('1.0.0', 'replaced')
  assert.equal(handle.call.say(), 'replaced')
  again('1.5.0', 'newer')
  assert.equal(handle.call.say(), 'newer')
  assert.equal(handle.version, '1.5.0')
  again('1.1.0', 'between')
  assert.equal(handle.call.say(), 'newer')
  await opened.close()
  assert.throws(() => again('2.0.0', 'late'), { code: 'closed', message: /hello 1\.0\.0.*was closed/ })
  assert.deepEqual(host.versions('hello'), [])
})

test('names and versions that can be none are refused, and nothing of the plugin stays', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const cases = [
    ['invalid-name', `name: '../up'`],
    ['invalid-name', `name: ''`],
    ['invalid-version', `version: '1.0'`],
    ['invalid-version', `version: 'newest'`],
  ] as const
  for (const [code, registration] of cases) {
    const source = `${importing}
      register({ name: 'good', symbols: {} })
      register({ ${registration}, symbols: {} })
      export {}`
    const { path } = await plugin('bad', source)
    await assert.rejects(host.open(path), (error: Error & { code: string; cause?: { code?: string } }) => {
      assert.equal(error.code, 'module-threw')
      assert.equal(error.cause?.code, code)
      return true
    })
    assert.deepEqual([host.versions('good'), host.versions('bad'), host.plugins], [[], [], []])
  }
})

test('a name and version that another plugin registered is refused, whichever way it comes', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  await host.open((await plugin('first', `export const say = () => 'first'`)).path)
  const taking = `${importing} register({ name: 'first', version: '1.0.0', symbols: {} }); export {}`
  const { path } = await plugin('second', taking)
  await assert.rejects(host.open(path), { code: 'module-threw', message: /first 1\.0\.0.*has registered/ })
  const later = `${importing}
    export const take = (): void => register({ name: 'first', version: '1.0.0', symbols: {} })`
  const third = await host.open<{ take(): void }>((await plugin('third', later)).path)
  assert.throws(() => third.lookup('take')(), { code: 'version-taken' })
  assert.equal(host.use<Says>('first').call.say(), 'first')
})

test('of two plugins that register the same version while they are opened one is refused', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const source = (text: string) =>
    `${importing} register({ name: 'shared', version: '1.0.0', symbols: { say: () => '${text}' } }); export {}`
  const { path: a } = await plugin('a', source('a'))
  const { path: b } = await plugin('b', source('b'))
  const outcomes = await Promise.allSettled([host.open(a), host.open(b)])
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  assert.equal(host.plugins.length, 1)
  assert.equal(host.use<Says>('shared').call.say(), host.plugins[0]?.manifest.name)
})

test('what another plugin registers while module code runs is not taken from it', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const registers = (who: string) =>
    `register({ name: 'shared', version: '1.0.0', symbols: { say: () => '${who}' } })`
  const late = `${importing} export const take = (): void => ${registers('late')}`
  const first = await host.open<{ take(): void }>((await plugin('late', late)).path)
  const shared = globalThis as { meanwhile?: () => void }
  shared.meanwhile = first.lookup('take')
  t.after(() => delete shared.meanwhile)
  const slow = `${importing} ${registers('slow')}; globalThis.meanwhile(); export {}`
  await assert.rejects(host.open((await plugin('slow', slow)).path), { code: 'version-taken' })
  assert.equal(host.use<Says>('shared').call.say(), 'late')
  assert.deepEqual(host.plugins, [first])
})

test('register outside a plugin file says that it belongs into one', () => {
  assert.throws(() => register({ name: 'hello', symbols: {} }), {
    code: 'not-opening',
    message: /plugin file.*micrograft build/,
  })
})
