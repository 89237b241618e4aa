import assert from 'node:assert/strict'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createService, type Service } from 'micrograft'
import { pause, until } from '@micrograft/testing'

export type ServerName = 'nats' | 'redis' | 'rabbitmq' | 'mosquitto' | 'etcd' | 'postgres' | 'mariadb'

// Parts of services that stand on real servers, in use while something happens to those.

/** The deadline of each call, in milliseconds. */
export const deadlineMs = 1000
/** What a call may take longer on a busy machine, in milliseconds. */
const slackMs = 2000
/** Between two calls of one load, whether or not the one before has ended, in milliseconds. */
export const everyMs = 20
/** What each call sends. */
export const bytesOfACall = 50_000

/** Calls in time, whatever comes of them. */
class Load {
  readonly acknowledged: string[] = []
  readonly codes = new Map<string, number>()
  longestMs = 0
  failed = 0
  #count = 0
  readonly #timer: NodeJS.Timeout
  readonly #underway = new Set<Promise<void>>()

  constructor(call: (id: string) => Promise<unknown>) {
    this.#timer = setInterval(() => {
      const doing: Promise<void> = this.#call(call, String(this.#count++)).finally(() =>
        this.#underway.delete(doing),
      )
      this.#underway.add(doing)
    }, everyMs)
  }

  async #call(call: (id: string) => Promise<unknown>, id: string): Promise<void> {
    const started = performance.now()
    try {
      await call(id)
      this.acknowledged.push(id)
    } catch (error) {
      this.failed++
      const code = (error as { code?: string }).code ?? String(error)
      this.codes.set(code, (this.codes.get(code) ?? 0) + 1)
    }
    this.longestMs = Math.max(this.longestMs, performance.now() - started)
  }

  goesOn(): Promise<void> {
    const { length } = this.acknowledged
    return until('calls succeed', () => this.acknowledged.length > length + 20, 30_000)
  }

  async end(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#underway)
  }
}

/** Expects that each call ended in time, with a code of those that tell of a server out of reach. */
export function expectCoded({ codes, longestMs, failed }: Load): void {
  assert.ok(failed > 0, 'no call failed')
  for (const [code, times] of codes)
    assert.ok(['unavailable', 'timeout', 'overloaded'].includes(code), `${times} times ${code}`)
  assert.ok(longestMs < deadlineMs + slackMs, `a call took ${longestMs} ms`)
}

/** A part of a service that stands on a server, in use. */
export interface Used {
  readonly load: Load
  /** That what was acknowledged is there, and what was subscribed to comes. */
  verify(): Promise<void>
}

export interface Cell {
  readonly server: ServerName
  readonly name: string
  use(address: string, workshop: Workshop): Promise<Used>
}

const file = (name: string) =>
  fileURLToPath(new URL(`../../plugins/${name}/dist/${name}.plugin.cjs`, import.meta.url))

/** Makes services and loads, and ends them. */
export class Workshop implements AsyncDisposable {
  readonly folder: string
  readonly #services: Service[] = []
  readonly #loads: Load[] = []

  constructor(folder: string) {
    this.folder = folder
  }

  async start(
    name: string,
    plugin: string,
    parts: object,
    prepare: (service: Service) => void = () => undefined,
  ): Promise<Service> {
    const directory = join(this.folder, `nodes-${this.#services.length}`)
    const registry = { use: 'local', options: { directory } }
    const service = createService({ name, logger: 'noop', registry, ...parts })
    this.#services.push(service)
    prepare(service)
    await service.init([], { MICRO_PLUGIN: file(plugin) })
    await service.start()
    return service
  }

  load(call: (id: string) => Promise<unknown>): Load {
    const load = new Load(call)
    this.#loads.push(load)
    return load
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#loads.map((each) => each.end()))
    await Promise.all(this.#services.map((each) => each.stop()))
  }
}

const body = () => 'x'.repeat(bytesOfACall)

export function broker(
  server: ServerName,
  name: string,
  options: object,
  { isKept = true, label = name } = {},
): Cell {
  return {
    server,
    name: `the ${label} broker`,
    async use(address, workshop) {
      const parts = { broker: { use: name, options: { ...options, addresses: [address] } } }
      const service = await workshop.start('numbers', `broker-${name}`, parts)
      const queued = new Set<string>()
      const all = new Set<string>()
      const heard = (into: Set<string>) => async (message: { id: string }) => void into.add(message.id)
      await service.subscribe('numbers', heard(queued), { queue: 'workers', concurrency: 16 })
      await service.subscribe('numbers', heard(all), { concurrency: 16 })
      const publish = (id: string) =>
        service.publish('numbers', { id, body: body() }, { timeoutMs: deadlineMs } as object)
      const load = workshop.load(publish)
      return {
        load,
        async verify() {
          // Without the load that was: only what is published now.
          let more = 0
          const again = async () => {
            const id = `again ${more++}`
            await publish(id).catch(() => undefined)
            await pause(20)
            return queued.has(id) && all.has(id)
          }
          await until('both subscriptions are back', again, 20_000)
          if (!isKept) return
          const lost = () => load.acknowledged.filter((id) => !queued.has(id))
          await until('all that was taken is there', () => lost().length === 0, 20_000).catch(() => undefined)
          assert.deepEqual(lost(), [])
        },
      }
    },
  }
}

export function store(server: ServerName, name: string, options: object): Cell {
  return {
    server,
    name: `the ${name} store`,
    async use(address, workshop) {
      const parts = { store: { use: name, options: { ...options, addresses: [address] } } }
      const service = await workshop.start('keeper', `store-${name}`, parts)
      const load = workshop.load((id) => service.store.set(id, Buffer.from(id + body())))
      return {
        load,
        async verify() {
          for (const id of load.acknowledged) {
            const value = await service.store.get(id)
            assert.ok(value && Buffer.from(value).toString().startsWith(`${id}x`), id)
          }
        },
      }
    },
  }
}

export function registry(server: ServerName, name: string, options: object): Cell {
  return {
    server,
    name: `the ${name} registry`,
    async use(address, workshop) {
      const parts = { registry: { use: name, options: { ...options, addresses: [address] } } }
      const [service, other] = await Promise.all(
        ['one', 'other'].map((each) => workshop.start(each, `registry-${name}`, parts)),
      )
      assert.ok(service && other)
      const record = (id: string) => ({
        name: 'greeter',
        version: '1.0.0',
        metadata: {},
        endpoints: [],
        nodes: [{ id, address: '127.0.0.1:1', metadata: {} }],
      })
      const ids = async () => {
        const found = await other
          .use('registry')
          .get('greeter')
          .catch(() => [])
        return new Set(found.flatMap(({ nodes }) => nodes.map(({ id }) => id)))
      }
      // It stays, though nobody renews it: time that it was away for is none that a registry may count.
      await service.use('registry').register(record('stays'), { ttlMs: 600_000 })
      const told = new Set<string>()
      const watcher = await other.use('registry').watch({ service: 'greeter' })
      void (async () => {
        for await (const { type, service } of watcher) told.add(`${type} ${service.nodes[0]?.id}`)
      })().catch(() => undefined)
      const load = workshop.load((id) =>
        service.use('registry').register(record(`n${Number(id) % 40}`), { ttlMs: 60_000 }),
      )
      return {
        load,
        async verify() {
          await until('a node that was registered is there', async () => (await ids()).has('stays'), 20_000)
          const there = await ids()
          for (const id of load.acknowledged) assert.ok(there.has(`n${Number(id) % 40}`), id)
          await until(
            'it takes new ones',
            () =>
              service
                .use('registry')
                .register(record('late'))
                .then(
                  () => true,
                  () => false,
                ),
            20_000,
          )
          await until('a watcher is told', () => told.has('create late'), 20_000)
          assert.ok(!told.has('delete stays'))
          await watcher[Symbol.asyncDispose]()
        },
      }
    },
  }
}

export const transport: Cell = {
  server: 'nats',
  name: 'the nats transport',
  async use(address, workshop) {
    const directory = join(workshop.folder, 'greeters')
    const parts = {
      registry: { use: 'local', options: { directory } },
      transport: { use: 'nats', options: { addresses: [address], pingIntervalMs: 1000, keepAliveMs: 1000 } },
    }
    const say = { Hello: ({ id }: { id: string }) => ({ id }) }
    await workshop.start('greeter', 'transport-nats', parts, (service) => service.handle('Say', say))
    const caller = await workshop.start('caller', 'transport-nats', parts)
    const load = workshop.load(async (id) => {
      const options = { timeoutMs: deadlineMs }
      const reply = await caller.client.call('greeter', 'Say.Hello', { id, body: body() }, options)
      assert.deepEqual(reply, { id })
    })
    return { load, verify: () => Promise.resolve() }
  },
}
