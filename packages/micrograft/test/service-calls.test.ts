import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServiceError, clientStream, createService, twoWay, type HandlerContext } from 'micrograft'
import { stillPending, until } from '@micrograft/testing'
import { memoryRegistryHub } from '../dist/registry/memory-registry.js'
import { pair } from './support/pair.js'

test('calls every kind of endpoint by name and by type', async (t) => {
  const say = {
    Hello: async (request: { name: string }) => ({ msg: `Hello ${request.name}` }),
    async *Count({ to }: { to: number }) {
      for (let i = 1; i <= to; i++) yield i
    },
    Sum: clientStream({
      handle: async (numbers: AsyncIterable<number>) => {
        let sum = 0
        for await (const each of numbers) sum += each
        return sum
      },
    }),
    Shout: twoWay({
      handle: async function* (texts: AsyncIterable<string>) {
        for await (const text of texts) yield text.toUpperCase()
      },
    }),
  }
  const { caller } = await pair(t, (service) => service.handle('Say', say))
  const { client } = caller
  type Greeter = { Say: typeof say }

  assert.deepEqual(await client.call('greeter', 'Say.Hello', { name: 'John' }), { msg: 'Hello John' })
  assert.deepEqual(await client.of<Greeter>('greeter').Say.Hello({ name: 'John' }), { msg: 'Hello John' })
  const counted: number[] = []
  for await (const each of client.streamsOf<Greeter>('greeter').Say.Count({ to: 3 })) counted.push(each)
  assert.deepEqual(counted, [1, 2, 3])
  assert.equal(await client.send('greeter', 'Say.Sum', [1, 2, 3]), 6)
  await using channel = client.open<string, string>('greeter', 'Say.Shout')
  const replies = channel[Symbol.asyncIterator]()
  for (const word of ['a', 'b']) {
    await channel.send(word)
    assert.equal((await replies.next()).value, word.toUpperCase())
  }
  await channel.end()
  assert.equal((await replies.next()).done, true)
})

test('metadata goes there and back', async (t) => {
  const { caller } = await pair(t, (service) =>
    service.handle('Say', {
      Hello: async (_: unknown, context: HandlerContext) => {
        context.replyMetadata['answered-by'] = 'greeter'
        return context.metadata
      },
    }),
  )
  let back: unknown
  const sent = await caller.client.call(
    'greeter',
    'Say.Hello',
    {},
    { metadata: { 'trace-id': 't1' }, onMetadata: (metadata) => (back = metadata) },
  )
  assert.deepEqual({ ...(sent as object) }, { 'trace-id': 't1' })
  assert.deepEqual({ ...(back as object) }, { 'answered-by': 'greeter' })
})

test('an error of the handler reaches the caller with its code, and a panic at once as internal', async (t) => {
  const { caller } = await pair(t, (service) =>
    service.handle('Say', {
      Refuse: async () => {
        throw new ServiceError('forbidden', 'not you')
      },
      Panic: () => {
        throw 'no error at all'
      },
      Null: () => {
        throw null
      },
    }),
  )
  const { client } = caller
  await assert.rejects(client.call('greeter', 'Say.Refuse', {}), {
    name: 'ServiceError',
    code: 'forbidden',
    message: 'not you',
    id: 'greeter',
  })
  await assert.rejects(client.call('greeter', 'Say.Panic', {}, { timeoutMs: 60_000 }), {
    code: 'internal',
    message: 'no error at all',
  })
  await assert.rejects(client.call('greeter', 'Say.Null', {}, { timeoutMs: 60_000 }), { code: 'internal' })
  await assert.rejects(client.call('greeter', 'Say.Nothing', {}), {
    code: 'not-found',
    message: /Say\.Nothing/,
  })
})

test('a deadline ends the call and reaches the handler, and what it calls in turn', async (t) => {
  const timeoutMs = 1000
  const seen: { at?: number; deadline?: number | undefined; reason?: unknown } = {}
  const { service, caller } = await pair(t, (greeter) =>
    greeter.handle('Say', {
      Wait: (_: unknown, context: HandlerContext) => {
        seen.at = Date.now()
        seen.deadline = context.deadline
        return new Promise((_resolve, reject) =>
          context.signal.addEventListener('abort', () =>
            reject((seen.reason = context.signal.reason) as Error),
          ),
        )
      },
      Relay: (_: unknown, context: HandlerContext) =>
        service.client.call('greeter', 'Say.Deadline', {}, { parent: context, timeoutMs: 60_000 }),
      Deadline: (_: unknown, context: HandlerContext) => context.deadline,
    }),
  )
  const before = performance.now()
  await assert.rejects(caller.client.call('greeter', 'Say.Wait', {}, { timeoutMs, retries: 0 }), {
    code: 'timeout',
  })
  assert.ok(performance.now() - before >= timeoutMs - 5)
  assert.ok(seen.at !== undefined && seen.deadline !== undefined)
  const left = seen.deadline - seen.at
  assert.ok(left > 0 && left <= timeoutMs + 1, `${left} ms are left to the handler`)
  await until('the handler is told', () => seen.reason !== undefined)
  const inner = await caller.client.call<number>('greeter', 'Say.Relay', {}, { timeoutMs: 3000 })
  // Each of the two calls rounds what is left up to whole milliseconds.
  assert.ok(
    inner <= Date.now() + 3000 + 4 && inner > Date.now(),
    'the deadline of the outer call holds for the inner',
  )
})

test('giving up reaches the handler, and rejects with the reason', async (t) => {
  let handler: HandlerContext | undefined
  const { caller } = await pair(t, (service) =>
    service.handle('Say', {
      Wait: (_: unknown, context: HandlerContext) => {
        handler = context
        return new Promise(() => context.signal)
      },
    }),
  )
  const controller = new AbortController()
  const call = caller.client.call('greeter', 'Say.Wait', {}, { signal: controller.signal })
  assert.ok(await stillPending(call))
  await until('the handler runs', () => handler)
  const reason = new Error('changed my mind')
  controller.abort(reason)
  await assert.rejects(call, reason)
  await until('the handler is told', () => handler?.signal.aborted)
  await assert.rejects(caller.client.call('greeter', 'Say.Wait', {}, { signal: controller.signal }), reason)
})

test('leaving a stream early ends it at the handler', async (t) => {
  let ended = false
  const { caller } = await pair(t, (service) =>
    service.handle('Say', {
      async *Forever() {
        try {
          for (let i = 0; ; i++) yield i
        } finally {
          ended = true
        }
      },
    }),
  )
  for await (const each of caller.client.stream<number>('greeter', 'Say.Forever', {})) if (each === 10) break
  await until('the handler ends', () => ended)
})

test('a refused connection is tried again on another node, and errors of the handler are not', async (t) => {
  const registry = { use: 'memory', options: { hub: memoryRegistryHub() } }
  let calls = 0
  const node = async () => {
    const service = createService({ name: 'greeter', registry, logger: 'noop' })
    service.handle('Say', {
      Hello: async () => 'hello',
      Fail: async () => {
        calls++
        throw new ServiceError('conflict', 'no')
      },
    })
    t.after(() => service.stop())
    await service.start()
    return service
  }
  await node()
  const caller = createService({
    name: 'caller',
    registry,
    logger: 'noop',
    selector: { use: 'registry', options: { strategy: 'round-robin' } },
  })
  t.after(() => caller.stop())
  await caller.start()
  // A node that is registered and that nobody answers at.
  const gone = {
    name: 'greeter',
    version: 'latest',
    metadata: {},
    endpoints: [],
    nodes: [{ id: 'gone', address: '127.0.0.1:1', metadata: { protocol: 'rpc', transport: 'tcp' } }],
  }
  await caller.use('registry').register(gone)
  for (let i = 0; i < 10; i++) assert.equal(await caller.client.call('greeter', 'Say.Hello', {}), 'hello')
  await assert.rejects(caller.client.call('greeter', 'Say.Fail', {}, { retries: 5 }), { code: 'conflict' })
  assert.equal(calls, 1)
  await assert.rejects(caller.client.call('nobody', 'Say.Hello', {}), {
    code: 'not-found',
    message: /nobody/,
  })
})

test('an address in the call goes past the registry', async (t) => {
  const { service, caller } = await pair(t, (greeter) =>
    greeter.handle('Say', { Hello: async () => 'hello' }),
  )
  assert.equal(await caller.client.call('whoever', 'Say.Hello', {}, { address: service.address }), 'hello')
})

test('codecs are chosen by content type, and an unknown one is refused', async (t) => {
  const { caller } = await pair(t, (service) =>
    service.handle('Say', { Echo: async (request: unknown) => request }),
  )
  const { client } = caller
  assert.equal(await client.call('greeter', 'Say.Echo', 'text', { contentType: 'text/plain' }), 'text')
  assert.deepEqual(
    await client.call('greeter', 'Say.Echo', { a: [1, null] }, { contentType: 'application/msgpack' }),
    { a: [1, null] },
  )
  const bytes = await client.call<Uint8Array>('greeter', 'Say.Echo', new Uint8Array([1, 2]), {
    contentType: 'application/octet-stream',
  })
  assert.deepEqual([...bytes], [1, 2])
  await assert.rejects(client.call('greeter', 'Say.Echo', {}, { contentType: 'application/xml' }), {
    code: 'unsupported-content',
    message: /application\/xml.*application\/json/s,
  })
})
