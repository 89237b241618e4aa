import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createService, definePlugin, type ComponentContext, type Registry } from 'micrograft'
import { pause } from '@micrograft/testing'
import { memoryRegistry } from '../dist/registry/memory-registry.js'

const plain = { name: 'a', registry: 'memory', logger: 'noop' } as const

test('a number that a service cannot use is refused when it is made, by name', () => {
  for (const option of [
    { callTimeoutMs: -1 },
    { callTimeoutMs: Number.NaN },
    { callTimeoutMs: '5s' },
    { callRetries: -1 },
    { callRetries: 1.5 },
    { callRetries: Number.NaN },
    { callRetries: Infinity },
    { registerTtlMs: 0 },
    { registerTtlMs: Number.NaN },
    { registerIntervalMs: -1 },
    { registerIntervalMs: 2 ** 31 },
    { graceMs: -1 },
    { graceMs: Infinity },
    { graceMs: '10' },
    { makeTimeoutMs: 0 },
    { makeTimeoutMs: Infinity },
  ])
    assert.throws(
      () => createService({ ...plain, ...option } as never),
      { code: 'invalid-option', message: new RegExp(Object.keys(option)[0] as string) },
      JSON.stringify(option),
    )
})

test('a flag with a time that no timer can wait is refused', async () => {
  for (const flag of ['--server_grace=1000h', '--register_ttl=0', '--register_interval=99999999']) {
    const service = createService(plain)
    await assert.rejects(service.init([flag], {}), { code: 'invalid-option' }, flag)
    await service.stop()
  }
})

test('a register interval of 0 registers once', async (t) => {
  let registered = 0
  const registry = definePlugin({
    name: 'counting',
    type: 'registry',
    version: '1.0.0',
    newFunc: (_: object, context: ComponentContext): Registry => {
      const inner = memoryRegistry(undefined, context)
      const { register } = inner
      return Object.assign(inner, {
        register: (...args: Parameters<Registry['register']>) => {
          registered++
          return register.apply(inner, args)
        },
      })
    },
  })
  const service = createService({ ...plain, registry, registerIntervalMs: 0 }).handle('Say', {
    Hello: () => 1,
  })
  t.after(() => service.stop())
  await service.start()
  await pause(30)
  assert.equal(registered, 1)
})

test('an endpoint that handlers of a plugin have is not taken by another', async (t) => {
  const handlers = definePlugin({
    name: 'greeter',
    type: 'handler',
    version: '1.0.0',
    newFunc: () => ({
      endpoints: { Say: { Hello: () => 1 } },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  })
  const service = createService({ ...plain, handlers: [handlers] })
  t.after(() => service.stop())
  await service.start()
  assert.throws(() => service.handle('Say', { Hello: () => 2 }), { code: 'conflict', message: /Say\.Hello/ })
  assert.equal(await service.client.call('a', 'Say.Hello', {}), 1)
})

test('what is asked of a service that is not ready rejects, and does not throw', async () => {
  const service = createService(plain)
  await assert.rejects(service.publish('topic', 1), { code: 'unavailable' })
  await assert.rejects(service.swap('store', 'memory'), { code: 'unavailable' })
  await assert.rejects(service.share('store', 1), { code: 'unavailable' })
  await assert.rejects(service.rollback('store'), { code: 'unavailable' })
  await service.stop()
})
