import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Plugin } from '@micrograft/plugin'
import { workshop } from './support/workshop.js'

interface Answers {
  answer(): string
}

/** A platform with some versions of `hello` open, each of which answers with its own version. */
async function withVersions(t: TestContext, ...versions: readonly string[]) {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const opened = new Map<string, Plugin>()
  const add = async (version: string) => {
    const source = `export const answer = (): string => ${JSON.stringify(version)}`
    opened.set(version, await host.open((await plugin('hello', source, { version })).path))
  }
  for (const version of versions) await add(version)
  const { answer } = host.use<Answers>('hello').call
  return { host, answer, add, close: (version: string) => opened.get(version)?.close() }
}

test('prefer with a version goes back to it, and without one to the highest again', async (t) => {
  const { host, answer, add } = await withVersions(t, '1.0.0', '2.0.0')
  host.prefer('hello', '1.0.0')
  assert.equal(answer(), '1.0.0')
  await add('3.0.0')
  assert.equal(answer(), '1.0.0')
  host.prefer('hello')
  assert.equal(answer(), '3.0.0')
})

test('prefer with a range goes to the highest in it, also of those that come later', async (t) => {
  const { host, answer, add } = await withVersions(t, '1.2.0', '2.0.0')
  host.prefer('hello', '^1')
  assert.equal(answer(), '1.2.0')
  await add('1.10.0')
  assert.equal(answer(), '1.10.0')
  await add('1.9.0')
  await add('2.1.0')
  assert.equal(answer(), '1.10.0')
})

test('prefer with another range takes the place of the one before', async (t) => {
  const { host, answer } = await withVersions(t, '1.0.0', '1.5.0', '2.0.0')
  host.prefer('hello', '<1.5')
  assert.equal(answer(), '1.0.0')
  host.prefer('hello', '1.x || 3')
  assert.equal(answer(), '1.5.0')
})

test('a range that names a pre-release prefers it to a release, and any other range does not', async (t) => {
  const { host, answer, add } = await withVersions(t, '1.0.0', '2.0.0-rc.1')
  assert.equal(answer(), '1.0.0')
  host.prefer('hello', '2.0.0-rc.1')
  assert.equal(answer(), '2.0.0-rc.1')
  host.prefer('hello', '>=2.0.0-rc.0')
  await add('2.0.0-rc.2')
  assert.equal(answer(), '2.0.0-rc.2')
  await add('2.0.0')
  assert.equal(answer(), '2.0.0')
  host.prefer('hello', '>=1')
  await add('3.0.0-alpha')
  assert.equal(answer(), '2.0.0')
})

test('of versions that differ in their build text alone the last in the order of text is preferred', async (t) => {
  const { host, answer } = await withVersions(t, '1.0.0+b', '1.0.0+a', '1.0.0')
  assert.equal(answer(), '1.0.0+b')
  host.prefer('hello', '1.0.0')
  assert.equal(answer(), '1.0.0+b')
})

test('an unknown name is refused with the names that there are', async (t) => {
  const { host, answer } = await withVersions(t, '1.0.0', '2.0.0')
  host.use('waiting')
  assert.throws(() => host.prefer('helo', '1.0.0'), { code: 'no-such-plugin', message: /helo.*: hello$/ })
  assert.throws(() => host.prefer('waiting', '1.0.0'), { code: 'no-such-plugin' })
  assert.throws(() => host.prefer('waiting'), { code: 'no-such-plugin' })
  assert.equal(answer(), '2.0.0')
})

test('a version that is not there, or a text that is no range, changes nothing', async (t) => {
  const { host, answer, add } = await withVersions(t, '1.0.0', '1.1.0', '2.0.0')
  host.prefer('hello', '~1.0.0')
  const refused = { code: 'no-such-version', message: /hello is in \^3; there are 1\.0\.0, 1\.1\.0, 2\.0\.0/ }
  assert.throws(() => host.prefer('hello', '^3'), refused)
  for (const bad of ['newest', '1..2', '>', '^1 || nope', '1.2.3.4', '01.0.0'])
    assert.throws(() => host.prefer('hello', bad), { code: 'invalid-range' }, bad)
  assert.equal(answer(), '1.0.0')
  await add('1.0.7')
  assert.equal(answer(), '1.0.7')
})

test('when the last version in the range is closed calls go to the highest, until one is in it again', async (t) => {
  const { host, answer, add, close } = await withVersions(t, '1.0.0', '1.1.0', '2.0.0', '3.0.0')
  host.prefer('hello', '^1')
  assert.equal(answer(), '1.1.0')
  await close('1.1.0')
  assert.equal(answer(), '1.0.0')
  await close('1.0.0')
  assert.equal(answer(), '3.0.0')
  await add('1.2.0')
  assert.equal(answer(), '1.2.0')
})

test('a preference outlasts the time in which no version is open, whoever has a handle', async (t) => {
  const { plugin, platform } = await workshop(t)
  const open = async (version: string) =>
    host.open((await plugin('hello', `export const answer = () => '${version}'`, { version })).path)
  const host = platform()
  const first = await open('1.0.0')
  host.prefer('hello', '^1')
  await first.close()
  assert.throws(() => host.prefer('hello'), { code: 'no-such-plugin' })
  await open('2.0.0')
  await open('1.0.1')
  assert.equal(host.use<Answers>('hello').call.answer(), '1.0.1')
})
