import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import type { Broker, Registry } from '@micrograft/contracts'
import { componentContext, pause, until } from '@micrograft/testing'
import { httpBroker, type HttpBrokerOptions } from '../dist/broker/http-broker.js'
import { memoryRegistry, memoryRegistryHub } from '../dist/registry/memory-registry.js'
import { Authority, noOpenssl } from './support/tls-files.js'

/** A registry that may be slow. */
function slowRegistry() {
  const inner = memoryRegistry({ hub: memoryRegistryHub() }, componentContext())
  const slow: { before?: (() => Promise<unknown>) | undefined; registrations: number } = { registrations: 0 }
  const registry: Registry = Object.assign(Object.create(inner) as Registry, {
    capabilities: { ...inner.capabilities, visibleWithinMs: 0 },
    register: async (...given: Parameters<Registry['register']>) => {
      slow.registrations++
      await slow.before?.()
      await inner.register(...given)
    },
    deregister: inner.deregister.bind(inner),
    get: inner.get.bind(inner),
    watch: inner.watch.bind(inner),
  })
  return { registry, slow }
}

function open(t: TestContext, registry: Registry, options?: HttpBrokerOptions): Broker {
  const broker = httpBroker(options, componentContext({ registry }))
  t.after(() => broker[Symbol.asyncDispose]())
  return broker
}

const nodesIn = async (registry: Registry) =>
  (await registry.get('micro.http.broker')).flatMap(({ nodes }) => nodes)
const ignore = async () => undefined
const message = (text: string) => ({ header: {}, body: Buffer.from(text) })

/** A promise, and what settles it. */
function gate() {
  let release = () => undefined as void
  const open = new Promise<void>((resolve) => (release = resolve))
  return { open, release }
}

test('a broker that is closed while a subscription is made leaves none behind', async (t) => {
  const { registry, slow } = slowRegistry()
  const broker = open(t, registry, { registerTtlMs: 20 })
  const { open: released, release } = gate()
  slow.before = () => released
  const subscribing = assert.rejects(broker.subscribe('t', ignore), { code: 'closed' })
  await until('it is on its way to the registry', () => slow.registrations > 0)
  const closing = broker[Symbol.asyncDispose]()
  release()
  await Promise.all([subscribing, closing])
  assert.deepEqual(await nodesIn(registry), [])
  const { registrations } = slow
  await pause(50)
  assert.equal(slow.registrations, registrations, 'nothing is renewed')
})

test('a renewal that is under way when a subscription ends does not bring it back', async (t) => {
  const { registry, slow } = slowRegistry()
  const broker = open(t, registry, { registerTtlMs: 200 })
  const subscription = await broker.subscribe('t', ignore)
  const { open: released, release } = gate()
  slow.before = () => released
  await until('it is renewed', () => slow.registrations === 2)
  const ending = subscription[Symbol.asyncDispose]()
  await pause(10)
  release()
  await ending
  assert.deepEqual(await nodesIn(registry), [])
})

test('an abort while a subscription is made rejects at once and leaves none behind', async (t) => {
  const { registry } = slowRegistry()
  Object.assign(registry, { capabilities: { ...registry.capabilities, visibleWithinMs: 1000 } })
  const broker = open(t, registry)
  const control = new AbortController()
  const reason = new Error('enough')
  const begun = performance.now()
  const subscribing = broker.subscribe('t', ignore, { signal: control.signal })
  await until('it is registered', async () => (await nodesIn(registry)).length === 1)
  control.abort(reason)
  await assert.rejects(subscribing, reason)
  assert.ok(performance.now() - begun < 900)
  await until('it has gone', async () => (await nodesIn(registry)).length === 0)
})

test('a broker whose address is taken subscribes once it is free', async (t) => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as AddressInfo
  const { registry } = slowRegistry()
  const broker = open(t, registry, { addresses: [`:${port}`] })
  await assert.rejects(broker.subscribe('t', ignore), { code: 'conflict' })
  await new Promise((resolve) => taken.close(resolve))
  const got: string[] = []
  await broker.subscribe('t', async ({ message: { body } }) => void got.push(Buffer.from(body).toString()))
  assert.equal((await nodesIn(registry))[0]?.address, `127.0.0.1:${port}`)
  await broker.publish('t', message('hi'))
  await until('it came', () => got.join() === 'hi')
})

test('a subscription says where others reach it', async (t) => {
  const { registry } = slowRegistry()
  for (const [address, host] of [
    ['0.0.0.0:0', /^(?!0\.0\.0\.0)[\d.]+:\d+$/],
    ['localhost', /^localhost:\d+$/],
    ['127.0.0.1:0', /^127\.0\.0\.1:\d+$/],
  ] as const) {
    const subscription = await open(t, registry, { addresses: [address] }).subscribe('t', ignore)
    assert.match((await nodesIn(registry))[0]?.address ?? '', host)
    await subscription[Symbol.asyncDispose]()
  }
})

test(
  'a subscriber that speaks TLS where another did not before gets its messages',
  { skip: noOpenssl },
  async (t) => {
    using authority = new Authority()
    const { registry } = slowRegistry()
    const publisher = open(t, registry, { tls: { ca: authority.ca } })
    const got: string[] = []
    const handle = async ({ message: { body } }: { message: { body: Uint8Array } }) =>
      void got.push(Buffer.from(body).toString())
    const before = open(t, registry)
    await before.subscribe('t', handle)
    const address = (await nodesIn(registry))[0]?.address as string
    await publisher.publish('t', message('clear'))
    await before[Symbol.asyncDispose]()
    await open(t, registry, { addresses: [address], tls: authority.sign() }).subscribe('t', handle)
    await publisher.publish('t', message('secret'))
    await until('both came', () => got.join() === 'clear,secret')
  },
)
