import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Client, Dispatcher, Node, Server } from '@micrograft/contracts'
import { grpcClient, grpcServer, type GrpcClientOptions, type GrpcServerOptions } from '@micrograft/grpc'
import { FaultyLink } from '@micrograft/test-support'
import { componentContext, pause, until } from '@micrograft/testing'
import { dispatcherOf, TestDoor } from './support/grpc-subject.js'
import { frame, rawSession } from './support/raw-call.js'

const disposables: (() => unknown)[] = []
after(async () => {
  for (const each of disposables.reverse()) await each()
})

function client(options: GrpcClientOptions = {}): Client {
  const made = grpcClient(options, componentContext())
  disposables.push(() => made[Symbol.asyncDispose]())
  return made
}

async function serve(
  dispatcher: Dispatcher,
  options: GrpcServerOptions = {},
): Promise<{ readonly server: Server; readonly node: Node }> {
  const server = grpcServer(options, componentContext())
  disposables.push(() => server[Symbol.asyncDispose]())
  const { address } = await server.start(new TestDoor().context(dispatcher))
  return { server, node: { id: 'a', address, metadata: {} } }
}

const request = {
  service: 'echo',
  endpoint: 'Say.Echo',
  contentType: 'application/octet-stream',
  metadata: {},
  timeoutMs: 5000,
}

test('what a server sent before its end is read whole, also where something is sent to it after that', async () => {
  const { node } = await serve(
    dispatcherOf(
      {},
      {
        'Say.Echo': async (_, stream) => {
          for (let i = 0; i < 10; i++) await stream.send(Buffer.alloc(20_000, i))
        },
      },
    ),
  )
  await using stream = await client().stream(node, request)
  let refused: unknown
  await until('the end is felt by who sends', async () => {
    await stream.send(Buffer.from('more')).catch((error: unknown) => (refused = error))
    return refused
  })
  assert.equal((refused as { code?: string }).code, 'closed')
  assert.equal((refused as Error).name, 'ServiceError')
  const got: number[] = []
  for await (const each of stream.messages) got.push(each[0] as number)
  assert.deepEqual(got, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('a handler whose caller reads nothing is told of the deadline while it sends', async () => {
  let failure: unknown
  const { node } = await serve(
    dispatcherOf(
      {},
      {
        'Say.Echo': async (_, stream) => {
          try {
            for (;;) await stream.send(Buffer.alloc(100_000))
          } catch (error) {
            failure = error
          }
        },
      },
    ),
  )
  const session = rawSession(node.address)
  disposables.push(() => session.destroy())
  const stream = session.request({
    ':method': 'POST',
    ':path': '/echo.Say/Echo',
    'content-type': 'application/grpc',
    'grpc-timeout': '100m',
  })
  stream.on('error', () => undefined)
  stream.pause()
  await until('the handler is told', () => failure)
  assert.equal((failure as { code?: string }).code, 'timeout')
})

/** A server whose only call ends when it is told to. */
async function slow(options: GrpcServerOptions = {}) {
  const call: { release?: () => void; reason?: unknown } = {}
  const dispatcher = dispatcherOf({
    'Say.Echo': async ({ signal }, body) => {
      signal.addEventListener('abort', () => (call.reason = signal.reason))
      await new Promise<void>((resolve) => (call.release = resolve))
      return body
    },
  })
  return { ...(await serve(dispatcher, options)), call }
}

test('a call that is silent for long ends well on a server that stops', async () => {
  const { node, server, call } = await slow({ pingIntervalMs: 20, pingTimeoutMs: 20 })
  const reply = client().call(node, { ...request, body: Buffer.from('x') })
  await until('it is under way', () => call.release)
  const stopped = server.stop({ graceMs: 5000 })
  await Promise.race([reply, pause(200)])
  call.release?.()
  assert.equal(Buffer.from((await reply).body).toString(), 'x')
  await stopped
})

async function linkTo({ address }: Node) {
  const link = await FaultyLink.to(Number(address.split(':')[1]))
  disposables.push(() => link[Symbol.asyncDispose]())
  return link
}

test('a client that stands still after its goodbye is noticed, and one that does not keeps its call', async () => {
  const { node, call } = await slow({ pingIntervalMs: 50, pingTimeoutMs: 50 })
  const link = await linkTo(node)
  const session = rawSession(`127.0.0.1:${link.port}`)
  disposables.push(() => session.destroy())
  const headers = { ':method': 'POST', ':path': '/echo.Say/Echo', 'content-type': 'application/grpc' }
  session
    .request(headers)
    .on('error', () => undefined)
    .end(frame('x'))
  await until('it is under way', () => call.release)
  session.goaway(0)
  await pause(200)
  assert.equal(call.reason, undefined)
  link.delayMs = 1500
  await until('its call is aborted', () => call.reason)
})

test('a server that stands still after its goodbye is noticed', async () => {
  const { node, server, call } = await slow()
  const link = await linkTo(node)
  const one = client({ pingIntervalMs: 50, pingTimeoutMs: 50 })
  const there = { ...node, address: `127.0.0.1:${link.port}` }
  const reply = one.call(there, { ...request, timeoutMs: 60_000, body: Buffer.from('x') })
  const failed = assert.rejects(reply, { code: 'unavailable', message: /sign of life/ })
  await until('it is under way', () => call.release)
  void server.stop({ graceMs: 60_000 })
  await pause(200)
  link.delayMs = 1500
  await failed
})

test('a server that stops loses no call of those who have come to its door', async () => {
  const { node, server } = await serve(dispatcherOf({ 'Say.Echo': async (_, body) => body }))
  const calls = Array.from({ length: 20 }, () => client().call(node, { ...request, body: Buffer.from('x') }))
  const replies = Promise.all(calls)
  // They are on their way.
  await new Promise((resolve) => setImmediate(resolve))
  await server.stop({ graceMs: 5000 })
  assert.deepEqual(
    (await replies).map(({ body }) => Buffer.from(body).toString()),
    calls.map(() => 'x'),
  )
})
