import assert from 'node:assert/strict'
import {
  errorCodes,
  ServiceError,
  type Client,
  type ClientRequest,
  type Dispatcher,
  type ErrorCode,
  type Metadata,
  type Node,
  type Server,
  type ServerReply,
  type ServerRequest,
  type ServerStream,
  type UnaryRequest,
} from '@micrograft/contracts'
import type { Case } from './case.js'
import { pause, stillPending, until } from './wait.js'

/** A server that serves. */
export interface ServedNode {
  readonly server: Server
  readonly node: Node
  /** Cuts every connection to it, without a word. */
  cut(): void
}

/**
 * A client and servers of one protocol. A protocol that lacks something skips its cases by name:
 * without cancellation those with `abort` and `cancel`, without flow control those with `back-pressure`,
 * without reply metadata those with `reply metadata`. Disposing it disposes the client and all servers.
 */
export interface ClientServerSubject extends AsyncDisposable {
  readonly client: Client
  /** Starts a server of its own. */
  start(dispatcher: Dispatcher): Promise<ServedNode>
  /** Where nobody serves. */
  readonly nobody: Node
  /** What one stream may have on the way without its reader, at most, in messages of 10 KB. */
  readonly maxUnread: number
}

type Unary = (request: ServerRequest, body: Uint8Array) => Promise<ServerReply | Uint8Array>
type Stream = (request: ServerRequest, stream: ServerStream) => Promise<Metadata | void>

const text = (body: Uint8Array) => new TextDecoder().decode(body)
const bytes = (value: string) => new TextEncoder().encode(value)
const code = (expected: ErrorCode) => (error: unknown) => {
  assert.ok(error instanceof ServiceError, `${String(error)} is no ServiceError`)
  assert.equal(error.code, expected, error.message)
  return true
}

type Endpoints = {
  readonly [name: `Say.${string}`]: Unary
  readonly [name: `Stream.${string}`]: Stream
} & object

/** A dispatcher of functions: names with `Stream.` are streams. */
function dispatcher(endpoints: Endpoints): Dispatcher {
  const known = endpoints as Readonly<Record<string, unknown>>
  return {
    kind: (endpoint) =>
      endpoint in known ? (endpoint.startsWith('Stream.') ? 'stream' : 'unary') : undefined,
    async unary(request, body) {
      const reply = await (known[request.endpoint] as Unary)(request, body)
      return 'body' in reply ? reply : { metadata: {}, contentType: request.contentType, body: reply }
    },
    async stream(request, stream) {
      return (await (known[request.endpoint] as Stream)(request, stream)) ?? {}
    },
  }
}

function request(
  endpoint: string,
  body: string | Uint8Array = '',
  more: Partial<ClientRequest> = {},
): UnaryRequest {
  return {
    service: 'echo',
    endpoint,
    contentType: 'application/octet-stream',
    metadata: {},
    timeoutMs: 10_000,
    body: typeof body === 'string' ? bytes(body) : body,
    ...more,
  }
}

async function collect(messages: AsyncIterable<Uint8Array>): Promise<string[]> {
  const all: string[] = []
  for await (const each of messages) all.push(text(each))
  return all
}

const aborted = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason)
    signal.addEventListener('abort', () => resolve(signal.reason))
  })

const echo: Unary = async (_, body) => body

export const clientServerCases: readonly Case<ClientServerSubject>[] = [
  {
    name: 'a call is answered with what the handler gives',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({ 'Say.Hello': async (_, body) => bytes(`Hello ${text(body)}`) }),
      )
      const reply = await client.call(node, request('Say.Hello', 'John'))
      assert.equal(text(reply.body), 'Hello John')
      assert.equal(reply.contentType, 'application/octet-stream')
    },
  },
  {
    name: 'a node says its protocol and its transport',
    async run({ client, start }) {
      const { node } = await start(dispatcher({}))
      assert.equal(node.metadata['protocol'], client.protocol)
      assert.equal(typeof node.metadata['transport'], 'string')
    },
  },
  {
    name: 'the handler is told what the request is',
    async run({ client, start }) {
      let seen: ServerRequest | undefined
      const { node } = await start(
        dispatcher({
          'Say.Hello': async (got) => {
            seen = got
            return bytes('')
          },
        }),
      )
      const before = Date.now()
      await client.call(node, request('Say.Hello', '', { timeoutMs: 5000, contentType: 'application/json' }))
      assert.equal(seen?.service, 'echo')
      assert.equal(seen?.endpoint, 'Say.Hello')
      assert.equal(seen?.contentType, 'application/json')
      assert.ok(seen && seen.remote.length > 0)
      assert.ok(
        seen?.deadline && seen.deadline > before + 3000 && seen.deadline < Date.now() + 5200,
        `${seen?.deadline}`,
      )
      await client.call(node, request('Say.Hello', '', { timeoutMs: undefined }))
      assert.equal(seen?.deadline, undefined)
    },
  },
  {
    name: 'calls to many endpoints are each answered by theirs',
    async run({ client, start }) {
      const names = Array.from({ length: 400 }, (_, i) => `Say.Number${i}` as const)
      const { node } = await start(
        dispatcher(
          Object.fromEntries(
            names.map((name) => [name, async (got: ServerRequest) => bytes(got.endpoint)]),
          ) as Endpoints,
        ),
      )
      for (let round = 0; round < 2; round++) {
        const replies = await Promise.all(names.map((name) => client.call(node, request(name))))
        assert.deepEqual(
          replies.map(({ body }) => text(body)),
          names,
        )
      }
    },
  },
  {
    name: 'metadata goes with the call',
    async run({ client, start }) {
      let seen: Metadata = {}
      const { node } = await start(
        dispatcher({
          'Say.Hello': async ({ metadata }) => {
            seen = metadata
            return bytes('')
          },
        }),
      )
      const metadata = Object.freeze({ 'x-tenant': 'äöü ✓', traceparent: '00-1-2-01', empty: '' })
      await client.call(node, request('Say.Hello', '', { metadata }))
      for (const [name, value] of Object.entries(metadata)) assert.equal(seen[name], value)
    },
  },
  {
    name: 'reply metadata and a content type of its own come back',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({
          'Say.Hello': async () => ({
            metadata: { 'x-cost': '7 €' },
            contentType: 'application/json',
            body: bytes('{}'),
          }),
        }),
      )
      const reply = await client.call(node, request('Say.Hello'))
      assert.equal(reply.metadata['x-cost'], '7 €')
      assert.equal(reply.contentType, 'application/json')
    },
  },
  {
    name: 'metadata that is none is refused before it is sent',
    async run({ client, start }) {
      const { node } = await start(dispatcher({ 'Say.Hello': echo }))
      const none: Metadata[] = [{ 'UPPER CASE': 'x' }, { a: 'two\nlines' }, { a: 'x'.repeat(8193) }]
      for (const metadata of none) {
        await assert.rejects(client.call(node, request('Say.Hello', '', { metadata })), code('bad-request'))
      }
      assert.equal(text((await client.call(node, request('Say.Hello', 'on'))).body), 'on')
    },
  },
  {
    name: 'bodies of every size come back as they were',
    async run({ client, start }) {
      const { node } = await start(dispatcher({ 'Say.Hello': echo }))
      await Promise.all(
        [0, 1, 100, 16_383, 16_384, 65_535, 65_536, 65_537, 1_000_000, 3_000_000].map(async (size) => {
          const body = new Uint8Array(size).map((_, i) => i * 7)
          const reply = await client.call(node, request('Say.Hello', body))
          assert.ok(Buffer.from(reply.body).equals(body), `${size} bytes differ`)
        }),
      )
    },
  },
  {
    name: 'every error code comes back with its id and detail',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({
          'Say.Fail': async (_, body) => {
            throw new ServiceError(text(body) as ErrorCode, `detail of ${text(body)}: grüße`, {
              id: 'greeter',
            })
          },
        }),
      )
      for (const each of Object.keys(errorCodes) as ErrorCode[]) {
        await assert.rejects(client.call(node, request('Say.Fail', each)), (error: unknown) => {
          assert.ok(error instanceof ServiceError)
          assert.deepEqual(
            [error.code, error.id, error.message],
            [each, 'greeter', `detail of ${each}: grüße`],
          )
          return true
        })
      }
    },
  },
  {
    name: 'a handler that throws what is no error is an error at the caller, at once',
    async run({ client, start }) {
      const panics = dispatcher({})
      const { node } = await start({
        kind: (endpoint) => (endpoint === 'Stream.Panic' ? 'stream' : 'unary'),
        // eslint-disable-next-line prefer-promise-reject-errors -- that is what is tested
        unary: ({ endpoint }) => (endpoint === 'Say.Throw' ? panic() : Promise.reject('text')),
        stream: panics.stream,
      })
      const before = Date.now()
      await assert.rejects(client.call(node, request('Say.Reject')), code('internal'))
      await assert.rejects(client.call(node, request('Say.Throw')), code('internal'))
      const stream = await client.stream(node, request('Stream.Panic'))
      await assert.rejects(collect(stream.messages), code('internal'))
      assert.ok(Date.now() - before < 2000)
    },
  },
  {
    name: 'an unknown endpoint is not-found, unary and stream',
    async run({ client, start }) {
      const { node } = await start(dispatcher({ 'Say.Hello': echo }))
      await assert.rejects(client.call(node, request('Say.Nothing')), code('not-found'))
      const stream = await client.stream(node, request('Stream.Nothing'))
      await assert.rejects(collect(stream.messages), code('not-found'))
    },
  },
  {
    name: 'many calls at once are answered out of order',
    async run({ client, start }) {
      const release: (() => void)[] = []
      const { node } = await start(
        dispatcher({
          'Say.Wait': async (_, body) => {
            await new Promise<void>((resolve) => release.push(resolve))
            return body
          },
        }),
      )
      const done: number[] = []
      const calls = Array.from({ length: 50 }, async (_, i) => {
        const reply = await client.call(node, request('Say.Wait', String(i)))
        assert.equal(text(reply.body), String(i))
        done.push(i)
      })
      await until('all are under way', () => release.length === 50)
      assert.deepEqual(done, [])
      release[49]?.()
      await until('one is answered', () => done.length === 1)
      for (const each of release) each()
      await Promise.all(calls)
    },
  },
  {
    name: 'timeout: the caller gets it at its deadline, never early, and the handler is told',
    async run({ client, start }) {
      let reason: unknown
      const { node } = await start(
        dispatcher({
          'Say.Wait': async ({ signal }) => {
            reason = await aborted(signal)
            return bytes('')
          },
        }),
      )
      await client.call(node, request('Say.Wait', '', { timeoutMs: 20 })).catch(() => undefined)
      reason = undefined
      for (const timeoutMs of [30, 55, 101]) {
        const before = performance.now()
        await assert.rejects(client.call(node, request('Say.Wait', '', { timeoutMs })), code('timeout'))
        const took = performance.now() - before
        assert.ok(took >= timeoutMs, `after ${took} ms of ${timeoutMs}`)
        assert.ok(took < timeoutMs + 250, `after ${took} ms of ${timeoutMs}`)
      }
      await until('the handler is told', () => reason)
      assert.ok(
        reason instanceof ServiceError && ['timeout', 'canceled'].includes(reason.code),
        String(reason),
      )
    },
  },
  {
    name: 'timeout: a handler that does not listen does not keep the caller, and the connection goes on',
    async run({ client, start }) {
      let end: () => void = () => undefined
      const { node } = await start(
        dispatcher({
          'Say.Wait': async () => {
            await new Promise<void>((resolve) => (end = resolve))
            return bytes('late')
          },
          'Say.Hello': echo,
        }),
      )
      await assert.rejects(client.call(node, request('Say.Wait', '', { timeoutMs: 30 })), code('timeout'))
      const next = client.call(node, request('Say.Hello', 'next'))
      end()
      assert.equal(text((await next).body), 'next')
    },
  },
  {
    name: 'abort: the caller gets its reason at once, and the handler is told',
    async run({ client, start }) {
      let reason: unknown
      let running = false
      const { node } = await start(
        dispatcher({
          'Say.Wait': async ({ signal }) => {
            running = true
            reason = await aborted(signal)
            return bytes('')
          },
        }),
      )
      const controller = new AbortController()
      const call = client.call(node, request('Say.Wait'), { signal: controller.signal })
      await until('the handler runs', () => running)
      controller.abort(new Error('given up'))
      await assert.rejects(call, /given up/)
      await until('the handler is told', () => reason)
      assert.ok(reason instanceof ServiceError && reason.code === 'canceled')
    },
  },
  {
    name: 'a signal that is aborted already sends nothing',
    async run({ client, start }) {
      let calls = 0
      const { node } = await start(dispatcher({ 'Say.Hello': async () => bytes(String(++calls)) }))
      const signal = AbortSignal.abort(new Error('before'))
      await assert.rejects(client.call(node, request('Say.Hello'), { signal }), /before/)
      await assert.rejects(client.stream(node, request('Stream.Hello'), { signal }), /before/)
      assert.equal(text((await client.call(node, request('Say.Hello'))).body), '1')
    },
  },
  {
    name: 'a signal that lasts keeps no listener of calls that have ended',
    async run({ client, start }) {
      const { node } = await start(dispatcher({ 'Say.Hello': echo }))
      const { signal } = new AbortController()
      let listeners = 0
      const { addEventListener, removeEventListener } = signal
      signal.addEventListener = (...each: Parameters<typeof addEventListener>) => {
        listeners++
        addEventListener.apply(signal, each)
      }
      signal.removeEventListener = (...each: Parameters<typeof removeEventListener>) => {
        listeners--
        removeEventListener.apply(signal, each)
      }
      for (let i = 0; i < 5; i++) await client.call(node, request('Say.Hello'), { signal })
      assert.equal(listeners, 0)
    },
  },
  {
    name: 'the deadline passed on is what is left of it',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({ 'Say.Left': async ({ deadline }) => bytes(String((deadline ?? 0) - Date.now())) }),
      )
      const left = Number(text((await client.call(node, request('Say.Left', '', { timeoutMs: 2000 }))).body))
      assert.ok(left > 500 && left <= 2010, `${left} ms are left`)
    },
  },
  {
    name: 'a server stream is read to its end',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({
          'Stream.Count': async (_, stream) => {
            for await (const each of stream.messages) {
              for (let i = 1; i <= Number(text(each)); i++) await stream.send(bytes(String(i)))
              return
            }
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Count'))
      await stream.send(bytes('1000'))
      await stream.end()
      assert.deepEqual(
        await collect(stream.messages),
        Array.from({ length: 1000 }, (_, i) => String(i + 1)),
      )
      await stream[Symbol.asyncDispose]()
    },
  },
  {
    name: 'reply metadata of a stream comes with its end',
    async run({ client, start }) {
      const { node } = await start(dispatcher({ 'Stream.End': async () => ({ 'x-last': 'yes' }) }))
      const stream = await client.stream(node, request('Stream.End'))
      assert.deepEqual(await collect(stream.messages), [])
      assert.equal((await stream.metadata)['x-last'], 'yes')
    },
  },
  {
    name: 'a client stream is read to its end and answered',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({
          'Stream.Sum': async (_, stream) => {
            let sum = 0
            for await (const each of stream.messages) sum += Number(text(each))
            await stream.send(bytes(String(sum)))
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Sum'))
      for (let i = 1; i <= 1000; i++) await stream.send(bytes(String(i)))
      await stream.end()
      await stream.end()
      assert.deepEqual(await collect(stream.messages), ['500500'])
      await assert.rejects(stream.send(bytes('late')), code('closed'))
    },
  },
  {
    name: 'a two-way stream answers while it is still being sent to',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({
          'Stream.Echo': async (_, stream) => {
            for await (const each of stream.messages) await stream.send(each)
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Echo'))
      const answers = stream.messages[Symbol.asyncIterator]()
      for (let i = 0; i < 200; i++) {
        await stream.send(bytes(`ping ${i}`))
        assert.equal(text((await answers.next()).value as Uint8Array), `ping ${i}`)
      }
      await stream.end()
      assert.equal((await answers.next()).done, true)
    },
  },
  {
    name: 'messages of every size pass a stream, in order, and sends need not be waited for',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({
          'Stream.Sizes': async (_, stream) => {
            for await (const each of stream.messages) await stream.send(bytes(String(each.length)))
          },
        }),
      )
      const sizes = Array.from({ length: 60 }, (_, i) => (i % 6 === 5 ? 300_000 + i : i * 50))
      const stream = await client.stream(node, request('Stream.Sizes'))
      const sent = Promise.all(sizes.map((size) => stream.send(new Uint8Array(size)))).then(() =>
        stream.end(),
      )
      assert.deepEqual(await collect(stream.messages), sizes.map(String))
      await sent
    },
  },
  {
    name: 'back-pressure: a reader that waits holds the sender at the server',
    async run({ client, start, maxUnread }) {
      let sent = 0
      const { node } = await start(
        dispatcher({
          'Stream.Flood': async (_, stream) => {
            for (; sent < maxUnread * 4; sent++) await stream.send(new Uint8Array(10_000))
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Flood'))
      await settles(() => sent)
      assert.ok(sent <= maxUnread, `${sent} messages were sent that nobody read, more than ${maxUnread}`)
      assert.equal((await collect(stream.messages)).length, maxUnread * 4)
    },
  },
  {
    name: 'back-pressure: a handler that waits holds the sender at the client',
    async run({ client, start, maxUnread }) {
      let read: () => void = () => undefined
      let count = 0
      const { node } = await start(
        dispatcher({
          'Stream.Slow': async (_, stream) => {
            await new Promise<void>((resolve) => (read = resolve))
            for await (const _ of stream.messages) count++
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Slow'))
      let sent = 0
      const sending = (async () => {
        for (; sent < maxUnread * 4; sent++) await stream.send(new Uint8Array(10_000))
        await stream.end()
      })()
      await settles(() => sent)
      assert.ok(sent <= maxUnread, `${sent} messages were sent that nobody read, more than ${maxUnread}`)
      read()
      await sending
      await collect(stream.messages)
      assert.equal(count, maxUnread * 4)
    },
  },
  {
    name: 'back-pressure: a stream that nobody reads does not hold calls',
    async run({ client, start, maxUnread }) {
      const { node } = await start(
        dispatcher({
          'Stream.Flood': async (_, stream) => {
            for (let i = 0; i < maxUnread * 4; i++) await stream.send(new Uint8Array(10_000))
          },
          'Say.Hello': echo,
        }),
      )
      await using stream = await client.stream(node, request('Stream.Flood'))
      await pause(20)
      assert.equal(text((await client.call(node, request('Say.Hello', 'on'))).body), 'on')
      assert.ok(stream)
    },
  },
  {
    name: 'an error of a stream comes after what was sent before it',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({
          'Stream.Fail': async (_, stream) => {
            for (let i = 0; i < 5; i++) await stream.send(bytes(String(i)))
            throw new ServiceError('forbidden', 'no more for you')
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Fail'))
      const got: string[] = []
      await assert.rejects(async () => {
        for await (const each of stream.messages) got.push(text(each))
      }, code('forbidden'))
      assert.deepEqual(got, ['0', '1', '2', '3', '4'])
      await assert.rejects(stream.send(bytes('late')), code('forbidden'))
    },
  },
  {
    name: 'cancel: leaving a stream early tells the handler',
    async run({ client, start }) {
      let reason: unknown
      let failure: unknown
      const { node } = await start(
        dispatcher({
          'Stream.Forever': async ({ signal }, stream) => {
            void aborted(signal).then((each) => (reason = each))
            try {
              for (;;) await stream.send(bytes('more'))
            } catch (error) {
              failure = error
            }
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Forever'))
      for await (const _ of stream.messages) break
      await until('the handler is told', () => reason && failure)
      assert.ok(reason instanceof ServiceError && reason.code === 'canceled', String(reason))
    },
  },
  {
    name: 'cancel: disposing a stream, or aborting its signal, tells the handler',
    async run({ client, start }) {
      let canceled = 0
      const { node } = await start(
        dispatcher({
          'Stream.Wait': async ({ signal }, stream) => {
            void aborted(signal).then(() => canceled++)
            for await (const _ of stream.messages);
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Wait'))
      await stream.send(bytes('a'))
      await stream[Symbol.asyncDispose]()
      await stream[Symbol.asyncDispose]()
      await until('the handler is told', () => canceled === 1)
      const controller = new AbortController()
      const second = await client.stream(node, request('Stream.Wait'), { signal: controller.signal })
      const reading = assert.rejects(collect(second.messages), /given up/)
      await second.send(bytes('a'))
      controller.abort(new Error('given up'))
      await reading
      await assert.rejects(second.send(bytes('late')), /given up/)
      await until('the handler is told', () => canceled === 2)
    },
  },
  {
    name: 'timeout: a stream ends at its deadline at both ends',
    async run({ client, start }) {
      let reason: unknown
      const { node } = await start(
        dispatcher({
          'Stream.Wait': async ({ signal }) => {
            reason = await aborted(signal)
          },
        }),
      )
      const stream = await client.stream(node, request('Stream.Wait', '', { timeoutMs: 40 }))
      await assert.rejects(collect(stream.messages), code('timeout'))
      await until('the handler is told', () => reason)
    },
  },
  {
    name: 'a connection that is lost fails what is under way with unavailable, at once, and the next call connects again',
    async run({ client, start }) {
      let running = 0
      let gone = 0
      const { node, cut } = await start(
        dispatcher({
          'Say.Wait': async ({ signal }) => {
            running++
            await aborted(signal)
            gone++
            return bytes('')
          },
          'Stream.Wait': async ({ signal }) => {
            running++
            await aborted(signal)
            gone++
          },
          'Say.Hello': echo,
        }),
      )
      const calls = [1, 2, 3].map(() =>
        assert.rejects(client.call(node, request('Say.Wait')), code('unavailable')),
      )
      const stream = await client.stream(node, request('Stream.Wait'))
      const reading = assert.rejects(collect(stream.messages), code('unavailable'))
      await until('all are under way', () => running === 4)
      const before = Date.now()
      cut()
      await Promise.all([...calls, reading])
      assert.ok(Date.now() - before < 1000, 'it took longer than a second')
      await until('the handlers are told', () => gone === 4)
      assert.equal(text((await client.call(node, request('Say.Hello', 'again'))).body), 'again')
    },
  },
  {
    name: 'where nobody serves is unavailable, for every call at the same time',
    async run({ client, nobody }) {
      await Promise.all(
        Array.from({ length: 5 }, () =>
          assert.rejects(client.call(nobody, request('Say.Hello')), code('unavailable')),
        ),
      )
      await assert.rejects(
        client.stream(nobody, request('Stream.Hello')).then((stream) => collect(stream.messages)),
        code('unavailable'),
      )
    },
  },
  {
    name: 'stop lets calls and streams end and refuses new ones',
    async run({ client, start }) {
      let end: () => void = () => undefined
      let running = 0
      const ended = new Promise<void>((resolve) => (end = resolve))
      const { node, server } = await start(
        dispatcher({
          'Say.Wait': async (_, body) => {
            running++
            await ended
            return body
          },
          'Stream.Wait': async (_, stream) => {
            running++
            await ended
            await stream.send(bytes('last'))
          },
        }),
      )
      const call = client.call(node, request('Say.Wait', 'done'))
      const stream = await client.stream(node, request('Stream.Wait'))
      const reading = collect(stream.messages)
      await until('both are under way', () => running === 2)
      const stopped = server.stop({ graceMs: 10_000 })
      assert.ok(await stillPending(stopped), 'stop waits')
      await assert.rejects(client.call(node, request('Say.Wait')), code('unavailable'))
      end()
      assert.equal(text((await call).body), 'done')
      assert.deepEqual(await reading, ['last'])
      const before = Date.now()
      await stopped
      assert.ok(Date.now() - before < 5000, 'stop waits for nobody')
      await assert.rejects(client.call(node, request('Say.Wait')), code('unavailable'))
    },
  },
  {
    name: 'stop aborts what has not ended within its grace',
    async run({ client, start }) {
      const reasons: unknown[] = []
      let running = 0
      const wait = async ({ signal }: ServerRequest): Promise<void> => {
        running++
        reasons.push(await aborted(signal))
      }
      const { node, server } = await start(
        dispatcher({
          'Say.Wait': async (each) => {
            await wait(each)
            return bytes('')
          },
          'Say.Deaf': () => {
            running++
            return new Promise(() => undefined)
          },
          'Stream.Wait': wait,
        }),
      )
      const calls = ['Say.Wait', 'Say.Deaf'].map((each) =>
        assert.rejects(client.call(node, request(each)), code('unavailable')),
      )
      const stream = await client.stream(node, request('Stream.Wait'))
      calls.push(assert.rejects(collect(stream.messages), code('unavailable')))
      await until('all are under way', () => running === 3)
      const before = Date.now()
      await server.stop({ graceMs: 50 })
      const took = Date.now() - before
      assert.ok(took >= 45 && took < 3000, `stop took ${took} ms`)
      await Promise.all(calls)
      await until('the handlers are told', () => reasons.length === 2)
    },
  },
  {
    name: 'stop without calls is quick; start after it is closed',
    async run({ client, start }) {
      const { node, server } = await start(dispatcher({ 'Say.Hello': echo }))
      await client.call(node, request('Say.Hello'))
      const before = Date.now()
      await Promise.all([server.stop(), server.stop()])
      assert.ok(Date.now() - before < 2000)
      await assert.rejects(
        server.start({
          dispatcher: dispatcher({}),
          listen: () => Promise.reject(new Error('not to be called')),
          listenBytes: () => Promise.reject(new Error('not to be called')),
        }),
        code('closed'),
      )
    },
  },
  {
    name: 'a server that is disposed ends what is under way',
    async run({ client, start }) {
      let running = false
      const { node, server } = await start(
        dispatcher({
          'Say.Deaf': () => {
            running = true
            return new Promise(() => undefined)
          },
        }),
      )
      const call = assert.rejects(client.call(node, request('Say.Deaf')), code('unavailable'))
      await until('it is under way', () => running)
      await Promise.all([server[Symbol.asyncDispose](), server[Symbol.asyncDispose]()])
      await call
    },
  },
  {
    name: 'a client that is disposed fails what is under way with closed, and everything after it',
    async run({ client, start }) {
      let gone = 0
      let running = 0
      const { node } = await start(
        dispatcher({
          'Say.Wait': async ({ signal }) => {
            running++
            await aborted(signal)
            gone++
            return bytes('')
          },
          'Stream.Wait': async ({ signal }) => {
            running++
            await aborted(signal)
            gone++
          },
        }),
      )
      const call = assert.rejects(client.call(node, request('Say.Wait')), code('closed'))
      const stream = await client.stream(node, request('Stream.Wait'))
      const reading = assert.rejects(collect(stream.messages), code('closed'))
      await until('both are under way', () => running === 2)
      const dialling = assert.rejects(
        client.call({ ...node, address: `${node.address}` }, request('Say.Wait')),
        code('closed'),
      )
      await Promise.all([client[Symbol.asyncDispose](), client[Symbol.asyncDispose]()])
      await Promise.all([call, reading, dialling])
      await until('the handlers are told', () => gone >= 2)
      await assert.rejects(client.call(node, request('Say.Wait')), code('closed'))
      await assert.rejects(client.stream(node, request('Stream.Wait')), code('closed'))
      await client[Symbol.asyncDispose]()
    },
  },
  {
    name: 'disposing a client or a server that was never used is no work',
    async run({ client }) {
      await client[Symbol.asyncDispose]()
    },
  },
  {
    name: "the caller's request and body are as they were",
    async run({ client, start }) {
      const { node } = await start(dispatcher({ 'Say.Hello': echo }))
      const body = bytes('unchanged')
      const metadata = Object.freeze({ a: '1' })
      await client.call(
        Object.freeze(node),
        Object.freeze(request('Say.Hello', body, { metadata })),
        Object.freeze({}),
      )
      assert.equal(text(body), 'unchanged')
    },
  },
  {
    name: 'a call whose reply cannot be sent is an error at the caller, at once',
    async run({ client, start }) {
      const { node } = await start(
        dispatcher({
          'Say.Bad': async () => ({ metadata: { 'NOT A NAME': '\n' }, contentType: 'x', body: bytes('') }),
          'Say.Hello': echo,
        }),
      )
      await assert.rejects(client.call(node, request('Say.Bad')), code('internal'))
      assert.equal(text((await client.call(node, request('Say.Hello', 'on'))).body), 'on')
    },
  },
]

function panic(): never {
  // eslint-disable-next-line no-throw-literal -- that is what is tested
  throw 'text'
}

/** Waits until `value` has not changed for a while. */
async function settles(value: () => number): Promise<void> {
  let last = -1
  let since = Date.now()
  while (Date.now() - since < 150) {
    if (value() !== last) {
      last = value()
      since = Date.now()
    }
    await pause(10)
  }
}
