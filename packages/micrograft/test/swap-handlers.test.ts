import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import {
  createService,
  definePlugin,
  type Service,
  type ServiceSwapOptions,
  type SwapEvent,
} from 'micrograft'
import { pause, until } from '@micrograft/testing'
import { privateFolder } from './support/folder.js'
import { CallLoad } from './support/load.js'
import { greeterFile, pluginFile } from './support/plugin-file.js'

interface Served {
  readonly folder: string
  readonly service: Service
  readonly caller: Service
  readonly events: SwapEvent[]
}

async function serve(t: TestContext, file: (folder: string) => Promise<string>): Promise<Served> {
  const folder = await privateFolder(t)
  const options = {
    registry: { use: 'local', options: { directory: `${folder}/registry` } },
    logger: 'noop',
  } as const
  const service = createService({ handlers: [await file(folder)], ...options })
  const caller = createService({ name: 'caller', ...options })
  const events: SwapEvent[] = []
  service.onSwap((event) => events.push(event))
  t.after(async () => {
    await caller.stop()
    await service.stop()
  })
  await service.start()
  await caller.start()
  return { folder, service, caller, events }
}

const now: ServiceSwapOptions = { watchMs: 0 }
const call = <R>({ caller }: Served, method: string, request: unknown = {}): Promise<R> =>
  caller.client.call<R>('greeter', `Say.${method}`, request, { timeoutMs: 10_000 })

test('a service of a plugin file has its name, its version and its endpoints', async (t) => {
  const it = await serve(t, (folder) => greeterFile(folder, '1.0.0'))
  assert.equal(it.service.name, 'greeter')
  assert.equal(it.service.record.version, '1.0.0')
  assert.deepEqual(await call(it, 'Hello', { name: 'John' }), { msg: 'Hello John', version: '1.0.0' })
})

test('a second version takes over: requests under way end on the first, new ones go to the second', async (t) => {
  const it = await serve(t, (folder) => greeterFile(folder, '1.0.0'))
  const slow = call(it, 'Slow', { ms: 400 })
  await until('it is under way', () =>
    it.service.slots.some(({ slot, active }) => slot === 'handler greeter' && active === 1),
  )
  const swapped = it.service.swap('handler', await greeterFile(it.folder, '2.0.0', 'Bye: () => "Bye",'), now)
  await until('it is switched', () => it.events.some(({ phase }) => phase === 'switched'))
  assert.equal((await call<{ version: string }>(it, 'Hello', { name: 'John' })).version, '2.0.0')
  assert.equal(await call(it, 'Bye'), 'Bye')
  assert.equal(
    it.events.some(({ phase }) => phase === 'done'),
    false,
    'the first version still has a request',
  )
  assert.equal(await slow, '1.0.0')
  const { from, to, drained } = await swapped
  assert.deepEqual({ from, to, drained }, { from: 'greeter 1.0.0', to: 'greeter 2.0.0', drained: true })

  const [record] = await it.caller.use('registry').get('greeter')
  assert.equal(record?.version, '2.0.0')
  assert.ok(
    record?.endpoints.some(({ name }) => name === 'Say.Bye'),
    'the registry shows the new endpoint',
  )
  assert.equal((await it.caller.use('registry').get('greeter')).length, 1)
})

test('a request that is in middleware ends on the version that it came to', async (t) => {
  const folder = await privateFolder(t)
  const closing = (version: string) =>
    definePlugin({
      name: 'greeter',
      type: 'handler',
      version,
      newFunc: () => {
        let closed = false
        return {
          endpoints: { Say: { Hello: () => (closed ? 'closed' : version) } },
          [Symbol.asyncDispose]: async () => void (closed = true),
        }
      },
    })
  let pass = (): void => undefined
  const passed = new Promise<void>((resolve) => (pass = resolve))
  let waits = false
  const registry = { use: 'local', options: { directory: `${folder}/registry` } }
  const service = createService({
    handlers: [closing('1.0.0')],
    middleware: [
      {
        name: 'slow',
        async handle(context, next) {
          waits = true
          await passed
          return next(context)
        },
      },
    ],
    registry,
    logger: 'noop',
  })
  const caller = createService({ name: 'caller', registry, logger: 'noop' })
  t.after(async () => {
    await caller.stop()
    await service.stop()
  })
  await service.start()
  await caller.start()
  const reply = caller.client.call('greeter', 'Say.Hello', {}, { timeoutMs: 10_000 })
  await until('it is in middleware', () => waits)
  const swapped = service.swap('handler', closing('2.0.0'), now)
  await until('it is switched', () => service.slots.some(({ current }) => current === 'greeter 2.0.0'))
  await pause(20)
  pass()
  assert.equal(await reply, '1.0.0')
  assert.equal((await swapped).drained, true)
  assert.equal(await caller.client.call('greeter', 'Say.Hello', {}), '2.0.0')
})

test('state goes over, with what the first version did while the second was made', async (t) => {
  const it = await serve(t, (folder) => greeterFile(folder, '1.0.0'))
  await using load = new CallLoad(it.caller)
  for (let version = 2; version < 8; version++) {
    const before = load.done
    await it.service.swap('handler', await greeterFile(it.folder, `${version}.0.0`), now)
    await until('calls go on', () => load.done > before)
  }
  await load.end()
  assert.equal(await call(it, 'Total'), load.done)
})

test('the memory of a version that was replaced is given back', async (t) => {
  const it = await serve(t, (folder) => greeterFile(folder, '1.0.0'))
  const [first] = it.service.plugins.platform.plugins
  await call(it, 'Hello', { name: 'John' })
  await it.service.swap('handler', await greeterFile(it.folder, '2.0.0'), now)
  assert.equal(first?.closed, true)
  assert.ok(await first?.collected(), JSON.stringify(await first?.heldBy()))
})

test('going back after the watch makes the first version again, with the state of the second', async (t) => {
  const it = await serve(t, (folder) => greeterFile(folder, '1.0.0'))
  await it.service.swap('handler', await greeterFile(it.folder, '2.0.0'), now)
  await call(it, 'Hello', { name: 'John' })
  const { from, to } = await it.service.rollback('handler')
  assert.deepEqual({ from, to }, { from: 'greeter 2.0.0', to: 'greeter 1.0.0' })
  assert.equal((await call<{ version: string }>(it, 'Hello', { name: 'John' })).version, '1.0.0')
  assert.equal(await call(it, 'Total'), 2)
})

test('a version that fails too often goes back by itself, and the swap says why', async (t) => {
  const it = await serve(t, (folder) => greeterFile(folder, '1.0.0'))
  const bad = await pluginFile(
    it.folder,
    { name: 'greeter', type: 'handler', version: '2.0.0' },
    `export const Plugin = { name: 'greeter', type: 'handler', version: '2.0.0', newFunc: () => ({
      endpoints: { Say: { Hello: () => { throw new Error('broken') } } }, async [Symbol.asyncDispose]() {} }) }`,
  )
  const swapped = it.service.swap('handler', bad, { watchMs: 60_000, minCalls: 10, maxErrorRate: 0.2 })
  const outcome = swapped.then(
    () => undefined,
    (error: Error) => error,
  )
  await until('it is switched', () => it.events.some(({ phase }) => phase === 'switched'))
  for (let i = 0; i < 10; i++) await call(it, 'Hello', { name: 'John' }).catch(() => undefined)
  assert.match(
    (await outcome)?.message ?? '',
    /went back from greeter 2\.0\.0 to greeter 1\.0\.0: 10 of 10 had failed/,
  )
  assert.equal((await call<{ version: string }>(it, 'Hello', { name: 'John' })).version, '1.0.0')
  assert.deepEqual(
    it.events.map(({ phase }) => phase),
    ['preparing', 'switched', 'went-back'],
  )
  assert.deepEqual(
    it.service.plugins.platform.plugins.map(({ manifest }) => manifest.version),
    ['1.0.0'],
  )
})

test("a caller's own errors do not make it go back", async (t) => {
  const it = await serve(t, (folder) => greeterFile(folder, '1.0.0'))
  const strict = await pluginFile(
    it.folder,
    { name: 'greeter', type: 'handler', version: '2.0.0' },
    `import { ServiceError } from '@micrograft/contracts'
    export const Plugin = { name: 'greeter', type: 'handler', version: '2.0.0', newFunc: () => ({
      endpoints: { Say: { Hello: () => { throw new ServiceError('bad-request', 'no name') } } }, async [Symbol.asyncDispose]() {} }) }`,
  )
  const swapped = it.service.swap('handler', strict, { watchMs: 300, minCalls: 1, maxErrorRate: 0 })
  await until('it is switched', () => it.events.some(({ phase }) => phase === 'switched'))
  await assert.rejects(call(it, 'Hello', {}), { code: 'bad-request' })
  assert.equal((await swapped).to, 'greeter 2.0.0')
})

test('rollback undoes a switch that is watched, at once, and the swap tells it', async (t) => {
  const it = await serve(t, (folder) => greeterFile(folder, '1.0.0'))
  const swapped = it.service.swap('handler', await greeterFile(it.folder, '2.0.0'), { watchMs: 60_000 })
  const outcome = swapped.then(
    () => undefined,
    (error: Error) => error,
  )
  await until('it is switched', () => it.events.some(({ phase }) => phase === 'switched'))
  const { to } = await it.service.rollback('handler', undefined, 'John')
  assert.equal(to, 'greeter 1.0.0')
  assert.match((await outcome)?.message ?? '', /greeter 2\.0\.0 was rolled back by John/)
  assert.equal((await call<{ version: string }>(it, 'Hello', { name: 'John' })).version, '1.0.0')
})

test('a swap that follows ends the watch of the one before', async (t) => {
  const it = await serve(t, (folder) => greeterFile(folder, '1.0.0'))
  const first = it.service.swap('handler', await greeterFile(it.folder, '2.0.0'), { watchMs: 60_000 })
  await until('it is switched', () => it.events.some(({ phase }) => phase === 'switched'))
  await it.service.swap('handler', await greeterFile(it.folder, '3.0.0'), now)
  assert.equal((await first).to, 'greeter 2.0.0')
  assert.equal((await call<{ version: string }>(it, 'Hello', { name: 'John' })).version, '3.0.0')
})

test('a share of the calls goes to the new version, is raised, and ends in a switch', async (t) => {
  const it = await serve(t, (folder) => greeterFile(folder, '1.0.0'))
  const versions = async (calls: number): Promise<Record<string, number>> => {
    const seen: Record<string, number> = {}
    for (let i = 0; i < calls; i++) {
      const { version } = await call<{ version: string }>(it, 'Hello', { name: 'John' })
      seen[version] = (seen[version] ?? 0) + 1
    }
    return seen
  }
  const sharing = await it.service.swap(
    'handler',
    await greeterFile(it.folder, '2.0.0', 'Bye: () => "Bye",'),
    { share: 0.05, watchMs: 0 },
  )
  assert.equal(sharing.outcome, 'sharing')
  const few = await versions(200)
  assert.ok((few['2.0.0'] as number) >= 5 && (few['2.0.0'] as number) <= 15, JSON.stringify(few))
  await it.service.share('handler', 0.5)
  const half = await versions(200)
  assert.ok((half['2.0.0'] as number) >= 80 && (half['2.0.0'] as number) <= 120, JSON.stringify(half))

  const report = it.service.slots.find(({ slot }) => slot === 'handler greeter')
  assert.equal(report?.share, 0.5)
  assert.equal(report?.next, 'greeter 2.0.0')
  const tallies = report?.tallies ?? {}
  assert.equal((tallies['greeter 1.0.0']?.calls ?? 0) + (tallies['greeter 2.0.0']?.calls ?? 0), 400)
  assert.equal(tallies['greeter 2.0.0']?.errors, 0)
  assert.ok((tallies['greeter 2.0.0']?.p50Ms as number) > 0)

  await assert.rejects(it.service.swap('handler', await greeterFile(it.folder, '3.0.0'), now), {
    code: 'conflict',
  })
  const done = await it.service.share('handler', 1)
  assert.equal(done.outcome, 'swapped')
  assert.deepEqual(await versions(20), { '2.0.0': 20 })
  // State of two that share calls cannot be one: the last word is the first version's.
  assert.equal(await call(it, 'Total'), (tallies['greeter 1.0.0']?.calls as number) + 20)
})

test('calls that were made before a swap keep no later one at the old version, in its watch or its share', async (t) => {
  const it = await serve(t, (folder) => greeterFile(folder, '1.0.0'))
  const seen = async (calls: number): Promise<readonly string[]> => {
    const all = new Set<string>()
    for (let i = 0; i < calls; i++)
      all.add((await call<{ version: string }>(it, 'Hello', { name: 'John' })).version)
    return [...all].sort()
  }
  assert.deepEqual(await seen(3), ['1.0.0'])
  const second = it.service.swap('handler', await greeterFile(it.folder, '2.0.0'), { watchMs: 60_000 })
  await until('it is switched', () => it.events.some(({ phase }) => phase === 'switched'))
  assert.deepEqual(await seen(3), ['2.0.0'], 'while it is watched')
  await it.service.swap('handler', await greeterFile(it.folder, '3.0.0'), now)
  await second
  assert.deepEqual(await seen(3), ['3.0.0'])
  await it.service.swap('handler', await greeterFile(it.folder, '4.0.0'), { share: 0.5 })
  assert.deepEqual(await seen(20), ['3.0.0', '4.0.0'])
  await it.service.rollback('handler')
  assert.deepEqual(await seen(20), ['3.0.0'])
})

test('a share ends by itself where the new version fails, and by rollback', async (t) => {
  const it = await serve(t, (folder) => greeterFile(folder, '1.0.0'))
  const bad = await pluginFile(
    it.folder,
    { name: 'greeter', type: 'handler', version: '2.0.0' },
    `export const Plugin = { name: 'greeter', type: 'handler', version: '2.0.0', newFunc: () => ({
      endpoints: { Say: { Hello: () => { throw new Error('broken') } } }, async [Symbol.asyncDispose]() {} }) }`,
  )
  await it.service.swap('handler', bad, { share: 0.5, minCalls: 5 })
  await until('it went back', async () => {
    await call(it, 'Hello', { name: 'John' }).catch(() => undefined)
    return it.events.some(({ phase }) => phase === 'went-back')
  })
  for (let i = 0; i < 10; i++) await call(it, 'Hello', { name: 'John' })

  await it.service.swap('handler', await greeterFile(it.folder, '3.0.0'), { share: 0.5 })
  await it.service.rollback('handler')
  for (let i = 0; i < 10; i++)
    assert.equal((await call<{ version: string }>(it, 'Hello', { name: 'John' })).version, '1.0.0')
  await until('the files are closed', () => it.service.plugins.platform.plugins.length === 1)
})

test('handlers whose endpoint is taken are refused, and nothing has changed', async (t) => {
  const it = await serve(t, (folder) => greeterFile(folder, '1.0.0'))
  it.service.handle('Own', { Hello: () => 'own' })
  const clash = await pluginFile(
    it.folder,
    { name: 'greeter', type: 'handler', version: '2.0.0' },
    `export const Plugin = { name: 'greeter', type: 'handler', version: '2.0.0', newFunc: () => ({
      endpoints: { Own: { Hello: () => 'other' } }, async [Symbol.asyncDispose]() {} }) }`,
  )
  await assert.rejects(it.service.swap('handler', clash, now), { code: 'conflict', message: /Own\.Hello/ })
  assert.equal((await call<{ version: string }>(it, 'Hello', { name: 'John' })).version, '1.0.0')
  assert.deepEqual(
    it.events.map(({ phase }) => phase),
    ['preparing', 'failed'],
  )
})
