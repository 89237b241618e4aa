import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { transform } from 'esbuild'
import type { Plugin } from '@micrograft/plugin'
import { runModule, type RunOptions } from './support/child.js'
import { positionOf, stackOf } from './support/stacks.js'
import { workshop } from './support/workshop.js'

interface Fails {
  fail(): never
  call(back: () => unknown): unknown
}

const source = `interface Nothing { readonly none: true }
import { join } from 'node:path'
export function fail(): never {
  throw new RangeError('mine')
}
export const call = (back: () => unknown): unknown => back()
export const misuse = (): string => join(1 as never as string)
`

/** A host whose only argument says whether it opens a plugin before it makes its errors. */
const host = (path: string) => `
import assert from 'node:assert'
import { readFileSync, promises } from 'node:fs'
import { inspect } from 'node:util'
import { runInNewContext } from 'node:vm'
import { createPlatform } from '@micrograft/plugin'

class OrderError extends Error { name = 'OrderError' }
class Tagged extends Error { get [Symbol.toStringTag]() { return 'Tag' } }
const named = (name) => Object.defineProperty(new Error('named'), 'name', { value: name })
function captured() { const target = {}; Error.captureStackTrace(target); return target }
function capturedBelow() { const target = { name: 'Mine', message: 'm' }; Error.captureStackTrace(target, capturedBelow); return target }
const limited = (limit) => { const { stackTraceLimit } = Error; Error.stackTraceLimit = limit; try { return new Error('limited') } finally { Error.stackTraceLimit = stackTraceLimit } }
const caught = (run) => { try { run() } catch (error) { return error } }
async function later() { await null; throw new Error('later') }
const text = (read) => { try { return String(read()) } catch (error) { return ['threw', error.message] } }

const makers = {
  plain: () => new Error('plain'),
  type: () => caught(() => undefined.x),
  syntax: () => caught(() => new Function('{')),
  custom: () => new OrderError('custom'),
  tagged: () => new Tagged('tagged'),
  empty: () => new Error(''),
  noName: () => named(''), undefinedName: () => named(undefined), symbolName: () => named(Symbol('s')), throwingName: () => Object.defineProperty(new Error('n'), 'name', { get() { throw new Error('no name') } }),
  lines: () => new Error('two\\nlines $& $1'),
  system: () => caught(() => readFileSync('/nowhere/at all')),
  argument: () => caught(() => readFileSync({})),
  range: () => caught(() => Buffer.alloc(-1)),
  assertion: () => caught(() => assert.equal(1, 2)),
  url: () => caught(() => new URL('no url')),
  aggregate: () => new AggregateError([new Error('one'), new TypeError('two')], 'several'),
  cause: () => new Error('outer', { cause: new TypeError('inner') }),
  dom: () => new DOMException('dom', 'DataError'),
  aborted: () => AbortSignal.abort().reason,
  captured, capturedBelow,
  zero: () => limited(0), one: () => limited(1), negative: () => limited(-1),
  renamed: () => Object.assign(new Error('before'), { name: 'After', message: 'after' }),
  rejected: () => later().catch((error) => error),
  rejectedSystem: () => promises.readFile('/nowhere/at all').catch((error) => error),
  evaluated: () => caught(() => (0, eval)('throw new Error("evaluated")')),
  context: () => caught(() => runInNewContext('throw new Error("elsewhere")')),
  overflow: () => { const { stackTraceLimit } = Error; Error.stackTraceLimit = 3; const down = () => down(); try { return caught(down) } finally { Error.stackTraceLimit = stackTraceLimit } },
}

const platform = createPlatform()
if (process.argv[2] === 'open') await platform.open(${JSON.stringify(path)})
// Whatever was waited for, stacks begin here.
await new Promise(setImmediate)
const out = {}
for (const [name, make] of Object.entries(makers)) {
  const error = await make()
  out[name] = [text(() => error.stack), text(() => inspect(error))]
}
console.log(JSON.stringify(out))
await platform.close()
`

for (const flags of [[], ['--enable-source-maps']])
  test(`formats errors of the host as Node does ${flags.join(' ')}`, async (t) => {
    const shop = await workshop(t)
    const { path } = await shop.plugin('fails', source)
    const outcomes = async (...args: string[]) => {
      const { stdout, stderr, status } = await runModule(shop, 'host.mjs', host(path), { flags, args })
      assert.equal(status, 0, stderr)
      return JSON.parse(stdout) as Record<string, unknown>
    }
    const [without, withPlugin] = [await outcomes('plain'), await outcomes('open')]
    assert.ok(Object.keys(without).length > 25)
    assert.match(String(without['argument']), /TypeError \[ERR_INVALID_ARG_TYPE\]: /)
    for (const [name, expected] of Object.entries(without)) assert.deepEqual(withPlugin[name], expected, name)
  })

/** An open plugin, and the frame of its `fail`. */
async function failing(t: TestContext): Promise<{ opened: Plugin<Fails>; frame: string }> {
  const { plugin, platform, folder } = await workshop(t)
  const opened = await platform().open<Fails>((await plugin('fails', source)).path)
  const frame = `fail (${join(folder, 'fails-src/fails.ts')}:${positionOf(source, 'new RangeError')})`
  return { opened, frame }
}

test("an error of Node's that passes through a plugin has its code in its heading, as elsewhere", async (t) => {
  const { plugin, platform } = await workshop(t)
  const opened = await platform().open<{ misuse(): never }>((await plugin('fails', source)).path)
  const stack = stackOf(opened.lookup('misuse'))
  assert.match(stack[0] ?? '', /^TypeError \[ERR_INVALID_ARG_TYPE\]: The "path" argument/)
  assert.ok(
    stack.some((line) => line.includes('fails.ts:7:')),
    stack.join('\n'),
  )
})

test('the hook comes with the first plugin and goes with the last', async (t) => {
  const { plugin, platform } = await workshop(t)
  const before = Error.prepareStackTrace
  const host = platform()
  const a = await host.open((await plugin('a', source)).path)
  const hook = Error.prepareStackTrace
  assert.notEqual(hook, before)
  const b = await platform().open((await plugin('b', source)).path)
  assert.equal(Error.prepareStackTrace, hook)
  await a.close()
  assert.equal(Error.prepareStackTrace, hook)
  await b.close()
  assert.equal(Error.prepareStackTrace, before)
  await assert.rejects(host.open((await plugin('c', `throw new Error('never')`)).path))
  assert.equal(Error.prepareStackTrace, before)
})

test('a hook that the host had before keeps the errors of the host', async (t) => {
  const before = Error.prepareStackTrace as NonNullable<typeof Error.prepareStackTrace>
  const own: typeof Error.prepareStackTrace = (error, frames) => `own: ${error.message} ${frames.length > 0}`
  Error.prepareStackTrace = own
  t.after(() => (Error.prepareStackTrace = before))
  const { opened, frame } = await failing(t)
  assert.equal(new Error('of the host').stack, 'own: of the host true')
  assert.equal(stackOf(opened.lookup('fail'))[1], frame)
  await opened.close()
  assert.equal(Error.prepareStackTrace, own)
})

test('a hook that the host sets later may call the one before it, also when more plugins come', async (t) => {
  const before = Error.prepareStackTrace as NonNullable<typeof Error.prepareStackTrace>
  t.after(() => (Error.prepareStackTrace = before))
  const first = await failing(t)
  const ours = Error.prepareStackTrace as NonNullable<typeof Error.prepareStackTrace>
  const wrapping: typeof ours = (error, frames) => `${String(ours(error, frames))}\n    wrapped`
  Error.prepareStackTrace = wrapping
  assert.equal(stackOf(first.opened.lookup('fail'))[1], first.frame)
  const second = await failing(t)
  assert.equal(stackOf(first.opened.lookup('fail'))[1], first.frame)
  assert.equal(stackOf(second.opened.lookup('fail'))[1], second.frame)
  const hosts = new Error('of the host').stack ?? ''
  assert.match(hosts, /^Error: of the host\n {4}at .*host-errors\.test\.js:\d+:\d+\)\n/)
  assert.match(hosts, /wrapped$/)
  await second.opened.close()
  await first.opened.close()
  assert.equal(Error.prepareStackTrace, wrapping)
  assert.match(new Error('after').stack ?? '', /^Error: after\n {4}at .*wrapped$/s)
})

test('a hook that the host sets and takes back while a plugin opens does not cut off the others', async (t) => {
  const before = Error.prepareStackTrace as NonNullable<typeof Error.prepareStackTrace>
  t.after(() => (Error.prepareStackTrace = before))
  const first = await failing(t)
  const ours = Error.prepareStackTrace as NonNullable<typeof Error.prepareStackTrace>
  Error.prepareStackTrace = (error) => `temporary ${error.message}`
  assert.deepEqual(stackOf(first.opened.lookup('fail')), ['temporary mine'])
  const second = await failing(t)
  assert.equal(stackOf(second.opened.lookup('fail'))[1], second.frame)
  assert.equal(new Error('of the host').stack, 'temporary of the host')
  Error.prepareStackTrace = ours
  const third = await failing(t)
  for (const { opened, frame } of [first, second, third])
    assert.equal(stackOf(opened.lookup('fail'))[1], frame)
  for (const { opened } of [first, second, third]) await opened.close()
  assert.equal(Error.prepareStackTrace, before)
})

test('without frames there is a heading', async (t) => {
  const { opened } = await failing(t)
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  t.after(() => (Error.stackTraceLimit = stackTraceLimit))
  assert.deepEqual(stackOf(opened.lookup('fail')), ['RangeError: mine'])
})

test('with --enable-source-maps the maps of the host and of plugins both work, in one stack too', async (t) => {
  const shop = await workshop(t)
  const { path } = await shop.plugin('fails', source)
  const hostSource = `interface Unused { readonly none: true }
import { open } from '@micrograft/plugin'
type AlsoUnused = Unused

const plugin = await open<any>(${JSON.stringify(path)})
function own(): never {
  throw new TypeError('of the host')
}
const attempt = (run: () => unknown): string => {
  try { run() } catch (error) { return (error as Error).stack as string }
  return ''
}
console.log(JSON.stringify([attempt(own), attempt(plugin.lookup('fail')), attempt(() => plugin.lookup('call')(own))]))
`
  const file = await shop.write('host.ts', hostSource)
  const options = { loader: 'ts', sourcemap: 'inline', sourcefile: 'host.ts', format: 'esm' } as const
  const { code } = await transform(readFileSync(file, 'utf8'), options)
  const flags: RunOptions = { flags: ['--enable-source-maps'] }
  const { stdout, stderr } = await runModule(shop, 'host.mjs', code, flags)
  assert.equal(stderr, '')
  const [hosts, plugins, both] = JSON.parse(stdout) as string[]
  const inHost = `own (${file}:${positionOf(hostSource, 'new TypeError')})`
  const inPlugin = join(shop.folder, 'fails-src/fails.ts')
  assert.ok(hosts?.includes(`at ${inHost}`), hosts)
  assert.ok(plugins?.includes(`at fail (${inPlugin}:${positionOf(source, 'new RangeError')})`), plugins)
  assert.ok(both?.includes(`${inPlugin}:${positionOf(source, 'back()')}`), both)
  assert.match(both ?? '', new RegExp(`own \\((file://)?${file}:7:9\\)`))
})
