import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Leftover } from '@micrograft/plugin'
import { until } from './support/until.js'
import { workshop } from './support/workshop.js'

/** Opens a plugin of that source and closes it in the same turn: what it had left behind. */
async function leftovers(t: TestContext, source: string): Promise<readonly Leftover[]> {
  const { plugin, platform } = await workshop(t)
  const opened = await platform().open((await plugin('leaves', source)).path)
  return (await opened.close()).leftovers
}

test('timers that are left are named with their kind, time and function', async (t) => {
  const source = `
    function refreshTokens(): void {}
    setInterval(refreshTokens, 1000)
    setTimeout(function later() {}, 60_000)
    setTimeout(() => undefined, 60_000)
    globalThis.setTimeout(() => undefined, 50_000)
    global.setInterval(() => undefined, 50_000)
    export const dispose = (): void => { setImmediate(function soon() {}); setTimeout(refreshTokens) }`
  assert.deepEqual(await leftovers(t, source), [
    { kind: 'interval', what: 'every 1000 ms, calling refreshTokens' },
    { kind: 'timeout', what: 'after 60000 ms, calling later' },
    { kind: 'timeout', what: 'after 60000 ms' },
    { kind: 'timeout', what: 'after 50000 ms' },
    { kind: 'interval', what: 'every 50000 ms' },
    { kind: 'immediate', what: 'soon, calling soon' },
    { kind: 'timeout', what: 'after 1 ms, calling refreshTokens' },
  ])
})

test('timers and listeners whose functions have no name to show are ended all the same', async (t) => {
  const source = `
    const proxy = new Proxy(() => undefined, { get: () => proxy })
    class Named { static name = Symbol('odd') }
    const throwing = Object.defineProperty(() => undefined, 'name', { get() { throw new Error('no name') } })
    for (const each of [proxy, Named, throwing]) {
      setInterval(each as () => void, 1000)
      process.on('SIGUSR2', each as () => void)
    }
    export {}`
  const before = process.listenerCount('SIGUSR2')
  const left = await leftovers(t, source)
  assert.deepEqual(left, [
    ...Array.from({ length: 3 }, () => ({ kind: 'interval', what: 'every 1000 ms' })),
    ...Array.from({ length: 3 }, () => ({ kind: 'process listener', what: 'SIGUSR2' })),
  ])
  assert.equal(process.listenerCount('SIGUSR2'), before)
})

test('timers of every module that has them are known', async (t) => {
  const source = `
    import { promisify } from 'node:util'
    import timers, { setTimeout as direct, promises } from 'node:timers'
    import * as all from 'timers'
    import { setTimeout as wait, scheduler, setInterval as ticks } from 'node:timers/promises'
    void promisify(setTimeout)(11_000)
    void promisify(direct)(12_000)
    direct(() => undefined, 13_000)
    timers.setInterval(() => undefined, 14_000)
    all.setTimeout(() => undefined, 15_000)
    void promises.setTimeout(16_000)
    void wait(17_000)
    void scheduler.wait(18_000)
    void ticks(19_000).next()
    void import('node:timers').then((module) => module.setTimeout(() => undefined, 20_000))
    export {}`
  const whats = (await leftovers(t, source)).map(({ what }) => what)
  const expected = [11, 12, 13, 15, 16, 17, 18, 19, 20].map((s) => `after ${s}000 ms`)
  assert.deepEqual(whats.toSorted(), [...expected, 'every 14000 ms'].toSorted())
})

test('a timer that was ended is not left, by whatever way it was ended', async (t) => {
  const source = `
    import { clearTimeout as clear } from 'node:timers'
    const start = (): NodeJS.Timeout => setTimeout(() => undefined, 60_000)
    clearTimeout(start())
    clearInterval(start())
    clear(start())
    clearTimeout(Number(start()))
    clearTimeout(String(Number(start())))
    start().close()
    start()[Symbol.dispose]()
    clearInterval(setInterval(() => undefined, 60_000))
    clearTimeout(setInterval(() => undefined, 60_000))
    setInterval(() => undefined, 60_000).close()
    clearImmediate(setImmediate(() => undefined))
    setImmediate(() => undefined)[Symbol.dispose]()
    clearTimeout(undefined)
    clearTimeout(null)
    clearImmediate(undefined)
    export {}`
  assert.deepEqual(await leftovers(t, source), [])
})

test('a timer that has fired is not left, and one that is started again is', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    import { setTimeout as wait } from 'node:timers/promises'
    export const fired: string[] = []
    setTimeout((name: string) => fired.push(name), 1, 'timeout')
    setImmediate((name: string) => fired.push(name), 'immediate')
    void wait(1, 'promise').then((name) => fired.push(name))
    const again = setTimeout(function tick() { fired.push('again') }, 40)
    export const refresh = (): unknown => again.refresh() === again`
  const host = platform()
  const { path } = await plugin('fires', source)
  for (const refreshed of [false, true]) {
    const opened = await host.open<{ fired: string[]; refresh(): boolean }>(path)
    const fired = opened.lookup('fired')
    await until('all timers fired', () => fired.length === 4)
    assert.deepEqual(fired.toSorted(), ['again', 'immediate', 'promise', 'timeout'])
    if (refreshed) assert.equal(opened.lookup('refresh')(), true)
    const { leftovers } = await opened.close()
    assert.deepEqual(leftovers, refreshed ? [{ kind: 'timeout', what: 'after 40 ms, calling tick' }] : [])
    assert.equal(fired.length, 4)
  }
})

test('a timer that was started again and fired again is not left', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    export let fired = 0
    const timer = setTimeout(() => { if (++fired < 3) timer.refresh() }, 1)
    export const count = (): number => fired`
  const opened = await platform().open<{ count(): number }>((await plugin('fires', source)).path)
  const count = opened.lookup('count')
  await until('it fired three times', () => count() === 3)
  assert.deepEqual((await opened.close()).leftovers, [])
})

test('a timer calls with its arguments and itself, as it does outside of plugins', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    export const seen: unknown[] = []
    const timeout = setTimeout(function (this: unknown, ...args) { seen.push(['timeout', this === timeout, ...args]) }, 0, 1, 2)
    const immediate = setImmediate(function (this: unknown, ...args) { seen.push(['immediate', this === immediate, ...args]) }, 3)
    let ticks = 0
    const interval = setInterval(function (this: unknown, ...args) {
      seen.push(['interval', this === interval, ...args])
      if (++ticks === 2) clearInterval(this as NodeJS.Timeout)
    }, 1, 4)
    export const refused: unknown[] = []
    for (const start of [setTimeout, setInterval, setImmediate]) try { start('no function' as never) } catch (error) { refused.push(error.code) }
    export const refs = [timeout.hasRef(), timeout.unref().hasRef(), timeout.ref().hasRef(), typeof Number(timeout)]`
  const opened = await platform().open<{ seen: unknown[]; refused: unknown[]; refs: unknown[] }>(
    (await plugin('calls', source)).path,
  )
  const seen = opened.lookup('seen')
  await until('all fired', () => seen.length === 4)
  assert.deepEqual(seen.map((each) => JSON.stringify(each)).toSorted(), [
    '["immediate",true,3]',
    '["interval",true,4]',
    '["interval",true,4]',
    '["timeout",true,1,2]',
  ])
  assert.deepEqual(opened.lookup('refused'), Array(3).fill('ERR_INVALID_ARG_TYPE'))
  assert.deepEqual(opened.lookup('refs'), [true, false, true, 'number'])
  assert.deepEqual((await opened.close()).leftovers, [])
})

test('waiting promises take a value and a signal', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    import { setTimeout as wait, setImmediate as soon, setInterval as every, scheduler } from 'node:timers/promises'
    export async function run(): Promise<unknown[]> {
      const controller = new AbortController()
      const aborted = wait(60_000, 'never', { signal: controller.signal }).catch((error) => [error.name, error.code, error.cause])
      controller.abort('why')
      const ticks: unknown[] = []
      for await (const tick of every(1, 'tick')) if (ticks.push(tick) === 2) break
      const early = await wait(1, 'never', { signal: AbortSignal.abort() }).catch((error) => error.name)
      await scheduler.yield()
      return [await wait(1, 'waited'), await soon('soon'), await aborted, early, ticks]
    }`
  const opened = await platform().open<{ run(): Promise<unknown[]> }>((await plugin('waits', source)).path)
  const expected = ['waited', 'soon', ['AbortError', 'ABORT_ERR', 'why'], 'AbortError', ['tick', 'tick']]
  assert.deepEqual(await opened.lookup('run')(), expected)
  assert.deepEqual((await opened.close()).leftovers, [])
})

test('what is left fires no more once the plugin is closed', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    export const fired: string[] = []
    setInterval(() => fired.push('interval'), 1)
    setTimeout(() => fired.push('timeout'), 10)
    export const dispose = (): void => { setImmediate(() => fired.push('immediate')) }`
  const opened = await platform().open<{ fired: string[] }>((await plugin('fires', source)).path)
  const fired = opened.lookup('fired')
  await opened.close()
  const before = [...fired]
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.deepEqual(fired, before)
})

test('a closed plugin can start no timer, and is told why', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    import { setTimeout as wait } from 'node:timers/promises'
    const timer = setTimeout(() => undefined, 0)
    const later = [
      () => setTimeout(() => undefined), () => setInterval(() => undefined), () => setImmediate(() => undefined),
      () => globalThis.setTimeout(() => undefined), () => timer.refresh(),
    ]
    export const late = (): unknown[] => later.map((start) => { try { start() } catch (error) { return error } })
    export const lateWait = (): Promise<unknown> => wait(1).catch((error) => error)`
  const opened = await platform().open<{ late(): Error[]; lateWait(): Promise<Error> }>(
    (await plugin('late', source)).path,
  )
  const [late, lateWait] = [opened.lookup('late'), opened.lookup('lateWait')]
  await opened.close()
  const errors = [...late(), await lateWait()] as (Error & { code?: string })[]
  assert.deepEqual(
    errors.map(({ code }) => code),
    Array(6).fill('closed'),
  )
  assert.match(errors[0]?.message ?? '', /late 1\.0\.0 was closed and cannot start a timer/)
})

test('many timers that were ended by themselves do not pile up', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `
    const start = (): WeakRef<NodeJS.Timeout> => new WeakRef(setTimeout(() => undefined, 60_000).close())
    export const refs = Array.from({ length: 2000 }, start)
    setTimeout(function last() {}, 60_000)`
  const opened = await platform().open<{ refs: WeakRef<object>[] }>((await plugin('many', source)).path)
  const refs = opened.lookup('refs')
  await until('most are gone', () => {
    globalThis.gc?.()
    return refs.filter((each) => each.deref() !== undefined).length < 500
  })
  assert.deepEqual((await opened.close()).leftovers, [
    { kind: 'timeout', what: 'after 60000 ms, calling last' },
  ])
})
