import assert from 'node:assert/strict'
import { test } from 'node:test'
import { workshop } from './support/workshop.js'

type Host = Record<string, unknown>

/** The names of the host's globals. Reading localStorage makes newer Nodes print a warning. */
const names = () => Object.getOwnPropertyNames(globalThis).filter((name) => name !== 'localStorage')

/** The host's globals. Many are accessors that become values when they are first read. */
const globals = () => new Map(names().map((name) => [name, (globalThis as Host)[name]]))

test("what a plugin writes to globalThis is its own, and the host's globals stay as they are", async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    const key = Symbol.for('micrograft.test')
    globalThis.micrograftPlain = 1
    global.micrograftGlobal = 2
    globalThis[key] = 3
    Object.defineProperty(globalThis, 'micrograftDefined', { value: 4 })
    Object.assign(globalThis, { micrograftAssigned: 5, fetch: 'mine', Array: 'mine' })
    export const own = [
      globalThis.micrograftPlain, global.micrograftGlobal, globalThis[key], globalThis.micrograftDefined,
      globalThis.micrograftAssigned, globalThis.fetch, 'micrograftPlain' in globalThis,
    ]`
  const before = globals()
  const symbols = Object.getOwnPropertySymbols(globalThis)
  const opened = await platform().open((await plugin('writes', source)).path)
  assert.deepEqual(opened.lookup('own'), [1, 2, 3, 4, 5, 'mine', true])
  assert.deepEqual(Object.getOwnPropertySymbols(globalThis), symbols)
  assert.deepEqual([...globals().keys()], [...before.keys()])
  for (const [name, value] of globals()) assert.equal(value, before.get(name), name)
})

test('globals that are accessors in Node are written to as any other', async (t) => {
  const { plugin, platform } = await workshop(t)
  const accessors = names().filter((name) => Object.getOwnPropertyDescriptor(globalThis, name)?.get)
  assert.ok(accessors.includes('process') && accessors.includes('crypto'), accessors.join())
  const source = `
    export const written = (names: string[]): unknown[] => names.map((name) => {
      globalThis[name] = 'mine of ' + name
      return globalThis[name]
    })`
  const before = globals()
  const opened = await platform().open<{ written(names: string[]): string[] }>(
    (await plugin('writes', source)).path,
  )
  const expected = accessors.map((name) => `mine of ${name}`)
  assert.deepEqual(opened.lookup('written')(accessors), expected)
  for (const name of accessors) assert.equal((globalThis as Host)[name], before.get(name), name)
})

test('a plugin reads the globals of the host, also those that insist on the real global', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = globalThis as Host
  host['micrograftHost'] = { shared: true }
  t.after(() => delete host['micrograftHost'])
  const source = `
    const { crypto, fetch, URL, performance, queueMicrotask } = globalThis
    export const read = [fetch, URL, performance, queueMicrotask, globalThis.Array, globalThis.micrograftHost]
    export const bare = micrograftHost
    export const uuid = globalThis.crypto.randomUUID()
    export const same = [globalThis === global, globalThis.globalThis === globalThis, global.global === global,
      globalThis.process === process, globalThis.setTimeout === setTimeout, globalThis.crypto === crypto]`
  const opened = await platform().open((await plugin('reads', source)).path)
  const { fetch, URL, performance, queueMicrotask, Array } = globalThis
  const read = opened.lookup('read') as unknown[]
  for (const [i, value] of [fetch, URL, performance, queueMicrotask, Array, host['micrograftHost']].entries())
    assert.equal(read[i], value)
  assert.equal(opened.lookup('bare'), host['micrograftHost'])
  assert.match(String(opened.lookup('uuid')), /^[0-9a-f-]{36}$/)
  assert.deepEqual(opened.lookup('same'), [true, true, true, true, true, true])
})

test('a plugin can delete what it wrote, and then finds what the host has', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    globalThis.fetch = 'mine'
    const mine = globalThis.fetch
    delete globalThis.fetch
    delete globalThis.URL
    export const seen = [mine, globalThis.fetch, globalThis.URL]`
  const { fetch, URL } = globalThis
  const opened = await platform().open((await plugin('deletes', source)).path)
  assert.deepEqual(opened.lookup('seen'), ['mine', fetch, URL])
  assert.deepEqual([globalThis.fetch, globalThis.URL], [fetch, URL])
})

test('one plugin does not see what another, or an earlier opening of itself, wrote', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const source = `export const n = globalThis.micrograftCount = (globalThis.micrograftCount ?? 0) + 1`
  const { path } = await plugin('a', source)
  const first = await host.open(path)
  const other = await host.open((await plugin('b', source)).path)
  assert.deepEqual([first.lookup('n'), other.lookup('n')], [1, 1])
  await first.close()
  assert.equal((await host.open(path)).lookup('n'), 1)
})
