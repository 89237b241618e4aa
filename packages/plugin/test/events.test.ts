import assert from 'node:assert/strict'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Platform, PlatformEvents } from '@micrograft/plugin'
import { runModule } from './support/child.js'
import { until } from './support/until.js'
import { workshop } from './support/workshop.js'

type Told = { [E in keyof PlatformEvents]: readonly [E, PlatformEvents[E][0]] }[keyof PlatformEvents]

/** Every event of a platform from now on. */
function record({ events }: Platform): Told[] {
  const told: Told[] = []
  events.on('opened', (payload) => told.push(['opened', payload]))
  events.on('registered', (payload) => told.push(['registered', payload]))
  events.on('switched', (payload) => told.push(['switched', payload]))
  events.on('closed', (payload) => told.push(['closed', payload]))
  events.on('refused', (payload) => told.push(['refused', payload]))
  return told
}

const importing = `import { register } from '@micrograft/plugin'\n`

test('opening the first version tells that it was opened, where calls go, and what was registered', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const told = record(host)
  const opened = await host.open((await plugin('hello', 'export const n = 1')).path)
  await host.open(opened.path)
  assert.deepEqual(told, [
    ['opened', { plugin: opened }],
    ['switched', { name: 'hello', from: undefined, to: '1.0.0', reason: 'registered' }],
    ['registered', { name: 'hello', version: '1.0.0', plugin: opened }],
  ])
})

test('a version that is lower than the preferred one is told without a switch', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  await host.open((await plugin('hello', 'export const n = 2', { version: '2.0.0' })).path)
  const told = record(host)
  const lower = await host.open((await plugin('hello', 'export const n = 1')).path)
  await lower.close()
  assert.deepEqual(told, [
    ['opened', { plugin: lower }],
    ['registered', { name: 'hello', version: '1.0.0', plugin: lower }],
    ['closed', { plugin: lower, report: { leftovers: [], failure: undefined } }],
  ])
})

test('a newer version, a preference and a close each tell of their switch, and nothing else does', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const first = await host.open((await plugin('hello', 'export const n = 1')).path)
  const told = record(host)
  const second = await host.open((await plugin('hello', 'export const n = 2', { version: '2.0.0' })).path)
  host.prefer('hello', '^1')
  host.prefer('hello', '1.0.0')
  host.prefer('hello')
  await second.close()
  await first.close()
  const none = { leftovers: [], failure: undefined }
  assert.deepEqual(told, [
    ['opened', { plugin: second }],
    ['switched', { name: 'hello', from: '1.0.0', to: '2.0.0', reason: 'registered' }],
    ['registered', { name: 'hello', version: '2.0.0', plugin: second }],
    ['switched', { name: 'hello', from: '2.0.0', to: '1.0.0', reason: 'preferred' }],
    ['switched', { name: 'hello', from: '1.0.0', to: '2.0.0', reason: 'preferred' }],
    ['switched', { name: 'hello', from: '2.0.0', to: '1.0.0', reason: 'closed' }],
    ['closed', { plugin: second, report: none }],
    ['switched', { name: 'hello', from: '1.0.0', to: undefined, reason: 'closed' }],
    ['closed', { plugin: first, report: none }],
  ])
})

test('each of several registrations is told, in the order in which they were made', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const told = record(host)
  const source = `${importing}
    register({ name: 'b', symbols: {} })
    register({ name: 'a', version: '3.0.0', symbols: {} })
    export const later = (): void => register({ name: 'c', symbols: {} })`
  const opened = await host.open<{ later(): void }>((await plugin('several', source)).path)
  opened.lookup('later')()
  assert.deepEqual(
    told.filter(([event]) => event === 'registered'),
    [
      ['registered', { name: 'b', version: '1.0.0', plugin: opened }],
      ['registered', { name: 'a', version: '3.0.0', plugin: opened }],
      ['registered', { name: 'c', version: '1.0.0', plugin: opened }],
    ],
  )
})

test('a listener finds everything to be as the event says', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const { call } = host.use<{ n(): number }>('hello')
  const seen: unknown[] = []
  host.events.on('opened', ({ plugin }) => seen.push(['opened', host.plugins.includes(plugin)]))
  host.events.on('switched', ({ to }) => seen.push(['switched', to && call.n()]))
  host.events.on('registered', ({ version }) =>
    seen.push(['registered', host.versions('hello').at(-1) === version]),
  )
  host.events.on('closed', ({ plugin }) => seen.push(['closed', plugin.closed, host.plugins.length]))
  await (await host.open((await plugin('hello', 'export const n = () => 1')).path)).close()
  assert.deepEqual(seen, [
    ['opened', true],
    ['switched', 1],
    ['registered', true],
    ['switched', undefined],
    ['closed', true, 0],
  ])
})

test('a file that a watcher refuses is told with its path and the error', async (t) => {
  const { plugin, platform, folder, write } = await workshop(t)
  const host = platform()
  const told = record(host)
  const path = await write('plugins/bad.plugin.cjs', 'module.exports = 1\n')
  await host.watch(join(folder, 'plugins'), { settleMs: 0 })
  await until('the file is refused', () => told.length > 0)
  const [[event, payload]] = told as [Told]
  assert.equal(event, 'refused')
  assert.deepEqual(Object.keys(payload).sort(), ['error', 'path'])
  assert.equal((payload as PlatformEvents['refused'][0]).path, path)
  assert.equal((payload as PlatformEvents['refused'][0]).error.code, 'not-a-plugin')
  await rename((await plugin('good', 'export {}')).path, join(folder, 'plugins/good.plugin.cjs'))
  await until('the good one is taken', () => told.length > 1)
  assert.deepEqual(
    told.slice(1).map(([event]) => event),
    ['opened', 'switched', 'registered'],
  )
})

test('a listener that closes the plugin it is told of leaves nothing of it', async (t) => {
  const { plugin, platform } = await workshop(t)
  const source = `${importing}
    register({ name: 'a', symbols: {} })
    register({ name: 'b', symbols: {} })
    export let disposed = 0
    export const dispose = (): void => { disposed++ }
    export const count = (): number => disposed`
  const { path } = await plugin('several', source)
  for (const event of ['opened', 'switched', 'registered'] as const) {
    const host = platform()
    host.events.on(event, () => void host.plugins[0]?.close())
    const told = record(host)
    const opened = await host.open<{ count(): number }>(path)
    assert.equal(opened.closed, true, event)
    await opened.close()
    assert.deepEqual([host.versions('a'), host.versions('b'), host.plugins], [[], [], []], event)
    assert.equal(told.filter(([each]) => each === 'closed').length, 1, event)
  }
})

test('a listener that closes the old version when calls leave it closes it once', async (t) => {
  const { plugin, platform } = await workshop(t)
  const host = platform()
  const source = `export const dispose = (): void => { process.env['DISPOSED'] = (process.env['DISPOSED'] ?? '') + 'x' }`
  t.after(() => delete process.env['DISPOSED'])
  const old = await host.open((await plugin('hello', source)).path)
  host.events.on('switched', () => void old.close())
  const told = record(host)
  await old.close()
  assert.equal(process.env['DISPOSED'], 'x')
  assert.deepEqual(
    told.map(([event]) => event),
    ['switched', 'closed'],
  )
})

test('a listener that throws ends up as uncaught, and the platform goes on', async (t) => {
  const shop = await workshop(t)
  await mkdir(join(shop.folder, 'watched'))
  await shop.plugin('hello', `export const say = () => 'one'`)
  await shop.plugin('hello', `export const say = () => 'two'`, { version: '2.0.0' })
  const script = `
    import { createPlatform } from '@micrograft/plugin'
    const uncaught = []
    process.on('uncaughtException', (error) => uncaught.push(error.message))
    const host = createPlatform()
    for (const event of ['opened', 'registered', 'switched', 'closed', 'refused'])
      host.events.on(event, () => { throw new Error(event) })
    const first = await host.open('out/hello-1.0.0.plugin.cjs')
    const second = await host.open('out/hello-2.0.0.plugin.cjs')
    const said = [host.use('hello').call.say()]
    await second.close()
    said.push(host.use('hello').call.say())
    await host.watch('watched')
    await host.close()
    await new Promise(setImmediate)
    console.log(JSON.stringify({ said, uncaught, closed: [first.closed, second.closed] }))`
  const { stdout, stderr, status } = await runModule(shop, 'throwing.mjs', script)
  assert.equal(stderr, '')
  assert.equal(status, 0)
  const [opening, closing] = [
    ['opened', 'switched', 'registered'],
    ['switched', 'closed'],
  ]
  assert.deepEqual(JSON.parse(stdout), {
    said: ['two', 'one'],
    uncaught: [...opening, ...opening, ...closing, ...closing],
    closed: [true, true],
  })
})
