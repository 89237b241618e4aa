import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { workshop } from './support/workshop.js'

interface Counts {
  count(): number
}

const counting = 'let n = 0; export const count = (): number => ++n'

test('a closed plugin still says what it was, and refuses to look anything up', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const { path, id } = await plugin('counts', counting)
  const opened = await host.open<Counts>(path)
  const count = opened.lookup('count')
  assert.equal(opened.closed, false)
  await opened.close()
  assert.equal(opened.closed, true)
  assert.deepEqual(
    [opened.path, opened.id, opened.manifest.name, opened.symbols],
    [path, id, 'counts', ['count']],
  )
  const refused = {
    code: 'closed',
    path,
    message: /counts 1\.0\.0 .*counts-1\.0\.0\.plugin\.cjs.*open it again/,
  }
  assert.throws(() => opened.lookup('count'), refused)
  assert.equal(count(), 1)
})

test('a plugin refuses to look anything up from the moment that close is called', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `export const dispose = () => new Promise((resolve) => setTimeout(resolve, 5))`
  const opened = await platform().open((await plugin('slow', source)).path)
  const closing = opened.close()
  assert.equal(opened.closed, true)
  assert.throws(() => opened.lookup('dispose'), { code: 'closed' })
  await closing
})

test('closing twice, or concurrently, is closing once, with one report', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const source = `
    let n = 0
    const timer = setInterval(() => undefined, 60_000)
    export const dispose = async (): Promise<void> => { if (++n > 1) throw new Error('twice'); await null }`
  const opened = await host.open((await plugin('once', source)).path)
  let closed = 0
  host.events.on('closed', () => closed++)
  const [a, b] = await Promise.all([opened.close(), opened.close()])
  assert.equal(a, b)
  assert.equal(await opened.close(), a)
  assert.deepEqual(a, { leftovers: [{ kind: 'interval', what: 'every 60000 ms' }], failure: undefined })
  assert.equal(closed, 1)
})

test('closing one plugin leaves the others as they are', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const [a, b] = [
    await host.open<Counts>((await plugin('a', counting)).path),
    await host.open<Counts>((await plugin('b', counting)).path),
  ]
  b.lookup('count')()
  await a.close()
  assert.deepEqual(host.plugins, [b])
  assert.equal(b.lookup('count')(), 2)
  assert.equal(host.use<Counts>('b').call.count(), 3)
})

test('what was closed can be opened again, and begins afresh', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const { path } = await plugin('counts', counting)
  const { count } = host.use<Counts>('counts').call
  const first = await host.open(path)
  assert.deepEqual([count(), count()], [1, 2])
  await first.close()
  const second = await host.open(path)
  assert.notEqual(second, first)
  assert.equal(second.id, first.id)
  assert.equal(count(), 1)
  assert.deepEqual([first.closed, second.closed], [true, false])
  assert.throws(() => first.lookup('count'), { code: 'closed' })
})

test('opening what is being closed waits, and gives one new plugin to all who ask', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const source = `
    import { setTimeout as wait } from 'node:timers/promises'
    ${counting}
    export const dispose = (): Promise<void> => wait(20)`
  const { path } = await plugin('counts', source)
  const first = await host.open<Counts>(path)
  first.lookup('count')()
  const told: string[] = []
  host.events.on('closed', () => told.push('closed'))
  host.events.on('opened', () => told.push('opened'))
  const closing = first.close()
  const again = await Promise.all([host.open<Counts>(path), host.open<Counts>(path)])
  assert.equal(again[0], again[1])
  assert.notEqual(again[0], first)
  assert.deepEqual(told, ['closed', 'opened'])
  assert.equal(again[0].lookup('count')(), 1)
  assert.deepEqual((await closing).failure, undefined)
  assert.deepEqual(host.plugins, [again[0]])
})

test('closing while the same content is being opened again closes the old one alone', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const { path } = await plugin('counts', counting)
  for (let round = 0; round < 20; round++) {
    const first = await host.open<Counts>(path)
    // The file is being read when close is called.
    const opening = host.open<Counts>(path)
    await first.close()
    const second = await opening
    assert.equal(second.closed, false)
    assert.deepEqual(host.plugins, [second])
    assert.equal(second.lookup('count')(), 1)
    await second.close()
  }
})

test('a platform closes the last opened plugin first, one after the other', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const order: string[] = []
  const source = `export const dispose = () => new Promise((resolve) => setTimeout(resolve, 5))`
  for (const name of ['a', 'b', 'c']) await host.open((await plugin(name, source)).path)
  const a = host.plugins[0]
  await a?.close()
  await host.open(a?.path ?? '')
  host.events.on('switched', ({ name }) => order.push(`leaving ${name}`))
  host.events.on('closed', ({ plugin }) => order.push(`closed ${plugin.manifest.name}`))
  await host.close()
  assert.deepEqual(order, ['leaving a', 'closed a', 'leaving c', 'closed c', 'leaving b', 'closed b'])
  assert.deepEqual(host.plugins, [])
})

test('a closed platform opens and watches nothing more, and closing it again is nothing', async (t) => {
  const { plugin, platform, folder } = await workshop(t)
  const host = platform()
  const { path } = await plugin('counts', counting)
  await mkdir(join(folder, 'plugins'))
  await host.open(path)
  const { count } = host.use<Counts>('counts').call
  const closing = host.close()
  await assert.rejects(host.open(path), { code: 'closed', message: /platform was closed/ })
  await assert.rejects(host.watch(join(folder, 'plugins')), { code: 'closed' })
  await Promise.all([closing, host.close()])
  await host.close()
  await assert.rejects(host.open(path), { code: 'closed' })
  assert.throws(() => count(), { code: 'no-such-plugin' })
})

test('closing a platform while a file is being opened leaves nothing open', async (t) => {
  const { plugin, platform } = await workshop(t)
  const { path } = await plugin('counts', counting)
  // However far the opening has come.
  for (let turns = 0; turns < 12; turns++) {
    const host = platform()
    const opening = host.open(path)
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
    await host.close()
    const [outcome] = await Promise.allSettled([opening])
    if (outcome.status === 'fulfilled') assert.equal(outcome.value.closed, true)
    else assert.equal((outcome.reason as { code: string }).code, 'closed')
    assert.deepEqual([host.plugins, host.versions('counts')], [[], []])
  }
})

test('await using closes a plugin and a platform at the end of their block', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const { path } = await plugin('counts', counting)
  let kept: { readonly closed: boolean }
  {
    await using opened = await host.open<Counts>(path)
    kept = opened
    assert.equal(opened.lookup('count')(), 1)
  }
  assert.equal(kept.closed, true)
  {
    await using other = platform()
    kept = await other.open(path)
    assert.equal(kept.closed, false)
  }
  assert.equal(kept.closed, true)
})
