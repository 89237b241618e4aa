import assert from 'node:assert/strict'
import type { Registry, RegistryEvent, RegistryWatcher, ServiceRecord } from '@micrograft/contracts'
import type { Case } from './case.js'
import { pause, until } from './wait.js'

/** What the cases of registries are run on: a registry that knows no node yet, and a backend that others can open too. */
export interface RegistrySubject extends AsyncDisposable {
  readonly registry: Registry
  /** Opens another registry on the same backend. */
  other(): Promise<Registry>
}

/** A registry and those that were opened beside it, disposed together. */
export function registrySubject(
  registry: Registry,
  open: () => Registry | Promise<Registry>,
): RegistrySubject {
  const others: Registry[] = []
  return {
    registry,
    async other() {
      const opened = await open()
      others.push(opened)
      return opened
    },
    async [Symbol.asyncDispose]() {
      for (const each of [...others, registry]) await each[Symbol.asyncDispose]()
    },
  }
}

const hello = {
  name: 'Say.Hello',
  request: { name: 'Request', type: 'Request', values: [{ name: 'name', type: 'string', values: [] }] },
  response: { name: 'Response', type: 'Response', values: [] },
  metadata: { stream: 'server' },
}

/** One node of `greeter`, or what `changes` make of it. */
function record(id: string, changes: Partial<ServiceRecord> = {}): ServiceRecord {
  const node = { id, address: '127.0.0.1:4001', metadata: { protocol: 'rpc' } }
  return { name: 'greeter', version: '1.0.0', metadata: {}, endpoints: [hello], nodes: [node], ...changes }
}

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

function ids(records: readonly ServiceRecord[]): string[] {
  return records.flatMap(({ nodes }) => nodes.map(({ id }) => id)).sort()
}

async function nextOf(watcher: RegistryWatcher, timeoutMs = 5000): Promise<RegistryEvent> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no event within ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    const { done, value } = await Promise.race([watcher.next(), late])
    assert.equal(done ?? false, false, 'the watcher has ended')
    return value as RegistryEvent
  } finally {
    clearTimeout(timer)
  }
}

function told({ type, service }: RegistryEvent): string {
  return `${type} ${service.nodes.map(({ id }) => id).join()}`
}

/** Each method of a registry, to be called in every way that must be refused. */
const methods: Readonly<Record<string, (registry: Registry, signal?: AbortSignal) => Promise<unknown>>> = {
  register: (registry, signal) => registry.register(record('refused'), { signal }),
  deregister: (registry, signal) => registry.deregister(record('refused'), { signal }),
  get: (registry, signal) => registry.get('greeter', { signal }),
  list: (registry, signal) => registry.list({ signal }),
  watch: (registry, signal) => registry.watch({ signal }),
}

/** What every registry promises. */
export const registryCases: readonly Case<RegistrySubject>[] = [
  {
    name: 'get gives what was registered: version, metadata, endpoints and nodes',
    async run({ registry }) {
      const given = record('a', { metadata: { team: 'blue' } })
      await registry.register(given)
      assert.deepEqual(plain(await registry.get('greeter')), plain([given]))
    },
  },
  {
    name: 'get of a service that has no node is empty',
    async run({ registry }) {
      await registry.register(record('a'))
      assert.deepEqual(await registry.get('nobody'), [])
      assert.deepEqual(await registry.get('toString'), [])
    },
  },
  {
    name: 'list gives every service, sorted by name and version',
    async run({ registry }) {
      assert.deepEqual(await registry.list(), [])
      await registry.register(record('c', { name: 'zebra' }))
      await registry.register(record('b', { version: '2.0.0' }))
      await registry.register(record('a'))
      const listed = (await registry.list()).map(({ name, version }) => `${name} ${version}`)
      assert.deepEqual(listed, ['greeter 1.0.0', 'greeter 2.0.0', 'zebra 1.0.0'])
    },
  },
  {
    name: 'nodes of one version that were registered apart are merged',
    async run({ registry }) {
      await registry.register(record('b'))
      await registry.register(record('a'))
      const [merged, ...more] = await registry.get('greeter')
      assert.equal(more.length, 0)
      assert.deepEqual(ids([merged as ServiceRecord]), ['a', 'b'])
      assert.deepEqual(plain(merged?.endpoints), plain([hello]))
    },
  },
  {
    name: 'versions of a service are told apart',
    async run({ registry }) {
      await registry.register(record('a'))
      await registry.register(record('b', { version: '2.0.0' }))
      const found = (await registry.get('greeter')).map((each) => `${each.version} ${ids([each]).join()}`)
      assert.deepEqual(found, ['1.0.0 a', '2.0.0 b'])
    },
  },
  {
    name: 'registering a node again replaces it',
    async run({ registry }) {
      await registry.register(record('a'))
      const changed = record('a', {
        nodes: [{ id: 'a', address: '127.0.0.2:4002', metadata: { zone: 'b' } }],
      })
      await registry.register(changed)
      assert.deepEqual(plain(await registry.get('greeter')), plain([changed]))
    },
  },
  {
    name: 'registering a node under another version moves it',
    async run({ registry }) {
      await registry.register(record('a'))
      const watcher = await registry.watch()
      await registry.register(record('a', { version: '2.0.0' }))
      const event = await nextOf(watcher)
      assert.equal(`${told(event)} ${event.service.version}`, 'update a 2.0.0')
      await registry.deregister(record('a'))
      assert.deepEqual(
        (await registry.get('greeter')).map(({ version }) => version),
        ['2.0.0'],
      )
    },
  },
  {
    name: "deregister takes out the record's nodes and no others",
    async run({ registry }) {
      await registry.register(record('a'))
      await registry.register(record('b'))
      await registry.deregister(record('a'))
      assert.deepEqual(ids(await registry.get('greeter')), ['b'])
      await registry.deregister(record('b'))
      assert.deepEqual(await registry.get('greeter'), [])
      assert.deepEqual(await registry.list(), [])
    },
  },
  {
    name: 'deregister takes out what another registry registered',
    async run({ registry, other }) {
      const second = await other()
      await registry.register(record('a'))
      await second.deregister(record('a'))
      assert.deepEqual(await registry.get('greeter'), [])
    },
  },
  {
    name: 'deregistering what is not there is no error',
    async run({ registry }) {
      await registry.deregister(record('a'))
      await registry.register(record('a'))
      await registry.deregister(record('b'))
      await registry.deregister(record('a', { name: 'other' }))
      assert.deepEqual(ids(await registry.get('greeter')), ['a'])
    },
  },
  {
    name: 'two registries of one backend see the same nodes',
    async run({ registry, other }) {
      const second = await other()
      await registry.register(record('a'))
      assert.deepEqual(ids(await second.get('greeter')), ['a'])
      await second.register(record('b'))
      assert.deepEqual(ids(await registry.get('greeter')), ['a', 'b'])
      assert.deepEqual(ids(await second.list()), ['a', 'b'])
      await second.deregister(record('b'))
      await until('the node is gone', async () => ids(await registry.get('greeter')).join() === 'a')
    },
  },
  {
    name: 'many registrations at once are all kept',
    async run({ registry, other }) {
      const second = await other()
      const names = Array.from({ length: 40 }, (_, index) => `n${index}`)
      await Promise.all(names.map((id, index) => (index % 2 ? registry : second).register(record(id))))
      assert.deepEqual(ids(await registry.get('greeter')), names.toSorted())
      await Promise.all(names.map((id, index) => (index % 2 ? registry : second).deregister(record(id))))
      await until('all are gone', async () => (await registry.get('greeter')).length === 0)
    },
  },
  {
    name: 'a thousand nodes are registered, found and taken out',
    async run({ registry, other }) {
      const second = await other()
      const nodes = Array.from({ length: 1000 }, (_, index) => ({
        id: `n${String(index).padStart(4, '0')}`,
        address: `127.0.0.1:${4000 + index}`,
        metadata: { protocol: 'rpc' },
      }))
      const all = record('', { nodes })
      await registry.register(all)
      const [found] = await second.get('greeter')
      assert.equal(found?.nodes.length, nodes.length)
      assert.deepEqual(
        found.nodes.map(({ id, address }) => `${id} ${address}`).sort(),
        nodes.map(({ id, address }) => `${id} ${address}`),
      )
      await registry.deregister(all)
      assert.deepEqual(await registry.get('greeter'), [])
    },
  },
  {
    name: 'a node is gone when its time to live has passed, and watchers are told',
    async run({ registry, other }) {
      if (!registry.capabilities.expiry) return
      const second = await other()
      const watcher = await second.watch({ service: 'greeter' })
      await registry.register(record('a'), { ttlMs: 2000 })
      await registry.register(record('b'))
      const events = [told(await nextOf(watcher)), told(await nextOf(watcher)), told(await nextOf(watcher))]
      assert.deepEqual(events.sort(), ['create a', 'create b', 'delete a'])
      await until('it is gone', async () => ids(await registry.get('greeter')).join() === 'b')
    },
  },
  {
    name: 'registering again renews the time to live',
    async run({ registry, other }) {
      if (!registry.capabilities.expiry) return
      const second = await other()
      const watcher = await second.watch()
      const register = () => registry.register(record('a'), { ttlMs: 1000 })
      await register()
      assert.equal(told(await nextOf(watcher)), 'create a')
      const started = Date.now()
      while (Date.now() - started < 1500) {
        await pause(200)
        await register()
        assert.deepEqual(ids(await second.get('greeter')), ['a'])
      }
      assert.equal(told(await nextOf(watcher)), 'delete a')
      assert.deepEqual(await second.get('greeter'), [])
    },
  },
  {
    name: 'a time to live that is none is refused with invalid-option',
    async run({ registry }) {
      for (const ttlMs of [0, -1, Number.NaN, '5' as unknown as number]) {
        await assert.rejects(registry.register(record('a'), { ttlMs }), { code: 'invalid-option' })
      }
      assert.deepEqual(await registry.get('greeter'), [])
    },
  },
  {
    name: 'a watcher is told of create, update and delete, in this order',
    async run({ registry }) {
      const watcher = await registry.watch()
      await registry.register(record('a'))
      const created = await nextOf(watcher)
      assert.equal(told(created), 'create a')
      assert.deepEqual(plain(created.service), plain(record('a')))
      const moved = record('a', { nodes: [{ id: 'a', address: '127.0.0.9:9', metadata: {} }] })
      await registry.register(moved)
      const updated = await nextOf(watcher)
      assert.equal(told(updated), 'update a')
      assert.deepEqual(plain(updated.service), plain(moved))
      await registry.deregister(moved)
      assert.equal(told(await nextOf(watcher)), 'delete a')
    },
  },
  {
    name: 'a watcher of another registry is told in time',
    async run({ registry, other }) {
      const second = await other()
      const watcher = await second.watch({ service: 'greeter' })
      const { visibleWithinMs } = registry.capabilities
      for (const id of ['a', 'b', 'c']) {
        await registry.register(record(id))
        assert.equal(told(await nextOf(watcher, visibleWithinMs + 400)), `create ${id}`)
      }
      await registry.deregister(record('b'))
      assert.equal(told(await nextOf(watcher)), 'delete b')
    },
  },
  {
    name: 'a watcher is told nothing of what was there before, nor of what did not change',
    async run({ registry }) {
      await registry.register(record('a'))
      const watcher = await registry.watch()
      await registry.register(record('a'))
      await registry.register(record('b'))
      assert.equal(told(await nextOf(watcher)), 'create b')
    },
  },
  {
    name: 'a watcher of one service is told of no other',
    async run({ registry }) {
      const watcher = await registry.watch({ service: 'greeter' })
      await registry.register(record('a', { name: 'other' }))
      await registry.register(record('b'))
      assert.equal(told(await nextOf(watcher)), 'create b')
    },
  },
  {
    name: 'what a slow watcher reads leads to what is there',
    async run({ registry, other }) {
      const writer = await other()
      await registry.register(record('old'))
      const watcher = await registry.watch()
      const known = new Set(['old'])
      for (const id of ['ghost', 'a']) {
        await writer.register(record(id))
        await writer.deregister(record(id))
      }
      await writer.register(record('b'))
      await registry.deregister(record('old'))
      await registry.register(record('old', { version: '3.0.0' }))
      await writer.register(record('a'))
      await writer.register(record('last'))
      const there = ids(await registry.get('greeter')).join()
      while ([...known].sort().join() !== there) {
        const { type, service } = await nextOf(watcher)
        for (const { id } of service.nodes) {
          assert.equal(known.has(id), type !== 'create', `${type} of ${id}`)
          if (type === 'delete') known.delete(id)
          else known.add(id)
        }
      }
      assert.equal(there, 'a,b,last,old')
    },
  },
  {
    name: 'two watchers are each told of everything',
    async run({ registry }) {
      const [first, second] = [await registry.watch(), await registry.watch()]
      await registry.register(record('a'))
      assert.equal(told(await nextOf(first)), 'create a')
      await first.return?.()
      await registry.register(record('b'))
      assert.equal(told(await nextOf(second)), 'create a')
      assert.equal(told(await nextOf(second)), 'create b')
    },
  },
  {
    name: 'return and dispose end a watcher, and a next that waits for it',
    async run({ registry }) {
      for (const end of [
        (watcher: RegistryWatcher) => watcher.return?.() ?? Promise.resolve(),
        (watcher: RegistryWatcher) => watcher[Symbol.asyncDispose](),
      ]) {
        const watcher = await registry.watch()
        const waiting = watcher.next()
        await end(watcher)
        assert.equal((await waiting).done, true)
        await registry.register(record('a'))
        assert.equal((await watcher.next()).done, true)
        await end(watcher)
      }
    },
  },
  {
    name: 'an abort before a call rejects with its reason and leaves things as they were',
    async run({ registry }) {
      const reason = new Error('given up')
      for (const [name, call] of Object.entries(methods)) {
        await assert.rejects(call(registry, AbortSignal.abort(reason)), reason, name)
      }
      assert.deepEqual(await registry.list(), [])
    },
  },
  {
    name: 'an abort during a call rejects with its reason, unless the call was faster',
    async run({ registry }) {
      for (const [name, call] of Object.entries(methods)) {
        const controller = new AbortController()
        const reason = new Error('given up')
        const called = call(registry, controller.signal)
        controller.abort(reason)
        await called.catch((error: unknown) => assert.equal(error, reason, name))
      }
    },
  },
  {
    name: 'an abort ends a watcher, whose next rejects with the reason',
    async run({ registry }) {
      const controller = new AbortController()
      const watcher = await registry.watch({ signal: controller.signal })
      const waiting = watcher.next()
      const reason = new Error('given up')
      controller.abort(reason)
      await assert.rejects(waiting, reason)
      assert.equal((await watcher.next()).done, true)
    },
  },
  {
    name: 'what a call was given is copied and left as it was',
    async run({ registry }) {
      const nodes = [{ id: 'a', address: '127.0.0.1:1', metadata: { zone: 'a' } }]
      const given = record('a', { nodes })
      const options = Object.freeze({ ttlMs: 60_000 })
      const before = structuredClone(given)
      await registry.register(given, options)
      assert.deepEqual(given, before)
      ;(nodes[0] as { metadata: Record<string, string> }).metadata['zone'] = 'changed'
      nodes.push({ id: 'b', address: '127.0.0.1:2', metadata: { zone: 'b' } })
      assert.deepEqual(plain(await registry.get('greeter')), plain([before]))
    },
  },
  {
    name: 'changing what a call gave changes nothing in the registry',
    async run({ registry }) {
      await registry.register(record('a'))
      const before = plain(await registry.get('greeter'))
      const [found] = (await registry.get('greeter')) as unknown as {
        nodes: unknown[]
        metadata: Record<string, string>
      }[]
      const [node] = (found?.nodes ?? []) as { metadata: Record<string, string> }[]
      for (const change of [
        () => found?.nodes.pop(),
        () => Object.assign(found?.metadata ?? {}, { x: 'y' }),
        () => Object.assign(node?.metadata ?? {}, { x: 'y' }),
      ]) {
        try {
          change()
        } catch {
          // Frozen: as good.
        }
      }
      assert.deepEqual(plain(await registry.get('greeter')), before)
    },
  },
  {
    name: 'a record without name, id or address is refused with bad-request, whole',
    async run({ registry }) {
      const good = { id: 'good', address: '127.0.0.1:1', metadata: {} }
      for (const broken of [
        record('a', { name: '' }),
        record('a', { nodes: [good, { ...good, id: '' }] }),
        record('a', { nodes: [good, { ...good, address: '' }] }),
        record('a', { nodes: [{ ...good, metadata: { count: 1 as unknown as string } }] }),
        record('a', { nodes: [{ ...good, id: 'line\nend' }] }),
        undefined as unknown as ServiceRecord,
      ]) {
        await assert.rejects(registry.register(broken), { code: 'bad-request' })
      }
      assert.deepEqual(await registry.list(), [])
    },
  },
  {
    name: 'every method rejects with closed after dispose',
    async run({ registry }) {
      await registry.register(record('a'))
      await registry[Symbol.asyncDispose]()
      for (const [name, call] of Object.entries(methods)) {
        await assert.rejects(call(registry), { code: 'closed' }, name)
      }
    },
  },
  {
    name: 'dispose ends watchers with closed',
    async run({ registry }) {
      const [waits, asks] = [await registry.watch(), await registry.watch()]
      const waiting = assert.rejects(waits.next(), { code: 'closed' })
      await registry[Symbol.asyncDispose]()
      await waiting
      await assert.rejects(asks.next(), { code: 'closed' })
      assert.equal((await asks.next()).done, true)
    },
  },
  {
    name: 'dispose is safe twice, at once, and without use',
    async run({ registry, other }) {
      await (await other())[Symbol.asyncDispose]()
      await registry.register(record('a'))
      await Promise.all([registry[Symbol.asyncDispose](), registry[Symbol.asyncDispose]()])
      await registry[Symbol.asyncDispose]()
    },
  },
  {
    name: 'dispose takes out its own nodes and leaves those of others',
    async run({ registry, other }) {
      const [leaving, watching] = [await other(), await other()]
      await registry.register(record('stays'))
      await leaving.register(record('goes'))
      await leaving.register(record('goes too'), { ttlMs: 60_000 })
      const watcher = await watching.watch()
      await leaving[Symbol.asyncDispose]()
      const events = [told(await nextOf(watcher)), told(await nextOf(watcher))]
      assert.deepEqual(events.sort(), ['delete goes', 'delete goes too'])
      assert.deepEqual(ids(await registry.get('greeter')), ['stays'])
    },
  },
  {
    name: 'a node that another registry took over stays when the first is disposed, and no watcher sees a gap',
    async run({ registry, other }) {
      const [before, after] = [await other(), await other()]
      await before.register(record('a'))
      const watcher = await registry.watch()
      await after.register(record('a'))
      await before[Symbol.asyncDispose]()
      assert.deepEqual(ids(await registry.get('greeter')), ['a'])
      await after.register(record('b'))
      assert.equal(told(await nextOf(watcher)), 'create b')
      assert.deepEqual(ids(await registry.get('greeter')), ['a', 'b'])
    },
  },
]
