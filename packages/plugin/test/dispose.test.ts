import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PluginError, type CloseReport } from '@micrograft/plugin'
import { handMade } from './support/hand-made.js'
import { workshop } from './support/workshop.js'

interface Noted {
  notes: string[]
}

/** The failure that a report tells of, which must be that of `dispose`, for the reason given. */
function failureOf({ failure }: CloseReport, message: RegExp): PluginError {
  assert.ok(failure instanceof PluginError)
  assert.equal(failure.code, 'dispose-failed')
  assert.match(failure.message, message)
  return failure
}

test('dispose runs once, without arguments, and after calls go elsewhere', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  await host.open((await plugin('hello', `export const say = (): string => 'one'`)).path)
  const source = `
    export const notes: unknown[] = []
    export const say = (): string => 'two'
    export function dispose(...args: unknown[]): void { notes.push(['dispose', ...args]) }`
  const { path } = await plugin('hello', source, { version: '2.0.0' })
  const newer = await host.open<Noted>(path)
  const notes = newer.lookup('notes')
  const { say } = host.use<{ say(): string }>('hello').call
  const closing = newer.close()
  assert.equal(say(), 'one')
  assert.deepEqual(await closing, { leftovers: [], failure: undefined })
  assert.deepEqual(notes, [['dispose']])
})

test('close waits for a dispose that takes its time, and for its timers', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    export const notes: string[] = []
    export async function dispose(): Promise<void> {
      notes.push('begun')
      await new Promise((resolve) => setTimeout(resolve, 20))
      notes.push('done')
    }`
  const opened = await platform().open<Noted>((await plugin('slow', source)).path)
  const notes = opened.lookup('notes')
  const closing = opened.close()
  assert.deepEqual(notes, ['begun'])
  assert.deepEqual(await closing, { leftovers: [], failure: undefined })
  assert.deepEqual(notes, ['begun', 'done'])
})

test('a dispose that throws or rejects is told of, and the plugin is closed all the same', async (t) => {
  const { plugin, platform } = await workshop(t)
  const cases: readonly (readonly [string, RegExp])[] = [
    [`export function dispose(): never { throw new TypeError('sync failure') }`, /sync failure/],
    [
      `export async function dispose(): Promise<never> { throw new TypeError('late failure') }`,
      /late failure/,
    ],
    [`export async function dispose(): Promise<never> { throw 'just text' }`, /just text/],
    [`export function dispose(): never { throw undefined }`, /undefined/],
  ]
  for (const [source, message] of cases) {
    const host = platform()
    const left = `export const timer = setInterval(function tick() {}, 60_000)`
    const opened = await host.open((await plugin('fails', `${left}; ${source}`)).path)
    const report = await opened.close()
    const failure = failureOf(report, message)
    assert.match(
      failure.message,
      /dispose of fails 1\.0\.0 .*fails-1\.0\.0\.plugin\.cjs.*closed all the same/,
    )
    assert.equal(failure.path, opened.path)
    assert.deepEqual(report.leftovers, [{ kind: 'interval', what: 'every 60000 ms, calling tick' }])
    assert.deepEqual([opened.closed, host.plugins, host.versions('fails')], [true, [], []])
  }
})

test('the failure of dispose carries the error that was thrown', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `export function dispose(): never { throw Object.assign(new Error('mine'), { code: 'MINE' }) }`
  const opened = await platform().open((await plugin('fails', source)).path)
  const { failure } = await opened.close()
  assert.equal((failure?.cause as { code?: string } | undefined)?.code, 'MINE')
})

test('a dispose that hangs is given up after disposeTimeoutMs', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform({ disposeTimeoutMs: 30 })
  const source = `export const dispose = (): Promise<void> => new Promise(() => undefined)`
  const opened = await host.open((await plugin('hangs', source)).path)
  const started = performance.now()
  const report = await opened.close()
  const took = performance.now() - started
  failureOf(report, /longer than 30 ms/)
  assert.ok(took >= 25 && took < 5000, `it took ${took} ms`)
  assert.equal(opened.closed, true)
})

test('a dispose that fails only after it was given up troubles nobody', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform({ disposeTimeoutMs: 10 })
  const source = `
    let fail: (error: Error) => void
    export const dispose = (): Promise<void> => new Promise((_, reject) => { fail = reject })
    export const late = (): void => fail(new Error('too late'))`
  const opened = await host.open<{ late(): void }>((await plugin('hangs', source)).path)
  const late = opened.lookup('late')
  failureOf(await opened.close(), /longer than 10 ms/)
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)
  process.on('unhandledRejection', note)
  t.after(() => process.off('unhandledRejection', note))
  late()
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(unhandled, [])
})

test('a symbol called dispose that is no function is not called', async (t) => {
  const { plugin, platform } = await workshop(t)
  const opened = await platform().open((await plugin('odd', `export const dispose = 'never'`)).path)
  assert.deepEqual(await opened.close(), { leftovers: [], failure: undefined })
})

test('a plugin cannot register or start a timer that outlasts it from its dispose', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const source = `
    import { register } from '@micrograft/plugin'
    export const notes: string[] = []
    export function dispose(): void {
      setTimeout(function never() { notes.push('fired') }, 0)
      setImmediate(function soon() { notes.push('fired') })
      try { register({ version: '9.0.0', symbols: {} }) } catch (error) { notes.push(error.code) }
    }`
  const opened = await host.open<Noted>((await plugin('stays', source)).path)
  const notes = opened.lookup('notes')
  const { leftovers } = await opened.close()
  assert.deepEqual(leftovers, [
    { kind: 'timeout', what: 'after 0 ms, calling never' },
    { kind: 'immediate', what: 'soon, calling soon' },
  ])
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.deepEqual(notes, ['closed'])
  assert.deepEqual(host.versions('stays'), [])
})

test('a dispose that cannot even be read is told of, and the plugin is closed all the same', async (t) => {
  const shop = await workshop(t)
  const host = shop.platform()
  const other = await host.open((await shop.plugin('other', 'export const n = 1')).path)
  const code = `
    require('@micrograft/plugin').register({ symbols: {} })
    setInterval(function tick() {}, 60_000)
    Object.defineProperty(exports, 'dispose', { enumerable: true, get() { throw new Error('not to be read') } })\n`
  const manifest = {
    symbols: ['dispose'],
    host: { '@micrograft/plugin': '>=0' },
    imports: ['@micrograft/plugin'],
  }
  const opened = await host.open(await shop.write('odd.plugin.cjs', handMade({ manifest, code })))
  const report = await opened.close()
  failureOf(report, /not to be read/)
  assert.deepEqual(report.leftovers, [{ kind: 'interval', what: 'every 60000 ms, calling tick' }])
  assert.deepEqual(host.plugins, [other])
})
