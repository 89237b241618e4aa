import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Broker, Registry } from '@micrograft/contracts'
import { componentContext, until } from '@micrograft/testing'
import { httpBroker } from '../dist/broker/http-broker.js'
import { memoryRegistry, memoryRegistryHub } from '../dist/registry/memory-registry.js'

interface Places {
  /** Its registry answers as it is, and tells its watchers of nothing that comes later: a process that stood still. */
  readonly publisher: Broker
  readonly registry: Registry
  readonly asked: () => number
  readonly place: () => Broker
}

function places(t: TestContext): Places {
  const hub = memoryRegistryHub()
  const registry = memoryRegistry({ hub }, componentContext())
  let asked = 0
  const behind: Registry = {
    name: registry.name,
    capabilities: registry.capabilities,
    register: (...given) => registry.register(...given),
    deregister: (...given) => registry.deregister(...given),
    list: (options) => registry.list(options),
    get: (name, options) => {
      asked++
      return registry.get(name, options)
    },
    watch: () => registry.watch({ service: 'none' }),
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  }
  const all: Broker[] = []
  const made = (by: Registry) => {
    const broker = httpBroker(undefined, componentContext({ registry: by }))
    all.push(broker)
    return broker
  }
  t.after(async () => {
    for (const each of all) await each[Symbol.asyncDispose]()
  })
  return { publisher: made(behind), registry, asked: () => asked, place: () => made(registry) }
}

const message = (text: string) => ({ header: {}, body: Buffer.from(text) })

for (const [what, queue] of [
  ['a subscription', undefined],
  ['a queue', 'workers'],
] as const) {
  for (const whole of [false, true]) {
    const gone = whole ? 'ended with its broker' : 'ended'
    test(`a message for ${what} that ${gone} goes to what took its place, which the publisher was not told of`, async (t) => {
      const { publisher, place } = places(t)
      const got: string[] = []
      const subscribe = async (name: string) => {
        const broker = place()
        const handle = async (delivery: { readonly message: { readonly body: Uint8Array } }) =>
          void got.push(`${name} ${Buffer.from(delivery.message.body).toString()}`)
        const subscription = await broker.subscribe('t', handle, { queue, identity: 'one' })
        return whole ? broker : subscription
      }
      const first = await subscribe('first')
      await publisher.publish('t', message('1'))
      const second = await subscribe('second')
      await first[Symbol.asyncDispose]()
      await publisher.publish('t', message('2'))
      // Several at a time find it gone.
      await subscribe('third')
      await second[Symbol.asyncDispose]()
      await Promise.all([publisher.publish('t', message('3')), publisher.publish('t', message('3'))])
      await until('all are delivered', () => got.length === 4)
      assert.deepEqual(got, ['first 1', 'second 2', 'third 3', 'third 3'])
    })
  }
}

test('what else got a message does not get it again when one of its subscriptions was gone', async (t) => {
  const { publisher, place } = places(t)
  const got: string[] = []
  const handle = (name: string) => async () => void got.push(name)
  const broker = place()
  await broker.subscribe('t', handle('stays'))
  await broker.subscribe('t', handle('queue'), { queue: 'workers' })
  const goes = await broker.subscribe('t', handle('goes'), { identity: 'one' })
  await publisher.publish('t', message('1'))
  await until('all have it', () => got.length === 3)
  await broker.subscribe('t', handle('comes'), { identity: 'one' })
  await broker.subscribe('t', handle('later'), { identity: 'another' })
  await goes[Symbol.asyncDispose]()
  got.length = 0
  await publisher.publish('t', message('2'))
  await until('all have it', () => got.length >= 3)
  await broker[Symbol.asyncDispose]()
  assert.deepEqual(got.sort(), ['comes', 'queue', 'stays'])
})

test('a subscriber that is gone and stays in the registry does not have it asked for every message', async (t) => {
  const { publisher, place, registry, asked } = places(t)
  const broker = place()
  await broker.subscribe('t', async () => undefined)
  const [record] = await registry.get('micro.http.broker')
  assert.ok(record)
  await broker[Symbol.asyncDispose]()
  await registry.register(record)
  await publisher.publish('t', message('1'))
  const before = asked()
  for (let i = 0; i < 100; i++) await publisher.publish('t', message('2'))
  assert.ok(asked() - before < 50, `the registry was asked ${asked() - before} times`)
})
