import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { PluginError, type Platform, type Plugin, type PluginErrorCode } from '@micrograft/plugin'
import { loneHost } from './support/lone-host.js'
import { workshop } from './support/workshop.js'

const source = `
  export function Hello(): string { return 'hello' }
  export const limit = 3
`

async function greeter(t: TestContext): Promise<{ platform: Platform; plugin: Plugin }> {
  const shop = await workshop(t)
  const { platform } = await loneHost(shop)
  const { path } = await shop.plugin('greeter', source)
  return { platform, plugin: await platform.open(path) }
}

/** The refusal that `call` throws. */
function thrownBy(call: () => unknown): PluginError {
  try {
    call()
  } catch (error) {
    assert.ok(error instanceof PluginError)
    return error
  }
  throw new assert.AssertionError({ message: 'it did not throw' })
}

test('refuses a symbol that a plugin has not, and names it, the file and the symbols that there are', async (t) => {
  const { plugin } = await greeter(t)
  const error = thrownBy(() => plugin.lookup('Goodbye'))
  assert.equal(error.code, 'unknown-symbol' satisfies PluginErrorCode)
  assert.equal(error.path, plugin.path)
  assert.equal(error.message, `greeter 1.0.0 (${plugin.path}) has no symbol "Goodbye"; it has Hello, limit`)
})

test('asks whether a symbol was meant that differs in capitals alone', async (t) => {
  const { plugin } = await greeter(t)
  assert.match(thrownBy(() => plugin.lookup('hello')).message, /no symbol "hello" \(did you mean Hello\?\)/)
})

const inherited = ['', 'toString', 'constructor', '__proto__', 'hasOwnProperty', 'then']

test('takes nothing for a symbol that a plugin does not export itself', async (t) => {
  const { plugin, platform } = await greeter(t)
  const handle = platform.use('greeter')
  for (const name of inherited) {
    assert.equal(thrownBy(() => plugin.lookup(name)).code, 'unknown-symbol')
    assert.equal(thrownBy(() => handle.lookup(name)).code, 'unknown-symbol')
  }
})

test('refuses a call to a symbol that is missing, or is no function', async (t) => {
  const { platform } = await greeter(t)
  const handle = platform.use('greeter')
  const missing = thrownBy(() => handle.call['Goodbye']?.())
  assert.equal(missing.code, 'unknown-symbol')
  assert.match(missing.message, /^greeter 1\.0\.0 \(.*\) has no symbol "Goodbye"; it has Hello, limit$/)
  const value = thrownBy(() => handle.call['limit']?.())
  assert.equal(value.code, 'not-callable')
  assert.match(value.message, /^limit of greeter 1\.0\.0 is number, not a function; read it with lookup$/)
})

test('refuses a call to a name that nothing is registered under', async (t) => {
  const { platform } = await greeter(t)
  const handle = platform.use('nobody')
  for (const use of [() => handle.call['Hello']?.(), () => handle.lookup('Hello')]) {
    const error = thrownBy(use)
    assert.equal(error.code, 'no-such-plugin')
    assert.match(error.message, /^no version of nobody is registered; open one before calling it$/)
  }
})
