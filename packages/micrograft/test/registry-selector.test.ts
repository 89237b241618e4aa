import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import {
  ServiceError,
  type ErrorCode,
  type Node,
  type Registry,
  type RegistryWatcher,
  type Selection,
} from '@micrograft/contracts'
import {
  componentContext,
  selectorCases,
  until,
  type PlacedNode,
  type SelectorSubject,
} from '@micrograft/testing'
import { memoryRegistry, memoryRegistryHub } from '../dist/registry/memory-registry.js'
import { registrySelector, type RegistrySelectorOptions } from '../dist/selector/registry-selector.js'
import { complyEveryWay } from './support/comply-every-way.js'

function openRegistry(): Registry {
  return memoryRegistry({ hub: memoryRegistryHub() }, componentContext())
}

/** Makes `placed` the nodes of a service: what is no longer among them goes. */
async function place(registry: Registry, service: string, placed: readonly PlacedNode[]): Promise<void> {
  const addresses = new Set(placed.map(({ address }) => address))
  for (const record of await registry.get(service)) {
    await registry.deregister({
      ...record,
      nodes: record.nodes.filter(({ address }) => !addresses.has(address)),
    })
  }
  for (const { address, version = '1', metadata = {}, endpoints = [] } of placed) {
    await registry.register({
      name: service,
      version,
      metadata: {},
      endpoints: endpoints.map((name) => ({ name, metadata: {} })),
      nodes: [{ id: `at ${address}`, address, metadata }],
    })
  }
}

for (const strategy of ['random', 'round-robin', 'least-loaded'] as const) {
  let registry: Registry
  complyEveryWay(`registry selector, ${strategy}`, selectorCases, {
    type: 'selector',
    name: 'registry',
    file: 'selector/registry-selector',
    factory: 'registrySelector',
    options: () => ({ strategy }),
    context: () => componentContext({ registry: (registry = openRegistry()) }),
    subject: (selector): SelectorSubject => ({
      selector,
      place: (service, placed) => place(registry, service, placed),
      async [Symbol.asyncDispose]() {
        await selector[Symbol.asyncDispose]()
        await registry[Symbol.asyncDispose]()
      },
    }),
  })
}

async function select(
  t: TestContext,
  addresses: readonly string[],
  options: RegistrySelectorOptions = {},
): Promise<{ registry: Registry; selection: Selection }> {
  const registry = openRegistry()
  const selector = registrySelector(options, componentContext({ registry }))
  t.after(async () => {
    await selector[Symbol.asyncDispose]()
    await registry[Symbol.asyncDispose]()
  })
  await place(
    registry,
    'greeter',
    addresses.map((address) => ({ address })),
  )
  return { registry, selection: await selector.select('greeter') }
}

function fail(selection: Selection, node: Node, code: ErrorCode = 'unavailable', times = 1): void {
  for (let i = 0; i < times; i++) selection.mark(node, { error: new ServiceError(code, 'x'), durationMs: 1 })
}

function chosen(selection: Selection, calls = 60): string[] {
  return [...new Set(Array.from({ length: calls }, () => selection.next().address))].sort()
}

test('round-robin gives each node its turn, from a random start, and stays in order while nodes come and go', async (t) => {
  const { registry, selection } = await select(t, ['a', 'b', 'd', 'e'], {
    strategy: 'round-robin',
    random: () => 0.3,
  })
  const turns = (count: number): string =>
    Array.from({ length: count }, () => selection.next().address).join('')
  assert.equal(turns(6), 'bdeabd')
  await place(
    registry,
    'greeter',
    ['a', 'b', 'c', 'd', 'e', 'f'].map((address) => ({ address })),
  )
  await until('they have come', () => selection.nodes.length === 6)
  assert.equal(turns(3), 'efa')
  await place(
    registry,
    'greeter',
    ['b', 'c', 'e'].map((address) => ({ address })),
  )
  await until('they have gone', () => selection.nodes.length === 3)
  assert.equal(turns(4), 'bceb')
})

test('least-loaded prefers the node with fewer calls under way', async (t) => {
  const { selection } = await select(t, ['a', 'b'], { strategy: 'least-loaded' })
  const busy = Array.from({ length: 10 }, () => selection.next())
  assert.equal(busy.filter(({ address }) => address === 'a').length, 5)
  for (const node of busy) if (node.address === 'a') selection.mark(node, { durationMs: 1 })
  assert.deepEqual(
    Array.from({ length: 5 }, () => selection.next().address),
    ['a', 'a', 'a', 'a', 'a'],
  )
})

test('a node is put aside after the third error, tried once after 5 s, then 10 s, up to 60 s, and used again once well', async (t) => {
  let now = 1000
  const { selection } = await select(t, ['a', 'b'], { now: () => now })
  const bad = selection.nodes[0] as Node
  fail(selection, bad, 'unavailable', 2)
  selection.mark(bad, { durationMs: 1 })
  fail(selection, bad, 'timeout', 2)
  assert.deepEqual(chosen(selection), ['a', 'b'])
  fail(selection, bad)
  for (const aside of [5000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
    now += aside - 1
    assert.deepEqual(chosen(selection), ['b'])
    now += 1
    assert.equal(selection.next().address, 'a', 'the trial')
    assert.deepEqual(chosen(selection), ['b'], 'one trial only')
    fail(selection, bad)
    assert.deepEqual(chosen(selection), ['b'])
  }
  now += 60_000
  selection.mark(selection.next(), { error: new ServiceError('bad-request', 'an answer'), durationMs: 1 })
  assert.deepEqual(chosen(selection), ['a', 'b'])
  fail(selection, bad, 'unavailable', 3)
  now += 5000
  assert.equal(selection.next().address, 'a', 'it begins with 5 s again')
})

test('errors of calls that began before a node was put aside do not keep it aside longer', async (t) => {
  let now = 1000
  const { selection } = await select(t, ['a', 'b'], { now: () => now })
  fail(selection, selection.nodes[0] as Node, 'unavailable', 3)
  now += 4000
  fail(selection, selection.nodes[0] as Node, 'unavailable', 50)
  now += 1000
  assert.equal(selection.next().address, 'a')
})

test('a trial that is never marked is followed by another', async (t) => {
  let now = 1000
  const { selection } = await select(t, ['a', 'b'], { now: () => now })
  fail(selection, selection.nodes[0] as Node, 'unavailable', 3)
  now += 5000
  assert.equal(selection.next().address, 'a')
  assert.deepEqual(chosen(selection), ['b'])
  now += 5000
  assert.equal(selection.next().address, 'a')
})

test('a trial goes to a call that the node fits', async (t) => {
  let now = 1000
  const { registry, selection } = await select(t, [], { now: () => now })
  await place(registry, 'greeter', [
    { address: 'a', version: '1' },
    { address: 'b', version: '1' },
    { address: 'c', version: '2' },
  ])
  await until('they have come', () => selection.nodes.length === 3)
  const bad = selection.nodes[0] as Node
  fail(selection, bad, 'unavailable', 3)
  now += 5000
  assert.equal(selection.next({ version: '2' }).address, 'c')
  now += 100
  assert.equal(selection.next({ version: '1', avoid: [bad] }).address, 'b')
  now += 100
  assert.equal(selection.next({ version: '1' }).address, 'a')
})

test('success of any call brings a node back', async (t) => {
  const { selection } = await select(t, ['a', 'b'])
  for (const node of selection.nodes) fail(selection, node, 'unavailable', 3)
  const node = selection.next()
  selection.mark(node, { durationMs: 1 })
  assert.deepEqual(chosen(selection), [node.address])
})

test('a node of the same id at another address is another node', async (t) => {
  const { registry, selection } = await select(t, ['a', 'b'])
  const before = selection.nodes[0] as Node
  fail(selection, before, 'unavailable', 3)
  assert.deepEqual(chosen(selection), ['b'])
  await registry.register({
    name: 'greeter',
    version: '1',
    metadata: {},
    endpoints: [],
    nodes: [{ ...before, address: 'z' }],
  })
  await until('it has moved', () => selection.nodes.some(({ address }) => address === 'z'))
  assert.deepEqual(chosen(selection), ['b', 'z'])
  fail(selection, before, 'unavailable', 9)
  assert.deepEqual(chosen(selection), ['b', 'z'])
  assert.equal(selection.next({ avoid: [selection.nodes[1] as Node, before] }).address, 'z')
})

test('what is remembered of a node stays when only its metadata changes', async (t) => {
  const { registry, selection } = await select(t, ['a', 'b'])
  fail(selection, selection.nodes[0] as Node, 'unavailable', 3)
  await place(registry, 'greeter', [{ address: 'a', metadata: { zone: 'x' } }, { address: 'b' }])
  await until('it has changed', () => selection.nodes[0]?.metadata['zone'] === 'x')
  assert.deepEqual(chosen(selection), ['b'])
})

/** A registry that can be lost: its watchers end, and every call fails, until it is back. */
function fragile(inner: Registry) {
  const watchers = new Set<RegistryWatcher>()
  const lost = { yes: false, asked: 0 }
  const guard =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      lost.asked++
      if (lost.yes) throw new ServiceError('unavailable', 'the registry is lost')
      return call(...args)
    }
  const registry: Registry = {
    name: 'fragile',
    capabilities: inner.capabilities,
    register: (...args) => inner.register(...args),
    deregister: (...args) => inner.deregister(...args),
    list: (...args) => inner.list(...args),
    get: guard((name, options) => inner.get(name, options)),
    watch: guard(async (options) => {
      const watcher = await inner.watch(options)
      watchers.add(watcher)
      return watcher
    }),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
  return {
    registry,
    lost,
    async lose() {
      lost.yes = true
      for (const each of watchers) await each.return?.()
    },
  }
}

test('a lost registry leaves the nodes as they were, and is caught up with once it is back', async (t) => {
  const { registry, lost, lose } = fragile(openRegistry())
  const selector = registrySelector({ maxRetryMs: 100 }, componentContext({ registry }))
  t.after(() => selector[Symbol.asyncDispose]())
  await place(registry, 'greeter', [{ address: 'a' }, { address: 'b' }])
  const selection = await selector.select('greeter')
  await lose()
  const asked = lost.asked
  await until('it is asked again', () => lost.asked > asked + 2)
  assert.deepEqual(chosen(selection), ['a', 'b'])
  await place(
    {
      ...registry,
      get: async () => [
        { name: 'greeter', version: '1', metadata: {}, endpoints: [], nodes: selection.nodes },
      ],
    },
    'greeter',
    [{ address: 'b' }, { address: 'c' }],
  )
  lost.yes = false
  await until('it has caught up', () => selection.nodes.map(({ address }) => address).join() === 'b,c')
  await place(registry, 'greeter', [{ address: 'c' }])
  await until('it watches again', () => selection.nodes.length === 1)
})

test('select while the registry is lost gives the nodes known before, and unavailable where there are none', async (t) => {
  const { registry, lost, lose } = fragile(openRegistry())
  const selector = registrySelector({ maxRetryMs: 100 }, componentContext({ registry }))
  t.after(() => selector[Symbol.asyncDispose]())
  await place(registry, 'greeter', [{ address: 'a' }, { address: 'gone' }])
  const before = await selector.select('greeter')
  await place(registry, 'greeter', [{ address: 'a' }])
  await until('it has gone', () => before.nodes.length === 1)
  await before[Symbol.asyncDispose]()
  await lose()
  await assert.rejects(selector.select('other'), { code: 'unavailable' })
  const selection = await selector.select('greeter')
  assert.deepEqual(chosen(selection), ['a'])
  lost.yes = false
  await place(registry, 'greeter', [{ address: 'a' }, { address: 'b' }])
  await until('it has caught up', () => selection.nodes.length === 2)
})

test('a select that is aborted while the registry is lost takes nothing away from the next', async (t) => {
  const inner = openRegistry()
  const { registry, lost, lose } = fragile(inner)
  let silent = false
  const watch = registry.watch.bind(registry)
  const asked: Registry = Object.assign(registry, {
    watch: (...given: Parameters<Registry['watch']>) =>
      silent
        ? new Promise<RegistryWatcher>((_, reject) => given[0]?.signal?.addEventListener('abort', reject))
        : watch(...given),
  })
  const selector = registrySelector({}, componentContext({ registry: asked }))
  t.after(() => selector[Symbol.asyncDispose]())
  await place(inner, 'greeter', [{ address: 'a' }])
  await (await selector.select('greeter'))[Symbol.asyncDispose]()
  silent = true
  const control = new AbortController()
  const aborted = assert.rejects(selector.select('greeter', { signal: control.signal }), { message: 'late' })
  control.abort(new Error('late'))
  await aborted
  silent = false
  await lose()
  assert.ok(lost.yes)
  assert.deepEqual(chosen(await selector.select('greeter')), ['a'])
})

test('a disposed selection leaves no watcher behind', async (t) => {
  const { registry, selection } = await select(t, ['a'])
  let ended = 0
  const counting: Registry = Object.assign(Object.create(registry) as Registry, {
    watch: async () => {
      const watcher = await registry.watch()
      const end = watcher.return?.bind(watcher)
      watcher.return = () => {
        ended++
        return end?.() ?? Promise.resolve({ done: true as const, value: undefined })
      }
      return watcher
    },
    get: registry.get.bind(registry),
  })
  const selector = registrySelector({}, componentContext({ registry: counting }))
  await (await selector.select('greeter'))[Symbol.asyncDispose]()
  assert.ok(ended > 0)
  assert.equal(selection.nodes.length, 1)
})

test('labels without end cost no memory without end', async (t) => {
  const { selection } = await select(t, ['a', 'b'])
  for (let i = 0; i < 20_000; i++)
    assert.throws(() => selection.next({ labels: { user: String(i) } }), { code: 'unavailable' })
  globalThis.gc?.()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < 50_000; i++)
    assert.throws(() => selection.next({ endpoint: String(i), labels: { user: String(i) } }), {
      code: 'unavailable',
    })
  globalThis.gc?.()
  assert.ok(process.memoryUsage().heapUsed - before < 5_000_000)
})

test('options that are none are refused', () => {
  const context = componentContext({ registry: openRegistry() })
  for (const options of [
    { strategy: 'best' },
    { maxFailures: 0 },
    { asideMs: -1 },
    { maxAsideMs: Number.NaN },
    { speed: 1 },
  ]) {
    assert.throws(() => registrySelector(options as never, context), { code: 'invalid-option' })
  }
})

test('next costs the same with one node and with a thousand', async (t) => {
  const time = (selection: Selection, options?: Parameters<Selection['next']>[0]): number => {
    const started = performance.now()
    for (let i = 0; i < 200_000; i++) selection.next(options)
    return ((performance.now() - started) / 200_000) * 1e6
  }
  for (const strategy of ['random', 'round-robin', 'least-loaded'] as const) {
    const one = (await select(t, ['a'], { strategy })).selection
    const many = (
      await select(
        t,
        Array.from({ length: 1000 }, (_, index) => `n${index}`),
        { strategy },
      )
    ).selection
    for (const options of [undefined, { endpoint: 'Say.Hello' }]) {
      const rounds = Array.from({ length: 9 }, () => [time(one, options), time(many, options)] as const)
      const median = (index: 0 | 1): number =>
        rounds.map((each) => each[index]).sort((x, y) => x - y)[4] as number
      const [small, large] = [median(0), median(1)]
      t.diagnostic(
        `${strategy}${options ? ', by endpoint' : ''}: ${small.toFixed(0)} ns with 1 node, ${large.toFixed(0)} ns with 1,000: ${(large / small).toFixed(2)}`,
      )
      // Far above what noise makes of a constant, far below what a look at each node would cost.
      assert.ok(large < small * 4 + 200)
    }
  }
})
