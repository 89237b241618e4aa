import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServiceError, type Middleware } from 'micrograft'
import { componentContext, middlewareCases, pause, until, type MiddlewareSubject } from '@micrograft/testing'
import { broken, brokenMiddleware } from './support/broken-middleware.js'
import { Slot } from '../dist/components/slot.js'
import { composeChains } from '../dist/middleware/chain.js'
import { slotted } from '../dist/middleware/slotted.js'
import { complyEveryWay, type BuiltIn, type Make } from './support/comply-every-way.js'
import { metricsMiddleware } from './support/metrics-middleware.js'
import { pair } from './support/pair.js'
import { retryMiddleware } from './support/retry-middleware.js'

/** In a service's slot, in the place of another that has a message under way still, and composed as there. */
function inPlaceOfAnother(make: Make<'middleware'>): Make<'middleware'> {
  return async (...args) => {
    const slot = new Slot('middleware')
    const candidate = (name: string) => ({
      name,
      label: `${name} 1.0.0`,
      options: {},
      make: async () => make(...args),
    })
    slot.fill(candidate('first'), await make(...args))
    const chains = composeChains([slotted(slot)])
    let release: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (release = resolve))
    const under = chains.publish({ topic: 'before', metadata: {}, payload: {} }, () => gate)
    const swapped = slot.swap(candidate('second'), { watchMs: 0 })
    await until('calls go to the second', () => slot.label === 'second 1.0.0')
    const { call, handle, publish, subscribe } = chains
    return Object.assign(
      { name: slot.name, call, handle, publish, subscribe },
      {
        async [Symbol.asyncDispose]() {
          release()
          await Promise.all([under, swapped])
          await slot[Symbol.asyncDispose]()
        },
      },
    )
  }
}

function example(
  name: string,
  maxAttempts?: number,
  options?: () => unknown,
): BuiltIn<'middleware', MiddlewareSubject> {
  return {
    type: 'middleware',
    name,
    file: `../dist-test/support/${name}-middleware`,
    factory: `${name}Middleware`,
    options,
    swap: inPlaceOfAnother,
    subject(middleware: Middleware & Partial<AsyncDisposable>, another) {
      return {
        middleware,
        another: () => another(),
        maxAttempts,
        [Symbol.asyncDispose]: async () => middleware[Symbol.asyncDispose]?.(),
      }
    },
  }
}

complyEveryWay('metrics middleware', middlewareCases, example('metrics'))
complyEveryWay(
  'retry middleware',
  middlewareCases,
  example('retry', 3, () => ({ pauseMs: 2 })),
)

test('the metrics middleware counts calls, failures and messages of streams', async (t) => {
  let time = 0
  const metrics = metricsMiddleware({ now: () => (time += 5) }, componentContext())
  const { caller } = await pair(
    t,
    (service) =>
      service.handle('Say', {
        Hello: async () => 'hello',
        Fail: async () => {
          throw new ServiceError('forbidden', 'no')
        },
        async *Count() {
          yield* [1, 2, 3]
        },
      }),
    { service: { middleware: [metrics] } },
  )
  await caller.client.call('greeter', 'Say.Hello', {})
  await assert.rejects(caller.client.call('greeter', 'Say.Fail', {}), { code: 'forbidden' })
  for await (const _ of caller.client.stream('greeter', 'Say.Count', {}));
  assert.deepEqual(Object.fromEntries(metrics.measured), {
    'handle Say.Hello': { count: 1, failures: 0, messages: 0, totalMs: 5 },
    'handle Say.Fail': { count: 1, failures: 1, messages: 0, totalMs: 5 },
    'handle Say.Count': { count: 1, failures: 0, messages: 3, totalMs: 5 },
  })
})

test('the retry middleware tries again what another try can help', async (t) => {
  let calls = 0
  const { caller } = await pair(
    t,
    (service) =>
      service.handle('Say', {
        Hello: async () => {
          if (++calls < 3) throw new ServiceError('overloaded', 'come again')
          return 'hello'
        },
      }),
    { caller: { middleware: [retryMiddleware({ pauseMs: 1 }, componentContext())], callRetries: 0 } },
  )
  assert.equal(await caller.client.call('greeter', 'Say.Hello', {}), 'hello')
  assert.equal(calls, 3)
})

test('each way to be wrong is found by the cases that speak of it, and each case finds one', async () => {
  await Promise.all(
    brokenMiddleware.flatMap(({ call, found }) =>
      found.map(async (name) => {
        const { run } = middlewareCases.find((each) => each.name === name) as (typeof middlewareCases)[number]
        const subject = { middleware: broken(call), another: async () => broken(call) }
        // A case that never ends has found it too: the runner would say so.
        await assert.rejects(Promise.race([run(subject), hanging()]), `${String(call)} passes: ${name}`)
      }),
    ),
  )
  assert.deepEqual(
    [...new Set(brokenMiddleware.flatMap(({ found }) => found))].sort(),
    middlewareCases.map(({ name }) => name).sort(),
  )
})

async function hanging(): Promise<never> {
  await pause(2000)
  throw new Error('it does not end')
}
