import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientStream, serverStream, twoWay, type Middleware, type Service } from 'micrograft'
import { pause } from '@micrograft/testing'
import { gate, soon } from './support/gate.js'
import { pair } from './support/pair.js'

const endpoints = (service: Service) =>
  service.handle('Say', {
    Hello: ({ name }: { name: string }) => `Hello ${name}`,
    Fail: async () => {
      throw new Error('no')
    },
    Count: serverStream({
      handle: async function* () {
        yield 1
      },
    }),
    Sum: clientStream({
      handle: async (numbers: AsyncIterable<number>) => {
        let sum = 0
        for await (const each of numbers) sum += each
        return sum
      },
    }),
    Echo: twoWay({
      handle: async function* (all: AsyncIterable<unknown>) {
        yield* all
      },
    }),
  })

async function readAll(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const read: unknown[] = []
  for await (const each of stream) read.push(each)
  return read
}

test('a message of a stream that cannot be encoded fails its send, and ends the stream with that', async (t) => {
  const { caller } = await pair(t, endpoints)
  const stream = caller.client.open('greeter', 'Say.Echo')
  const reading = assert.rejects(readAll(stream), { code: 'bad-request' })
  await stream.send(1)
  await assert.rejects(soon('the send is refused', stream.send(10n)), { code: 'bad-request' })
  await soon('the stream ends', reading)
  await assert.rejects(stream.send(2), { code: 'bad-request' })
})

test('a stream whose request cannot be encoded says so', async (t) => {
  const { caller } = await pair(t, endpoints)
  await assert.rejects(soon('it ends', readAll(caller.client.stream('greeter', 'Say.Count', 10n))), {
    code: 'bad-request',
  })
  await assert.rejects(soon('it ends', caller.client.send('greeter', 'Say.Sum', [1, 10n])), {
    code: 'bad-request',
  })
})

test('middleware that fails on what is sent fails the stream', async (t) => {
  const failing: Middleware = {
    name: 'failing',
    call: (context, next) => {
      const all = context.request as AsyncIterable<unknown>
      const checked = async function* () {
        for await (const each of all) {
          if (each === 2) throw new Error('two is too many')
          yield each
        }
      }
      return next({ ...context, request: checked() })
    },
  }
  const { caller } = await pair(t, endpoints, { caller: { middleware: [failing] } })
  await assert.rejects(
    soon('it ends', caller.client.send('greeter', 'Say.Sum', [1, 2, 3])),
    /two is too many/,
  )
})

test('what waits to be sent is refused when the stream is closed before it is open', async (t) => {
  const { passed, open } = gate()
  const slow: Middleware = {
    name: 'slow',
    call: async (context, next) => {
      await passed
      return next(context)
    },
  }
  const { caller } = await pair(t, endpoints, { caller: { middleware: [slow] } })
  const stream = caller.client.open('greeter', 'Say.Echo')
  const sending = assert.rejects(stream.send(1), { code: 'closed' })
  await stream[Symbol.asyncDispose]()
  open()
  await soon('it is refused', sending)
})

test('an unknown content type shows where the stream is read or written', async (t) => {
  const { caller } = await pair(t, endpoints)
  const stream = caller.client.open('greeter', 'Say.Echo', { contentType: 'text/none' })
  await assert.rejects(stream.send(1), { code: 'unsupported-content' })
  await assert.rejects(readAll(stream), { code: 'unsupported-content' })
})

test('middleware that throws at once rejects the call', async (t) => {
  const throwing: Middleware = {
    name: 'throwing',
    call: () => {
      throw new Error('not today')
    },
  }
  const { caller } = await pair(t, endpoints, { caller: { middleware: [throwing] } })
  await assert.rejects(caller.client.call('greeter', 'Say.Hello', {}), /not today/)
  await assert.rejects(readAll(caller.client.open('greeter', 'Say.Echo')), /not today/)
})

test('a retryIf that throws rejects the call of a service to itself', async (t) => {
  const { service } = await pair(t, endpoints)
  const retryIf = (): never => {
    throw new Error('cannot tell')
  }
  await assert.rejects(
    soon('the call ends', service.client.call('greeter', 'Say.Fail', {}, { retryIf })),
    /cannot tell/,
  )
})

test('options of a call that are none are refused, and a deadline that has passed is one', async (t) => {
  const { service, caller } = await pair(t, endpoints)
  for (const client of [service.client, caller.client]) {
    for (const timeoutMs of [Number.NaN, '5' as never])
      await assert.rejects(client.call('greeter', 'Say.Hello', { name: 'a' }, { timeoutMs }), {
        code: 'invalid-option',
        message: /timeoutMs/,
      })
    await assert.rejects(client.call('greeter', 'Say.Hello', { name: 'a' }, { timeoutMs: -1 }), {
      code: 'timeout',
    })
  }
  await assert.rejects(caller.client.call('greeter', 'Say.Hello', { name: 'a' }, { retries: Number.NaN }), {
    code: 'invalid-option',
    message: /retries/,
  })
})

test('a stream whose timeoutMs is undefined has no deadline, as one that names none', async (t) => {
  const { caller } = await pair(
    t,
    (service) =>
      service.handle('Say', {
        Later: serverStream({
          handle: async function* () {
            await pause(120)
            yield 1
          },
        }),
      }),
    { caller: { callTimeoutMs: 50 } },
  )
  const later = caller.client.stream('greeter', 'Say.Later', {}, { timeoutMs: undefined })
  assert.deepEqual(await readAll(later), [1])
})
