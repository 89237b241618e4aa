import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Plugin } from '@micrograft/plugin'
import { workshop } from './support/workshop.js'

/** Enough code that something could hold on to it: a class, a closure and some state. */
const plain = (version: string) => `
  const big = Array.from({ length: 1000 }, (_, i) => ({ i, text: 'entry ' + i }))
  export class Counter { #n = 0; add(): number { return ++this.#n } }
  export const make = (): Counter => new Counter()
  export const find = (i: number): unknown => big[i]
  export const version = (): string => ${JSON.stringify(version)}
  export function fail(): never { throw new Error('mine') }`

interface Plain {
  make(): { add(): number }
  find(i: number): unknown
  version(): string
  fail(): never
}

/** Closes a plugin and checks that it leaves memory. */
async function assertGone(plugin: Plugin<never>): Promise<void> {
  await plugin.close()
  if (!(await plugin.collected())) assert.fail((await plugin.heldBy()).join('\n'))
}

test('a plugin that was used and closed leaves memory', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const opened = await host.open<Plain>((await plugin('plain', plain('1.0.0'))).path)
  assert.equal(opened.lookup('make')().add(), 1)
  assert.deepEqual(opened.lookup('find')(7), { i: 7, text: 'entry 7' })
  assert.equal(await opened.collected(), false, 'while it is open it is in memory')
  await assertGone(opened as never)
  assert.deepEqual(await opened.heldBy(), [])
})

test('a plugin that left timers and listeners leaves memory', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `${plain('1.0.0')}
    import { setTimeout as wait } from 'node:timers/promises'
    setInterval(() => find(1), 10)
    setTimeout(() => find(2), 60_000).unref()
    void wait(60_000).then(() => find(3))
    process.on('SIGWINCH', () => find(4))
    process.once('micrograft-test', () => find(5))
    globalThis.micrograftKept = make()
    export const dispose = (): void => { setImmediate(() => find(6)) }`
  const opened = await platform().open((await plugin('leaves', source)).path)
  await new Promise((resolve) => setTimeout(resolve, 25))
  await assertGone(opened as never)
})

test('a plugin whose dispose never ends leaves memory', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `${plain('1.0.0')}
    export const dispose = async (): Promise<void> => { await new Promise(() => undefined); find(1) }`
  const opened = await platform({ disposeTimeoutMs: 5 }).open((await plugin('hangs', source)).path)
  await assertGone(opened as never)
})

test('a plugin leaves memory while the host keeps errors that it threw, once their stacks were read', async (t) => {
  const { plugin, platform } = await workshop(t)
  const opened = await platform().open<Plain>((await plugin('plain', plain('1.0.0'))).path)
  const kept: Error[] = []
  try {
    opened.lookup('fail')()
  } catch (error) {
    kept.push(error as Error)
  }
  assert.match(kept[0]?.stack ?? '', /plain\.ts:\d+:\d+/)
  await assertGone(opened as never)
  assert.equal(kept.length, 1)
})

test('a plugin whose dispose failed leaves memory while its report is kept', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `${plain('1.0.0')}; export const dispose = (): void => { fail() }`
  const opened = await platform().open((await plugin('fails', source)).path)
  const report = await opened.close()
  await assertGone(opened as never)
  assert.equal((report.failure?.cause as Error | undefined)?.message, 'mine')
})

test('a plugin that registered, and was called through a handle that is kept, leaves memory', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const source = `${plain('1.0.0')}
    import { register } from '@micrograft/plugin'
    register({ symbols: { make, find } })
    register({ name: 'other', version: '2.0.0', symbols: { make } })
    export const late = (): void => register({ version: '1.0.1', symbols: { make, find } })`
  const opened = await host.open<{ late(): void }>((await plugin('plain', source)).path)
  opened.lookup('late')()
  const handle = host.use<Plain>('plain')
  const { find, make } = handle.call
  assert.deepEqual(find(1), { i: 1, text: 'entry 1' })
  assert.equal(make().add(), 1)
  assert.equal(typeof host.use<Plain>('other').lookup('make'), 'function')
  await assertGone(opened as never)
  assert.throws(() => find(1), { code: 'no-such-plugin' })
  assert.equal(handle.version, undefined)
})

test('a plugin whose module code fails leaves memory while its error is kept', async (t) => {
  const { plugin, platform } = await workshop(t)
  const { path } = await plugin(
    'fails',
    `${plain('1.0.0')}; (globalThis as never as { probe: (o: object) => void }).probe(make()); fail()`,
  )
  let probe: WeakRef<object> | undefined
  const host = globalThis as { probe?: (object: object) => void }
  host.probe = (object) => (probe = new WeakRef(object))
  t.after(() => delete host.probe)
  const error = await platform()
    .open(path)
    .catch((error: unknown) => error)
  assert.equal((error as { code: string }).code, 'module-threw')
  assert.ok(probe)
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
    globalThis.gc?.()
  }
  assert.equal(probe.deref(), undefined)
  assert.ok(error)
})

test('a plugin that hands on what its host or Node gave it leaves memory', async (t) => {
  const { plugin, platform, write } = await workshop(t)
  const source = `${plain('1.0.0')}
    export { readFile } from 'node:fs/promises'
    export { EventEmitter } from 'node:events'
    export { PluginError } from '@micrograft/plugin'
    export { Shared, shared } from 'acme-sdk'
    export const { env, stdout } = process
    export const log = console`
  const modules = { 'acme-sdk': { Shared: EventEmitter, shared: { list: [] } } }
  const host = platform({ host: { 'acme-sdk': { version: '1.0.0', modules } } })
  const asks = { name: 'hands', peerDependencies: { 'acme-sdk': '^1' } }
  await write('hands-1.0.0/package.json', JSON.stringify(asks))
  const { path } = await plugin('hands', source, { version: '1.0.0', external: ['acme-sdk'] })
  await assertGone((await host.open(path)) as never)
})

test('data that a plugin gave out keeps nothing but itself', async (t) => {
  const { plugin, platform } = await workshop(t)
  const opened = await platform().open<Plain & { table: unknown }>(
    (await plugin('plain', `${plain('1.0.0')}; export const table = { rows: [1, 2, { three: 3 }] }`)).path,
  )
  const kept = [opened.lookup('table'), opened.lookup('find')(3), opened.lookup('version')()]
  await assertGone(opened as never)
  assert.deepEqual(kept, [{ rows: [1, 2, { three: 3 }] }, { i: 3, text: 'entry 3' }, '1.0.0'])
})

test('each of twenty versions in a row at one path leaves memory', async (t) => {
  const { plugin, platform, folder } = await workshop(t)
  const host = platform()
  const path = join(folder, 'plain.plugin.cjs')
  const { call } = host.use<Plain>('plain')
  const closed: Plugin[] = []
  let last: Plugin | undefined
  for (let i = 1; i <= 20; i++) {
    const version = `1.${i}.0`
    await copyFile((await plugin('plain', plain(version), { version })).path, path)
    const next = await host.open(path)
    assert.equal(call.version(), version)
    await last?.close()
    if (last) closed.push(last)
    last = next
  }
  for (const each of closed) assert.equal(await each.collected(), true, each.manifest.version)
  assert.equal(await last?.collected(), false)
  assert.equal(call.version(), '1.20.0')
})
