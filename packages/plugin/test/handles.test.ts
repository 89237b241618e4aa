import assert from 'node:assert/strict'
import { test } from 'node:test'
import { workshop } from './support/workshop.js'

interface Hello {
  Hello(): string
}

const hello = (text: string) => `export const Hello = (): string => ${JSON.stringify(text)}`

test('a handle that was taken before anything is registered goes to the first version that comes', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const handle = host.use<Hello>('hello')
  assert.equal(handle.name, 'hello')
  assert.equal(handle.version, undefined)
  assert.throws(() => handle.call.Hello(), { code: 'no-such-plugin', message: /no version of hello/ })
  await host.open((await plugin('hello', hello('one'))).path)
  assert.equal(handle.version, '1.0.0')
  assert.equal(handle.call.Hello(), 'one')
})

test('a name has one handle, and a symbol one function of it', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const handle = host.use<Hello>('hello')
  const { Hello } = handle.call
  await host.open((await plugin('hello', hello('one'))).path)
  assert.equal(host.use('hello'), handle)
  assert.equal(handle.call.Hello, Hello)
})

test('a function taken from a handle follows each change of version', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const { Hello } = host.use<Hello>('hello').call
  await host.open((await plugin('hello', hello('one'))).path)
  assert.equal(Hello(), 'one')
  const second = await host.open((await plugin('hello', hello('two'), { version: '2.0.0' })).path)
  assert.equal(Hello(), 'two')
  await second.close()
  assert.equal(Hello(), 'one')
})

test('a handle that nobody has called yet stays good while plugins come and go', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const handle = host.use<Hello>('hello')
  const other = await host.open((await plugin('other', hello('other'))).path)
  await other.close()
  const { path } = await plugin('hello', hello('one'))
  const first = await host.open(path)
  assert.equal(handle.version, '1.0.0')
  await first.close()
  assert.equal(handle.version, undefined)
  await host.open(path)
  assert.equal(handle.version, '1.0.0')
  assert.equal(handle.call.Hello(), 'one')
})

test('calls go to the highest version, in whatever order versions are opened', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const { call } = host.use<Hello>('hello')
  const seen: string[] = []
  for (const version of ['1.9.0', '1.10.0', '1.2.0', '2.0.0', '0.9.9']) {
    await host.open((await plugin('hello', hello(version), { version })).path)
    seen.push(call.Hello())
  }
  assert.deepEqual(seen, ['1.9.0', '1.10.0', '1.10.0', '2.0.0', '2.0.0'])
  assert.deepEqual(host.versions('hello'), ['1.9.0', '1.10.0', '1.2.0', '2.0.0', '0.9.9'])
})

test('any release comes before any pre-release, and pre-releases among themselves by precedence', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const { call } = host.use<Hello>('hello')
  const seen: string[] = []
  const versions = ['3.0.0-alpha.9', '3.0.0-alpha.10', '2.0.0-rc.1', '0.1.0', '4.0.0-rc.1', '0.2.0']
  for (const version of versions) {
    await host.open((await plugin('hello', hello(version), { version })).path)
    seen.push(call.Hello())
  }
  assert.deepEqual(seen, ['3.0.0-alpha.9', '3.0.0-alpha.10', '3.0.0-alpha.10', '0.1.0', '0.1.0', '0.2.0'])
})

test('a call that has begun ends in the version where it began', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const slow = (text: string) =>
    `export async function slow(gate: Promise<void>): Promise<string> { await gate; return ${JSON.stringify(text)} }`
  const { call } = host.use<{ slow(gate: Promise<void>): Promise<string> }>('slow')
  await host.open((await plugin('slow', slow('one'))).path)
  let open: () => void = () => undefined
  const gate = new Promise<void>((resolve) => (open = resolve))
  const begun = call.slow(gate)
  await host.open((await plugin('slow', slow('two'), { version: '2.0.0' })).path)
  const later = call.slow(gate)
  open()
  assert.deepEqual(await Promise.all([begun, later]), ['one', 'two'])
})

test('lookup on a handle gives a symbol of the preferred version, which then stays what it is', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const handle = host.use<{ limit: number; Hello(): string }>('hello')
  assert.throws(() => handle.lookup('limit'), { code: 'no-such-plugin' })
  await host.open((await plugin('hello', `export const limit = 1; ${hello('one')}`)).path)
  const first = handle.lookup('Hello')
  assert.equal(handle.lookup('limit'), 1)
  const second = `export const limit = 2; ${hello('two')}`
  await host.open((await plugin('hello', second, { version: '2.0.0' })).path)
  assert.equal(handle.lookup('limit'), 2)
  assert.equal(first(), 'one')
  assert.equal(handle.lookup('Hello')(), 'two')
})

test('a symbol that the preferred version lacks is refused by name, with those that there are', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const handle = host.use<Hello & { Bye(): string }>('hello')
  const { Bye } = handle.call
  await host.open((await plugin('hello', `${hello('one')}; export const limit = 1`)).path)
  const expected = { code: 'unknown-symbol', message: /hello 1\.0\.0 .*"Bye".*Hello, limit/ }
  assert.throws(() => Bye(), expected)
  assert.throws(() => handle.lookup('Bye'), expected)
  const bye = `export const Bye = (): string => 'bye'`
  await host.open((await plugin('hello', bye, { version: '1.1.0' })).path)
  assert.equal(Bye(), 'bye')
  assert.throws(() => handle.call.Hello(), { code: 'unknown-symbol', message: /hello 1\.1\.0/ })
})

test('a symbol that is no function in the preferred version is refused when it is called', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const { Hello } = host.use<Hello>('hello').call
  await host.open((await plugin('hello', hello('one'))).path)
  await host.open((await plugin('hello', 'export const Hello = 42', { version: '1.1.0' })).path)
  assert.throws(() => Hello(), {
    code: 'not-callable',
    message: /Hello of hello 1\.1\.0 is number.*lookup/,
  })
})

test('names that objects have by themselves are symbols like any other', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const { call } = host.use('hello')
  await host.open((await plugin('hello', `export const toString = () => 'mine'`)).path)
  assert.equal(call['toString']?.(), 'mine')
  assert.throws(() => call['constructor']?.(), { code: 'unknown-symbol' })
  assert.throws(() => call['hasOwnProperty']?.('toString'), { code: 'unknown-symbol' })
})

test('a handle can be awaited and printed without a call being made', async (t) => {
  const { platform } = await workshop(t)
  const handle = platform().use('nobody')
  assert.equal(await handle, handle)
  assert.equal(await handle.call, handle.call)
  const { inspect } = await import('node:util')
  assert.match(inspect(handle), /nobody/)
})

test('a name that can name no plugin has no handle', async (t) => {
  const { platform } = await workshop(t)
  const host = platform()
  for (const name of ['', '../hello', 'a/b', 'a b', '.hidden', 'x'.repeat(129), '__proto__'])
    assert.throws(() => host.use(name), { code: 'invalid-name' }, name)
})

test('a table of calls can be awaited and written as JSON like any object', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  await host.open((await plugin('hello', `export const Hello = () => 'hello'`)).path)
  const { call } = host.use<{ Hello(): string }>('hello')
  assert.equal((await call).Hello(), 'hello')
  assert.equal(JSON.stringify(call), '{}')
})
