import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import {
  createService,
  ServiceError,
  unary,
  type EndpointGroup,
  type HandlerContext,
  type Middleware,
  type PluginConfig,
  type SchemaResult,
  type Service,
  type ServiceOptions,
} from 'micrograft'
import { stillPending, until } from '@micrograft/testing'
import { memoryRegistryHub } from '../dist/registry/memory-registry.js'

const registry = () => ({ use: 'memory', options: { hub: memoryRegistryHub() } })

async function serve(
  t: TestContext,
  group: EndpointGroup,
  options: Partial<ServiceOptions> = {},
): Promise<Service> {
  const service = createService({ name: 'self', registry: registry(), logger: 'noop', ...options })
  t.after(() => service.stop())
  service.handle('Say', group)
  await service.start()
  return service
}

/** A promise, and what settles it. */
function gate<T>(): { readonly passed: Promise<T>; readonly open: (value: T) => void } {
  let open!: (value: T) => void
  return { passed: new Promise<T>((resolve) => (open = resolve)), open }
}

test('a call of a service to itself hands the very values over', async (t) => {
  const reply = { at: new Date() }
  let got: unknown
  let remote = ''
  const service = await serve(t, {
    Now: (request: unknown, context: HandlerContext) => {
      got = request
      remote = context.remote
      return reply
    },
    Later: async () => reply,
  })
  const request = { since: new Date(), nothing: undefined }
  assert.equal(await service.client.call('self', 'Say.Now', request), reply)
  assert.equal(got, request)
  assert.equal(remote, 'local')
  assert.equal(await service.client.call('self', 'Say.Later', request), reply)
})

test('it goes over the network where that is asked for', async (t) => {
  const group = {
    Where: (request: { since: unknown }, { remote }: HandlerContext) => [typeof request.since, remote],
  }
  const service = await serve(t, group)
  const request = { since: new Date() }
  const where = (options: object) => service.client.call<string[]>('self', 'Say.Where', request, options)
  assert.deepEqual(await where({}), ['object', 'local'])
  for (const options of [{ address: service.address }, { select: { version: 'latest' } }]) {
    const [type, remote] = await where(options)
    assert.equal(type, 'string')
    assert.notEqual(remote, 'local')
  }
  const other = await serve(t, group, { preferLocal: false })
  const [type, remote] = await other.client.call<string[]>('self', 'Say.Where', request)
  assert.equal(type, 'string')
  assert.notEqual(remote, 'local')
})

test('metadata goes there and back, and the deadline is told', async (t) => {
  const service = await serve(t, {
    Now: (_: unknown, context: HandlerContext) => {
      context.replyMetadata['from'] = 'now'
      return [context.metadata, context.deadline]
    },
    Later: async (_: unknown, context: HandlerContext) => {
      await new Promise(setImmediate)
      await new Promise(setImmediate)
      context.replyMetadata['from'] = 'later'
      return [context.metadata, context.deadline]
    },
  })
  for (const method of ['Now', 'Later']) {
    const back: unknown[] = []
    const began = Date.now()
    const [metadata, deadline] = await service.client.call<[object, number]>('self', `Say.${method}`, 1, {
      metadata: { tenant: 'a' },
      timeoutMs: 60_000,
      onMetadata: (each) => back.push(each),
    })
    assert.deepEqual(metadata, { tenant: 'a' })
    assert.deepEqual(back, [{ from: method.toLowerCase() }])
    assert.ok(deadline >= began + 59_990 && deadline <= Date.now() + 60_010, `${deadline - began}`)
    await assert.rejects(
      service.client.call('self', `Say.${method}`, 1, {
        onMetadata: () => {
          throw new RangeError('mine')
        },
      }),
      RangeError,
    )
  }
})

test('what is thrown comes as a coded error, and unknown errors are logged', async (t) => {
  const logged: unknown[] = []
  const log = (_message: string, fields?: object) => void logged.push(fields)
  const logger: PluginConfig<'logger'> = {
    name: 'kept',
    type: 'logger',
    version: '1.0.0',
    newFunc: async () => {
      const kept = {
        name: 'kept',
        enabled: () => true,
        trace: log,
        debug: log,
        info: log,
        warn: log,
        error: log,
      }
      return { ...kept, child: () => kept, async [Symbol.asyncDispose]() {} } as never
    },
  }
  const thrown: Record<string, Error> = {
    plain: new TypeError('broken'),
    coded: new ServiceError('conflict', 'is there already'),
  }
  const service = await serve(
    t,
    {
      Now: (which: string) => {
        throw thrown[which] as Error
      },
      Later: async (which: string) => {
        throw thrown[which] as Error
      },
    },
    { logger },
  )
  for (const method of ['Say.Now', 'Say.Later']) {
    logged.length = 0
    await assert.rejects(service.client.call('self', method, 'coded'), { code: 'conflict', id: 'self' })
    assert.deepEqual(logged, [])
    await assert.rejects(service.client.call('self', method, 'plain'), { code: 'internal', id: 'self' })
    assert.deepEqual(logged, [{ endpoint: method, error: thrown['plain'] }])
  }
  await assert.rejects(service.client.call('self', 'Say.Nothing', {}), { code: 'not-found' })
})

test('a deadline ends the call for the caller and is told to the handler, for any number of them', async (t) => {
  const reasons: unknown[] = []
  const service = await serve(t, {
    Wait: (_: unknown, { signal }: HandlerContext) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reasons.push((signal.reason as ServiceError).code)
          reject(signal.reason as Error)
        })
      }),
  })
  const began = performance.now()
  const calls = Array.from({ length: 700 }, () =>
    service.client.call('self', 'Say.Wait', {}, { timeoutMs: 50, retries: 0 }),
  )
  const outcomes = await Promise.allSettled(calls)
  const codes = new Set(outcomes.map((each) => (each as { reason?: ServiceError }).reason?.code))
  assert.deepEqual([...codes], ['timeout'])
  assert.ok(performance.now() - began >= 49)
  assert.deepEqual(
    reasons,
    Array.from({ length: 700 }, () => 'timeout'),
  )
})

test('a deadline ends calls that wait among thousands of the same turn that do not', async (t) => {
  const { passed, open } = gate<string>()
  const service = await serve(t, { Wait: () => passed, Soon: async () => 'soon' })
  const call = (method: string, timeoutMs: number) =>
    service.client.call('self', `Say.${method}`, {}, { timeoutMs, retries: 0 })
  const codes: unknown[] = []
  // No turn of the loop comes between them.
  for (let i = 0; i < 3000; i++) {
    if (i % 100 === 0) call('Wait', 50).catch(({ code }: ServiceError) => codes.push(code))
    assert.equal(await call('Soon', 50), 'soon')
  }
  const endless = call('Wait', 0)
  await until('the calls that wait have ended', () => codes.length === 30)
  assert.deepEqual(new Set(codes), new Set(['timeout']))
  assert.equal(await stillPending(endless), true)
  open('now')
  assert.equal(await endless, 'now')
})

test('a call without a deadline waits', async (t) => {
  const { passed, open } = gate<string>()
  const service = await serve(t, { Wait: () => passed }, { callTimeoutMs: 20 })
  const waiting = service.client.call('self', 'Say.Wait', {}, { timeoutMs: 0 })
  await assert.rejects(service.client.call('self', 'Say.Wait', {}, { retries: 0 }), { code: 'timeout' })
  assert.ok(await stillPending(waiting))
  open('now')
  assert.equal(await waiting, 'now')
})

test('who gives up is told so at once, and the handler too', async (t) => {
  let aborted = 0
  const service = await serve(t, {
    Wait: (_: unknown, { signal }: HandlerContext) =>
      new Promise(() => signal.addEventListener('abort', () => aborted++)),
    Ask: async (_: unknown, parent: HandlerContext) =>
      service.client.call('self', 'Say.Wait', {}, { parent, timeoutMs: 0 }),
  })
  const given = new AbortController()
  const call = service.client.call('self', 'Say.Wait', {}, { signal: given.signal })
  const asked = service.client.call('self', 'Say.Ask', {}, { signal: given.signal })
  const reason = new Error('enough')
  given.abort(reason)
  await assert.rejects(call, reason)
  await assert.rejects(asked, reason)
  assert.equal(aborted, 2)
  await assert.rejects(service.client.call('self', 'Say.Wait', {}, { signal: given.signal }), reason)
  assert.equal(aborted, 2)
  // The deadline of the call that it is made for holds for what is called, however long that may take.
  await assert.rejects(service.client.call('self', 'Say.Ask', {}, { timeoutMs: 30, retries: 0 }), {
    code: 'timeout',
  })
  assert.equal(aborted, 3)
})

test('input is checked, and what the schema gives is what the handler gets', async (t) => {
  const input = {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: (value: unknown): SchemaResult<number> =>
        typeof value === 'string' ? { value: Number(value) } : { issues: [{ message: 'no text' }] },
    },
  }
  const service = await serve(t, { Double: unary({ input, handle: (n) => Number(n) * 2 }) })
  assert.equal(await service.client.call('self', 'Say.Double', '21'), 42)
  await assert.rejects(service.client.call('self', 'Say.Double', 21), {
    code: 'bad-request',
    message: /no text/,
  })
})

test('middleware of both sides goes around it', async (t) => {
  const seen: string[] = []
  const around: Middleware = {
    name: 'around',
    async call(context, next) {
      seen.push(`call ${context.endpoint}`)
      const metadata = { ...context.metadata, added: 'yes' }
      return [await next({ ...context, metadata, request: `${context.request} there` })]
    },
    async handle(context, next) {
      seen.push(`handle ${context.endpoint} ${context.metadata['added']} ${context.signal?.aborted}`)
      return [await next({ ...context, request: `${context.request} again` })]
    },
  }
  const service = await serve(
    t,
    { Hello: (text: string, { metadata }: HandlerContext) => [text, metadata['added']] },
    { middleware: [around] },
  )
  assert.deepEqual(await service.client.call('self', 'Say.Hello', 'hi'), [[['hi there again', 'yes']]])
  assert.deepEqual(seen, ['call Say.Hello', 'handle Say.Hello yes false'])
})

test('it is tried again on another node where that can help', async (t) => {
  const shared = registry()
  const fail = () => {
    throw new ServiceError('overloaded', 'too much here')
  }
  const first = await serve(t, { Hello: fail, Later: async () => fail() }, { registry: shared })
  await serve(t, { Hello: () => 'there', Later: () => 'there' }, { registry: shared })
  for (const endpoint of ['Say.Hello', 'Say.Later']) {
    for (let i = 0; i < 3; i++) assert.equal(await first.client.call('self', endpoint, {}), 'there')
    await assert.rejects(first.client.call('self', endpoint, {}, { retries: 0 }), { code: 'overloaded' })
    await assert.rejects(first.client.call('self', endpoint, {}, { retryIf: () => false }), {
      code: 'overloaded',
    })
  }
})

test('it ends on the version of a plugin where it began', async (t) => {
  const gates = [gate<string>(), gate<string>()]
  const disposed: number[] = []
  const version = (number: number): PluginConfig<'handler'> => ({
    name: 'self',
    type: 'handler',
    version: `${number}.0.0`,
    newFunc: async () => ({
      endpoints: {
        Say: { Which: () => number, Wait: async () => `${number} ${await gates[number - 1]?.passed}` },
      },
      async [Symbol.asyncDispose]() {
        disposed.push(number)
      },
    }),
  })
  const service = createService({ handlers: [version(1)], registry: registry(), logger: 'noop' })
  t.after(() => service.stop())
  await service.start()
  const { client } = service
  assert.equal(await client.call('self', 'Say.Which', {}), 1)
  const waiting = client.call('self', 'Say.Wait', {})
  const swapped = service.swap('handler', version(2), { watchMs: 0 })
  await until('calls go to the second', async () => (await client.call('self', 'Say.Which', {})) === 2)
  assert.ok(await stillPending(swapped))
  assert.deepEqual(disposed, [])
  gates[0]?.open('done')
  assert.equal(await waiting, '1 done')
  assert.equal((await swapped).drained, true)
  assert.deepEqual(disposed, [1])
  // Two versions share them.
  await service.swap('handler', version(1), { share: 0.5, watchMs: 0 })
  const answers = new Set<unknown>()
  await until('both answer', async () => answers.add(await client.call('self', 'Say.Which', {})).size === 2)
  await service.share('handler', 1)
  assert.equal(await client.call('self', 'Say.Which', {}), 1)
})

test('a service that stops lets its calls to itself end, and ends them after the grace', async (t) => {
  for (const graceMs of [10_000, 20]) {
    const { passed, open } = gate<string>()
    const service = await serve(t, { Wait: () => passed }, { graceMs })
    const calls = [0, 5000].map((timeoutMs) =>
      service.client.call('self', 'Say.Wait', {}, { timeoutMs, retries: 0 }),
    )
    const outcomes = Promise.allSettled(calls)
    const stopped = service.stop()
    if (graceMs > 20) {
      assert.ok(await stillPending(stopped))
      open('done')
      for (const each of await outcomes) assert.deepEqual(each, { status: 'fulfilled', value: 'done' })
    } else {
      for (const each of await outcomes)
        assert.equal((each as { reason?: ServiceError }).reason?.code, 'unavailable')
    }
    await stopped
  }
})

test('values of a stream to itself go over the network', async (t) => {
  const service = await serve(t, {
    async *Count({ to }: { to: number }) {
      for (let i = 1; i <= to; i++) yield new Date(i)
    },
  })
  const got: unknown[] = []
  for await (const each of service.client.stream('self', 'Say.Count', { to: 2 })) got.push(typeof each)
  assert.deepEqual(got, ['string', 'string'])
})
