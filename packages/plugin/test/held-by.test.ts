import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import type { Plugin } from '@micrograft/plugin'
import { workshop } from './support/workshop.js'

const host = globalThis as { micrograftCache?: Map<string, unknown>; micrograftGate?: object }

/** Checks that a closed plugin is still in memory, and that each path to it tells of its holder. */
async function assertHeld(plugin: Plugin<never>, word: RegExp): Promise<void> {
  await plugin.close()
  assert.equal(await plugin.collected(), false, 'the plugin has left memory')
  const paths = await plugin.heldBy()
  assert.ok(paths.length > 0, 'no holder is named')
  for (const path of paths) assert.match(path, word)
}

/** Checks that a closed plugin that was held leaves memory once it is not. */
async function assertReleased(plugin: Plugin<never>): Promise<void> {
  if (!(await plugin.collected())) assert.fail((await plugin.heldBy()).join('\n'))
}

test('a symbol that the host keeps in a map of its own is named with it', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `export function convert(text: string): string { return text }`
  const opened = await platform().open<{ convert(text: string): string }>(
    (await plugin('keeps', source)).path,
  )
  host.micrograftCache = new Map([['converter', opened.lookup('convert')]])
  t.after(() => delete host.micrograftCache)
  await assertHeld(opened as never, /micrograftCache: Map.*convert\(\)/)
  host.micrograftCache.clear()
  await assertReleased(opened as never)
})

test('an object of a class of the plugin is named by whoever keeps it', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `class Connection { send(): void {} } export const connect = (): object => new Connection()`
  const opened = await platform().open<{ connect(): object }>((await plugin('connects', source)).path)
  host.micrograftCache = new Map([['connection', opened.lookup('connect')()]])
  t.after(() => delete host.micrograftCache)
  await assertHeld(opened as never, /micrograftCache: Map.*Connection/)
  host.micrograftCache.clear()
  await assertReleased(opened as never)
})

test('a listener that the plugin put on an emitter of the host is named', async (t) => {
  const { plugin, platform } = await workshop(t)
  const emitter = new EventEmitter()
  const source = `
    import type { EventEmitter } from 'node:events'
    export const listen = (emitter: EventEmitter): void => { emitter.on('order', function onOrder() {}) }`
  const opened = await platform().open<{ listen(emitter: EventEmitter): void }>(
    (await plugin('listens', source)).path,
  )
  opened.lookup('listen')(emitter)
  await assertHeld(opened as never, /EventEmitter.*order: onOrder\(\)/)
  emitter.removeAllListeners()
  await assertReleased(opened as never)
})

test('a server that the plugin left open is named', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    import { createServer } from 'node:net'
    export const server = createServer(function onConnection() {})
    export const listening = new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(true)))`
  const opened = await platform().open<{ server: { close(): void }; listening: Promise<true> }>(
    (await plugin('serves', source)).path,
  )
  await opened.lookup('listening')
  const stop = new WeakRef(opened.lookup('server'))
  t.after(() => stop.deref()?.close())
  await assertHeld(opened as never, /Server.*onConnection\(\)/)
  stop.deref()?.close()
  await assertReleased(opened as never)
})

test('a promise of the host that the plugin waits for is named', async (t) => {
  const { plugin, platform } = await workshop(t)
  let open: () => void = () => undefined
  host.micrograftGate = { opened: new Promise<void>((resolve) => (open = resolve)) }
  t.after(() => delete host.micrograftGate)
  const source = `
    export async function waitFor(gate: { opened: Promise<void> }): Promise<void> { await gate.opened }
    export const thenCall = (gate: { opened: Promise<void> }): void => { void gate.opened.then(function onOpen() {}) }`
  const opened = await platform().open<Record<'waitFor' | 'thenCall', (gate: object) => void>>(
    (await plugin('waits', source)).path,
  )
  for (const symbol of ['waitFor', 'thenCall'] as const) opened.lookup(symbol)(host.micrograftGate)
  await assertHeld(opened as never, /Promise/)
  open()
  await assertReleased(opened as never)
})

test('an error whose stack nobody read is named', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `export function fail(): never { throw new RangeError('mine') }`
  const opened = await platform().open<{ fail(): never }>((await plugin('fails', source)).path)
  host.micrograftCache = new Map()
  t.after(() => delete host.micrograftCache)
  try {
    opened.lookup('fail')()
  } catch (error) {
    host.micrograftCache.set('last error', error)
  }
  await assertHeld(opened as never, /micrograftCache: Map.*Error/)
  void (host.micrograftCache.get('last error') as Error).stack
  await assertReleased(opened as never)
})

test('a server and a timer of real globals that the plugin got at are named', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    const real = Function('return globalThis')()
    const timer = real.setInterval(function tick() {}, 60_000)
    export const stop = real.clearInterval.bind(undefined, timer)`
  const opened = await platform().open<{ stop(): void }>((await plugin('ticks', source)).path)
  const stop = opened.lookup('stop')
  t.after(stop)
  await assertHeld(opened as never, /Timeout.*tick\(\)/)
})

test('of many holders a few are named, the shortest path first', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `export const make = (n: number): (() => number) => () => n`
  const opened = await platform().open<{ make(n: number): () => number }>(
    (await plugin('makes', source)).path,
  )
  const make = opened.lookup('make')
  const keep = {
    micrograftDeep: { deeper: { deepest: make(0) } },
    all: Array.from({ length: 50 }, (_, i) => make(i)),
  }
  host.micrograftCache = new Map([['keep', keep]])
  t.after(() => delete host.micrograftCache)
  await opened.close()
  const paths = await opened.heldBy()
  assert.ok(paths.length > 0 && paths.length <= 5, `${paths.length} paths`)
  assert.deepEqual(
    paths,
    paths.toSorted((a, b) => a.length - b.length),
  )
})
