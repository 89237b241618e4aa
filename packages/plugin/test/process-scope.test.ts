import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { CloseReport, Plugin } from '@micrograft/plugin'
import { runModule } from './support/child.js'
import { workshop } from './support/workshop.js'

/** A plugin of that source, open. */
async function opened<T extends object = Record<string, unknown>>(
  t: TestContext,
  source: string,
): Promise<Plugin<T>> {
  const { plugin, platform } = await workshop(t)
  return platform().open<T>((await plugin('listens', source)).path)
}

/** Every listener on process, by event. */
const listeners = () =>
  new Map(process.eventNames().map((event) => [event, process.listeners(event as 'exit')] as const))

const kind = 'process listener'
const none: CloseReport = { leftovers: [], failure: undefined }

test('listeners on process that are left are named with their event and function, and taken off', async (t) => {
  const events = ['SIGWINCH', 'micrograft-a', 'micrograft-b', 'micrograft-c', 'micrograft-d']
  const plugin = await opened(
    t,
    `import { on } from 'node:process'
    import direct from 'process'
    process.on('SIGWINCH', function reload() {})
    process.addListener('micrograft-a', () => undefined)
    process.once('micrograft-b', () => undefined)
    globalThis.process.prependListener('micrograft-c', () => undefined)
    direct.prependOnceListener('micrograft-d', () => undefined)
    on('micrograft-a', function imported() {})
    process.on(Symbol.for('micrograft-symbol'), () => undefined)
    export {}`,
  )
  const symbol = Symbol.for('micrograft-symbol') as never
  assert.deepEqual(
    events.map((event) => process.listenerCount(event)),
    [1, 2, 1, 1, 1],
  )
  assert.equal(process.listenerCount(symbol), 1)
  const { leftovers } = await plugin.close()
  assert.deepEqual(leftovers, [
    { kind, what: 'SIGWINCH, calling reload' },
    { kind, what: 'micrograft-a' },
    { kind, what: 'micrograft-b' },
    { kind, what: 'micrograft-c' },
    { kind, what: 'micrograft-d' },
    { kind, what: 'micrograft-a, calling imported' },
    { kind, what: 'Symbol(micrograft-symbol)' },
  ])
  assert.deepEqual(
    events.map((event) => process.listenerCount(event)),
    [0, 0, 0, 0, 0],
  )
  assert.equal(process.listenerCount(symbol), 0)
})

test('a listener for one call that was called is not left', async (t) => {
  const plugin = await opened(
    t,
    `export const seen: unknown[] = []
    process.once('micrograft-a', (...args) => seen.push(args))
    process.prependOnceListener('micrograft-a', (...args) => seen.push(args))
    process.once('micrograft-b', () => undefined)`,
  )
  const seen = plugin.lookup('seen')
  process.emit('micrograft-a' as never, 1 as never, 2 as never)
  process.emit('micrograft-a' as never)
  assert.deepEqual(seen, [
    [1, 2],
    [1, 2],
  ])
  assert.deepEqual((await plugin.close()).leftovers, [{ kind, what: 'micrograft-b' }])
})

test('a listener that was taken off is not left', async (t) => {
  const plugin = await opened(
    t,
    `const listener = () => undefined
    process.on('micrograft-a', listener).on('micrograft-a', listener).on('micrograft-a', listener)
    process.off('micrograft-a', listener).removeListener('micrograft-a', listener)
    process.on('micrograft-b', listener).off('micrograft-b', () => undefined)
    process.on('micrograft-c', listener).removeAllListeners('micrograft-c')
    export const chained = process.on('micrograft-c', listener).off('micrograft-c', listener) === process`,
  )
  assert.equal(plugin.lookup('chained'), true)
  assert.deepEqual(
    ['micrograft-a', 'micrograft-b', 'micrograft-c'].map((event) => process.listenerCount(event)),
    [1, 1, 0],
  )
  assert.deepEqual((await plugin.close()).leftovers, [
    { kind, what: 'micrograft-a, calling listener' },
    { kind, what: 'micrograft-b, calling listener' },
  ])
})

test("a plugin takes off no listener but its own, not even the host's of the same event", async (t) => {
  const calls: string[] = []
  const hosts = () => calls.push('host')
  process.on('micrograft-a', hosts).on('micrograft-b', hosts)
  t.after(() => process.off('micrograft-a', hosts).off('micrograft-b', hosts))
  const plugin = await opened<{ test(hosts: () => void): void }>(
    t,
    `export function test(hosts: () => void): void {
      process.off('micrograft-a', hosts)
      process.removeListener('micrograft-a', hosts)
      process.removeAllListeners('micrograft-a')
      for (const listener of process.listeners('micrograft-b')) process.off('micrograft-b', listener)
      process.on('micrograft-b', () => undefined)
      process.removeAllListeners()
    }`,
  )
  const before = listeners()
  plugin.lookup('test')(hosts)
  assert.deepEqual(listeners(), before)
  assert.deepEqual(await plugin.close(), none)
  process.emit('micrograft-a' as never)
  process.emit('micrograft-b' as never)
  assert.deepEqual(calls, ['host', 'host'])
})

test('many listeners that were called once do not pile up', async (t) => {
  const plugin = await opened<{ refs: WeakRef<object>[] }>(
    t,
    `export const refs: WeakRef<object>[] = []
    for (let i = 0; i < 2000; i++) {
      const listener = () => undefined
      process.once('micrograft-a', listener)
      process.emit('micrograft-a')
      refs.push(new WeakRef(listener))
    }`,
  )
  const refs = plugin.lookup('refs')
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
    globalThis.gc?.()
  }
  const alive = refs.filter((each) => each.deref() !== undefined).length
  assert.ok(alive < 200, `${alive} of 2000 are kept`)
  assert.deepEqual(await plugin.close(), none)
})

test('a plugin reads of process what the host reads', async (t) => {
  const plugin = await opened<{ read: unknown[] }>(
    t,
    `import { env, pid, argv } from 'node:process'
    export const read = [process.pid, process.argv, process.env, process.version, pid, argv, env, process.cwd(),
      typeof process.memoryUsage().rss, typeof process.hrtime.bigint(), process.stdout]`,
  )
  const { pid, argv, env, version, stdout } = process
  const expected = [pid, argv, env, version, pid, argv, env, process.cwd(), 'number', 'bigint', stdout]
  for (const [i, value] of plugin.lookup('read').entries()) assert.equal(value, expected[i])
})

test('what would end or change the host is refused, by whatever name the plugin calls it', async (t) => {
  const shop = await workshop(t)
  const source = `
    import imported, { exit, kill } from 'node:process'
    const calls: Record<string, () => unknown> = {
      'process.exit': () => process.exit(3),
      'globalThis.process.exit': () => globalThis.process.exit(3),
      'global.process.exit': () => global.process.exit(3),
      'imported.exit': () => imported.exit(3),
      exit: () => exit(3),
      'required.exit': () => require('node:process').exit(3),
      'process.reallyExit': () => process.reallyExit(3),
      'process.abort': () => process.abort(),
      'process.chdir': () => process.chdir('/'),
      'process.dlopen': () => process.dlopen({}, '/nowhere.node'),
      'process.kill(pid)': () => process.kill(process.pid),
      'process.kill(pid, SIGKILL)': () => process.kill(process.pid, 'SIGKILL'),
      'process.kill(text)': () => process.kill(String(process.pid), 9),
      'process.kill(0)': () => process.kill(0, 'SIGKILL'),
      'process.kill(-pid)': () => process.kill(-process.pid, 'SIGKILL'),
      kill: () => kill(process.pid, 'SIGTERM'),
      'process.setUncaughtExceptionCaptureCallback': () => process.setUncaughtExceptionCaptureCallback(() => {}),
    }
    export const run = (): Record<string, unknown> => Object.fromEntries(Object.entries(calls).map(([name, call]) => {
      try { return [name, { returned: String(call()) }] } catch ({ code, message }) { return [name, { code, message }] }
    }))
    export const exists = (): unknown => process.kill(process.pid, 0)`
  const { path } = await shop.plugin('ends', source)
  const script = `
    import { open } from '@micrograft/plugin'
    const plugin = await open(${JSON.stringify(path)})
    const before = process.cwd()
    const outcomes = plugin.lookup('run')()
    console.log(JSON.stringify({ outcomes, exists: plugin.lookup('exists')(), moved: process.cwd() !== before }))
    process.exitCode = 42`
  const { status, stdout, stderr } = await runModule(shop, 'host.mjs', script)
  assert.equal(stderr, '')
  assert.equal(status, 42)
  const { outcomes, exists, moved } = JSON.parse(stdout) as {
    outcomes: Record<string, { code?: string; message?: string }>
    exists: boolean
    moved: boolean
  }
  assert.equal(exists, true)
  assert.equal(moved, false)
  assert.equal(Object.keys(outcomes).length, 17)
  for (const [name, { code, message }] of Object.entries(outcomes)) {
    assert.equal(code, 'forbidden', name)
    assert.match(message ?? '', /^ends 1\.0\.0 called process\.\w+\(\).*cannot end or change its host/, name)
  }
})

test('a plugin may signal other processes', async (t) => {
  const plugin = await opened<{ run(): Promise<unknown> }>(
    t,
    `import { spawn } from 'node:child_process'
    export async function run(): Promise<unknown> {
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
      const ended = new Promise((resolve) => child.on('exit', (_, signal) => resolve(signal)))
      process.kill(child.pid, 'SIGTERM')
      return ended
    }`,
  )
  assert.equal(await plugin.lookup('run')(), 'SIGTERM')
})
