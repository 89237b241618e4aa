import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { PluginError } from '@micrograft/plugin'
import { handMade } from './support/hand-made.js'
import { loneHost, refusal, type LoneHost } from './support/lone-host.js'
import { workshop } from './support/workshop.js'

interface Opening extends LoneHost {
  /** Writes a plugin with that module code and gives its path. */
  file(code: string, manifest?: Readonly<Record<string, unknown>>): Promise<string>
}

async function opening(t: TestContext): Promise<Opening> {
  const shop = await workshop(t)
  const host = await loneHost(shop)
  let count = 0
  return {
    ...host,
    file: (code, manifest = {}) => shop.write(`${++count}.plugin.cjs`, handMade({ code, manifest })),
  }
}

/** Listeners that a host may have, which are not to hear of what happens in a plugin's module code. */
function listening(t: TestContext): { readonly heard: unknown[] } {
  const heard: unknown[] = []
  const always = (error: unknown) => heard.push(error)
  const once = (error: unknown) => heard.push(error)
  process.on('unhandledRejection', always).once('unhandledRejection', once)
  process.prependListener('uncaughtException', always)
  t.after(() => {
    process.off('unhandledRejection', always).off('unhandledRejection', once)
    process.off('uncaughtException', always)
  })
  return { heard }
}

const thrown: Readonly<Record<string, readonly [string, (cause: unknown) => boolean, RegExp]>> = {
  'an Error': [`new Error('broken')`, (cause) => cause instanceof Error, /threw: broken;/],
  'an Error without a message': [`new RangeError()`, (cause) => cause instanceof RangeError, /: RangeError;/],
  'a string': [`'broken'`, (cause) => cause === 'broken', /threw: broken;/],
  undefined: ['undefined', (cause) => cause === undefined, /threw: undefined;/],
  null: ['null', (cause) => cause === null, /threw: null;/],
  'a number': ['0', (cause) => cause === 0, /threw: 0;/],
  'a bigint': ['10n', (cause) => cause === 10n, /threw: 10;/],
  'a symbol': [`Symbol('s')`, (cause) => typeof cause === 'symbol', /threw: Symbol\(s\);/],
  'an object': ['{ broken: true }', (cause) => typeof cause === 'object', /threw: \{"broken":true\};/],
  'an object that refers to itself': [
    '((o) => (o.self = o))({})',
    (cause) => typeof cause === 'object',
    /threw: a value that cannot be shown \(object\);/,
  ],
  'an Error whose message is a symbol': [
    `Object.assign(new Error('x'), { message: Symbol('s') })`,
    (cause) => cause instanceof Error,
    /threw: Symbol\(s\);/,
  ],
  'an Error whose message cannot be read': [
    `Object.defineProperty(new Error('x'), 'message', { get() { throw 1 } })`,
    (cause) => cause instanceof Error,
    /threw: a value that cannot be shown \(object\);/,
  ],
  'an Error whose stack cannot be read': [
    `Object.defineProperty(new Error('broken'), 'stack', { get() { throw 1 } })`,
    (cause) => cause instanceof Error,
    /threw: broken;/,
  ],
  'a revoked proxy': [
    `(({ proxy, revoke }) => (revoke(), proxy))(Proxy.revocable({}, {}))`,
    (cause) => typeof cause === 'object',
    /threw: a value that cannot be shown \(object\);/,
  ],
}

for (const [what, [expression, is, says]] of Object.entries(thrown)) {
  test(`refuses a plugin whose module code throws ${what}`, async (t) => {
    const { refuses, file } = await opening(t)
    const { heard } = listening(t)
    const error = await refuses(await file(`exports.a = 1\nthrow ${expression}\n`), 'module-threw', says)
    assert.match(error.message, /^the module code of hand 1\.0\.0 .*; the plugin was not opened$/)
    assert.ok('cause' in error && is(error.cause))
    assert.deepEqual(heard, [])
  })
}

const rejected: Readonly<Record<string, string>> = {
  'a promise that rejects with an Error': `Promise.reject(new Error('broken'))`,
  'a promise that rejects with a string': `Promise.reject('broken')`,
  'an async function that throws': `(async () => { throw new Error('broken') })()`,
  'a promise that rejects some microtasks later': `(async () => {
    for (let i = 0; i < 100; i++) await undefined
    throw new Error('broken')
  })()`,
  'a promise that rejects in a tick': `new Promise((_, no) => process.nextTick(no, new Error('broken')))`,
  'a promise that rejects in a microtask of a tick': `process.nextTick(() => queueMicrotask(() => {
    Promise.reject(new Error('broken'))
  }))`,
  'many promises that reject': `for (let i = 0; i < 10; i++) Promise.reject(new Error('broken'))`,
}

for (const [what, code] of Object.entries(rejected)) {
  test(`refuses a plugin whose module code leaves ${what}`, async (t) => {
    const { refuses, file } = await opening(t)
    const { heard } = listening(t)
    const says =
      /^the module code of hand 1\.0\.0 .* left a promise that rejected: broken; the plugin was not/
    const error = await refuses(await file(`${code}\n`), 'module-rejected', says)
    assert.match(error.cause instanceof Error ? error.cause.message : String(error.cause), /^broken$/)
    // A rejection that got past would be told after this turn.
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(heard, [])
  })
}

test('refuses a plugin whose promise rejects with undefined', async (t) => {
  const { refuses, file } = await opening(t)
  const error = await refuses(await file('Promise.reject()\n'), 'module-rejected', /rejected: undefined;/)
  assert.equal(error.cause, undefined)
})

test('takes a plugin that catches what it rejects', async (t) => {
  const { platform, file } = await opening(t)
  const { heard } = listening(t)
  const code = `exports.caught = Promise.reject(new Error('caught')).catch((error) => error.message)\n`
  const plugin = await platform.open(await file(code))
  assert.equal(await plugin.lookup('caught'), 'caught')
  assert.deepEqual(heard, [])
})

test('tells plugins that are opened at once and reject from those that do not', async (t) => {
  const { platform, file } = await opening(t)
  const { heard } = listening(t)
  const listeners = process.rawListeners('unhandledRejection')
  const paths = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      file(i % 2 === 0 ? `exports.n = ${i}\n` : `Promise.reject(new Error('broken ${i}'))\n`, {
        version: `1.0.${i}`,
      }),
    ),
  )
  const results = await Promise.allSettled(paths.map((path) => platform.open(path)))
  for (const [i, result] of results.entries()) {
    if (result.status === 'fulfilled') assert.equal(result.value.lookup('n'), i)
    else assert.match((result.reason as PluginError).message, new RegExp(`: broken ${i};`))
    assert.equal(result.status, i % 2 === 0 ? 'fulfilled' : 'rejected')
  }
  assert.deepEqual(process.rawListeners('unhandledRejection'), listeners)
  assert.deepEqual(heard, [])
})

test('refuses a plugin whose code does not parse', async (t) => {
  const { refuses, file } = await opening(t)
  for (const code of ['const = 1\n', '}, () => {\n', 'import "node:fs"\n', 'await 1\n', '/* no end\n']) {
    const error = await refuses(await file(code), 'module-threw', / threw: .+; the plugin was not opened$/)
    assert.ok(error.cause instanceof SyntaxError)
  }
})

test('refuses a plugin whose exports cannot be read', async (t) => {
  const { refuses, file } = await opening(t)
  const codes = [
    `Object.defineProperty(exports, 'a', { enumerable: true, get() { throw new Error('broken') } })\n`,
    `module.exports = new Proxy({}, { ownKeys() { throw new Error('broken') } })\n`,
  ]
  for (const code of codes) await refuses(await file(code), 'module-threw', /threw: broken;/)
})

test('ends what module code began before it failed', async (t) => {
  const { refuses, file } = await opening(t)
  const code = `
    setInterval(() => {}, 5)
    setTimeout(() => { throw new Error('it fired') }, 5)
    process.on('SIGHUP', () => {})
    process.once('unhandledRejection', () => {})
    globalThis.left = true
  `
  await refuses(await file(`${code}\nthrow new Error('broken')\n`), 'module-threw', /broken/)
  await refuses(await file(`${code}\nPromise.reject('broken')\n`), 'module-rejected', /broken/)
})

test('refuses module code that would end the process', async (t) => {
  const { refuses, file } = await opening(t)
  const says =
    /hand 1\.0\.0 called process\..* a plugin cannot end or change its host; throw an error, or ask/
  for (const call of ['exit(0)', 'abort()', 'kill(process.pid)', `chdir('/')`]) {
    const { cause } = await refuses(await file(`process.${call}\n`), 'module-threw', says)
    assert.ok(cause instanceof PluginError)
    assert.equal(cause.code, 'forbidden')
  }
})

test('runs module code that failed again when it is opened again', async (t) => {
  const { platform, file } = await opening(t)
  t.after(() => delete process.env['READY'])
  const path = await file(`if (!process.env.READY) throw new Error('not ready')\nexports.ready = true\n`)
  assert.equal((await refusal(platform, path)).code, 'module-threw')
  const results = await Promise.allSettled([platform.open(path), platform.open(path)])
  assert.deepEqual(
    results.map((each) => (each as { reason?: { code?: string } }).reason?.code),
    ['module-threw', 'module-threw'],
  )
  process.env['READY'] = '1'
  assert.equal((await platform.open(path)).lookup('ready'), true)
})
