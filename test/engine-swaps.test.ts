import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createService, type Service } from 'micrograft'
import { pause, until } from '@micrograft/testing'
import {
  etcd,
  mariadb,
  mosquitto,
  natsServer,
  postgres,
  rabbitmq,
  redisServer,
  unusable,
  usableServer,
  type ServerKind,
  type TestServer,
} from '@micrograft/test-support'

// Each part is swapped for a plugin that stands on a real server and back again, while it is used.

const kinds = {
  nats: natsServer(),
  redis: redisServer(),
  rabbitmq,
  mosquitto,
  etcd,
  postgres,
  mariadb,
} as const
type KindName = keyof typeof kinds
const servers = new Map<string, TestServer>()
let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'micrograft-swaps-'))
  const there = Object.entries<ServerKind>(kinds).filter(([, kind]) => unusable(kind) === undefined)
  await Promise.all(there.map(async ([name, kind]) => servers.set(name, await usableServer(kind))))
})
after(async () => {
  await Promise.all([...servers.values()].map((server) => server[Symbol.asyncDispose]()))
  await rm(folder, { recursive: true, force: true })
})

/** In names on servers, which other runs may use too. */
const run = randomUUID().slice(0, 8)
const skip = (name: KindName) => unusable(kinds[name]) ?? false
const addresses = (name: KindName) => [servers.get(name)?.address ?? '']
const plugin = (name: string) =>
  fileURLToPath(new URL(`../plugins/${name}/dist/${name}.plugin.cjs`, import.meta.url))
const now = { watchMs: 0, drainMs: 20_000 } as const

let folders = 0
async function started(
  t: TestContext,
  names: readonly string[],
  env: Record<string, string> = {},
): Promise<Service[]> {
  const directory = join(folder, `nodes-${folders++}`)
  const all = names.map((name) =>
    createService({ name, logger: 'noop', registry: { use: 'local', options: { directory } } }),
  )
  t.after(async () => {
    for (const each of all) await each.stop()
  })
  for (const each of all) {
    if (each.name === 'greeter')
      each.handle('Say', { Hello: ({ name }: { name: string }) => ({ msg: `Hello ${name}` }) })
    await each.init([], env)
    await each.start()
  }
  return all
}

/** Work that is done by several at a time until it is stopped; what fails is kept. */
class Load implements AsyncDisposable {
  done = 0
  readonly failures: unknown[] = []
  #stopped = false
  readonly #workers: Promise<unknown>

  constructor(workers: number, work: (count: number, worker: number) => Promise<unknown>) {
    this.#workers = Promise.all(
      Array.from({ length: workers }, async (_, worker) => {
        for (let count = 0; !this.#stopped; count++) {
          await work(count, worker).then(
            () => this.done++,
            (error: unknown) => this.failures.push(error),
          )
          await pause(1)
        }
      }),
    )
  }

  goesOn(): Promise<void> {
    const { done } = this
    return until('the load goes on', () => this.done > done + 50 || this.failures.length > 0, 15_000)
  }

  /** Expects that nothing failed. */
  async end(): Promise<void> {
    await this[Symbol.asyncDispose]()
    assert.deepEqual(this.failures, [])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true
    await this.#workers
  }
}

// Side by side: most of their time they wait for each other's servers.
describe('under load', { concurrency: true }, () => {
  const brokers: readonly [name: string, server: KindName, options?: () => object][] = [
    ['nats', 'nats', () => ({ prefix: `core-${run}` })],
    ['nats', 'nats', () => ({ prefix: run, jetstream: { stream: run, maxBytes: 10_000_000 } })],
    ['redis', 'redis', () => ({ prefix: `${run}:` })],
    ['rabbitmq', 'rabbitmq', () => ({ exchange: run })],
    ['mqtt', 'mosquitto', () => ({ prefix: run })],
  ]
  for (const [name, server, options] of brokers) {
    const what = options && 'jetstream' in options() ? `${name} with JetStream` : name
    test(
      `a broker is swapped from memory to ${what} and back, and no message is lost or doubled`,
      { skip: skip(server) },
      async (t) => {
        const [service] = (await started(t, ['numbers'])) as [Service]
        // Who is in one process has one memory.
        const topic = `numbers.${randomUUID()}`
        await service.swap('broker', 'memory', now)
        const queued = new Map<string, number>()
        const all = new Map<string, number>()
        const into = (counts: Map<string, number>) => (n: string) =>
          void counts.set(n, (counts.get(n) ?? 0) + 1)
        await service.subscribe(topic, into(queued), { queue: 'workers', concurrency: 8 })
        await service.subscribe(topic, into(all), { concurrency: 8 })
        const published: string[] = []
        await using load = new Load(3, async (count, worker) => {
          const n = `${worker}-${count}`
          await service.publish(topic, n)
          published.push(n)
        })
        await load.goesOn()
        await service.swap('broker', plugin(`broker-${name}`), {
          ...now,
          options: { ...options?.(), addresses: addresses(server) },
        })
        assert.equal(service.use('broker').name, name)
        await load.goesOn()
        await service.swap('broker', 'memory', now)
        await load.goesOn()
        await load.end()
        const complete = () => [queued, all].every((counts) => published.every((n) => counts.has(n)))
        await until('all have come', complete, 15_000).catch(() => undefined)
        for (const counts of [queued, all]) {
          assert.deepEqual(
            published.filter((n) => !counts.has(n)),
            [],
            'lost',
          )
          assert.deepEqual(
            [...counts].filter(([, times]) => times > 1),
            [],
            'doubled',
          )
        }
      },
    )
  }

  /** Calls of `caller` while both are swapped, those who are called as given. */
  async function calling(
    t: TestContext,
    swaps: (greeter: Service, caller: Service, load: Load) => Promise<void>,
    { env, contentType }: { env?: Record<string, string>; contentType?: (count: number) => string } = {},
  ): Promise<void> {
    const [greeter, caller] = (await started(t, ['greeter', 'caller'], env)) as [Service, Service]
    await using load = new Load(8, async (count, worker) => {
      const name = `${worker}-${count}`
      const reply = await caller.client.call(
        'greeter',
        'Say.Hello',
        { name },
        contentType ? { contentType: contentType(count) } : {},
      )
      assert.deepEqual(reply, { msg: `Hello ${name}` })
    })
    await load.goesOn()
    await swaps(greeter, caller, load)
    await load.goesOn()
    await load.end()
  }

  for (const [name, server] of [
    ['etcd', 'etcd'],
    ['nats', 'nats'],
    ['redis', 'redis'],
  ] as const) {
    test(
      `a registry is swapped from local to ${name} and back, and no call is lost`,
      { skip: skip(server) },
      (t) =>
        calling(t, async (greeter, caller, load) => {
          const prefix = name === 'etcd' ? `/${run}/` : `${run}-registry`
          const directory = join(folder, `back-${name}`)
          for (const [target, options] of [
            [plugin(`registry-${name}`), { addresses: addresses(server), prefix }],
            ['local', { directory }],
          ] as const) {
            // It is in both until its caller has moved too.
            const moving = greeter.swap('registry', target, { options, watchMs: 2000, drainMs: 20_000 })
            await until('it is in both', () =>
              greeter.slots.some(({ slot, next }) => slot === 'registry' && next !== undefined),
            )
            await caller.swap('registry', target, { ...now, options })
            await moving
            await load.goesOn()
            const [record] = await caller.use('registry').get('greeter')
            assert.equal(record?.nodes.length, 1)
          }
        }),
    )
  }

  test('a transport is swapped from tcp to nats and back, and no call is lost', { skip: skip('nats') }, (t) =>
    calling(t, async (greeter, caller, load) => {
      const options = { addresses: addresses('nats') }
      // Who calls can dial both, as soon as both are its own.
      await caller.swap('transport', plugin('transport-nats'), { ...now, options })
      await load.goesOn()
      await greeter.swap('transport', plugin('transport-nats'), { ...now, options })
      assert.equal(greeter.record.nodes[0]?.metadata['transport'], 'nats')
      await load.goesOn()
      await greeter.swap('transport', 'tcp', now)
      await load.goesOn()
      await caller.swap('transport', 'tcp', now)
    }),
  )

  test('a codec is swapped while calls of several content types go on, and none is lost', (t) =>
    calling(
      t,
      async (greeter, caller, load) => {
        for (const each of [greeter, caller, greeter]) {
          await each.swap('codec', plugin('codec-cbor'), now)
          await load.goesOn()
          for (const name of ['json', 'msgpack']) await each.swap('codec', name, now)
          await load.goesOn()
        }
      },
      {
        env: { MICRO_PLUGIN: plugin('codec-cbor') },
        contentType: (count) =>
          ['application/json', 'application/cbor', 'application/msgpack'][count % 3] as string,
      },
    ))

  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const stores: readonly [name: string, from: string, skip: string | false, options: () => object][] = [
    ['redis', 'memory', skip('redis'), () => ({ addresses: addresses('redis'), prefix: `${run}:` })],
    [
      'nats',
      'file',
      skip('nats'),
      () => ({ addresses: addresses('nats'), database: `swap-${run}`, maxBytes: 10_000_000 }),
    ],
    [
      'postgres',
      'memory',
      skip('postgres'),
      () => ({ addresses: addresses('postgres'), table: `swap ${run}` }),
    ],
    ['mysql', 'file', skip('mariadb'), () => ({ addresses: addresses('mariadb'), table: `swap ${run}` })],
    [
      'sqlite',
      'memory',
      major > 22 || (major === 22 && minor >= 13)
        ? false
        : `Node ${process.versions.node} has no SQLite of its own`,
      () => ({ addresses: [join(folder, 'sqlite')] }),
    ],
  ]
  for (const [name, from, skip, options] of stores) {
    test(`a store is swapped from ${from} to ${name} and back, and has every entry`, { skip }, async (t) => {
      const [service] = (await started(t, ['keeper'])) as [Service]
      const first = from === 'file' ? { options: { addresses: [join(folder, `file-${name}`)] } } : {}
      await service.swap('store', from, { ...now, ...first })
      const written = new Map<string, string>()
      const text = async (key: string) => {
        const value = await service.store.get(key)
        return value && new TextDecoder().decode(value)
      }
      await using load = new Load(4, async (count, worker) => {
        // Every key is written again, and some are read at once.
        const [key, value] = [`${worker}/${count % 40}`, String(count)]
        await service.store.set(key, new TextEncoder().encode(value))
        written.set(key, value)
        if (count % 3 === 0) assert.equal(await text(key), value)
      })
      await load.goesOn()
      await service.swap('store', plugin(`store-${name}`), { ...now, copy: true, options: options() })
      assert.equal(service.store.name, name)
      await load.goesOn()
      const back = from === 'file' ? { options: { addresses: [join(folder, `back-${name}`)] } } : {}
      await service.swap('store', from, { ...now, ...back, copy: true })
      assert.equal(service.store.name, from)
      await load.goesOn()
      await load.end()
      for (const [key, value] of written) assert.equal(await text(key), value, key)
      assert.equal((await service.store.list()).length, written.size)
    })
  }
})
