import assert from 'node:assert/strict'
import {
  constants,
  createServer as createHttp2,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Client, ErrorCode, Node } from '@micrograft/contracts'
import { grpcClient, grpcServer, type GrpcClientOptions } from '@micrograft/grpc'
import { FaultyLink } from '@micrograft/test-support'
import { componentContext, pause, until } from '@micrograft/testing'
import { dispatcherOf, TestDoor } from './support/grpc-subject.js'
import { frame } from './support/raw-call.js'

const disposables: (() => unknown)[] = []
after(async () => {
  for (const each of disposables.reverse()) await each()
})

function client(options: GrpcClientOptions = {}): Client {
  const made = grpcClient(options, componentContext())
  disposables.push(() => made[Symbol.asyncDispose]())
  return made
}

async function listening(server: Server): Promise<Node> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  disposables.push(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return { id: address, address, metadata: {} }
}

function collector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

type Answer = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void

/** A server that speaks HTTP/2 and answers as `answer` does. */
function bare(answer: Answer): Promise<Node> {
  const server = createHttp2()
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => undefined)
    stream.resume()
    answer(stream, headers)
  })
  server.on('sessionError', () => undefined)
  return listening(server as unknown as Server)
}

const request = (timeoutMs = 3000) => ({
  service: 'echo',
  endpoint: 'Say.Hello',
  contentType: 'application/octet-stream',
  metadata: {},
  timeoutMs,
  body: Buffer.from('x'),
})

const grpc = { ':status': 200, 'content-type': 'application/grpc' }

/** Headers, then `body`, then trailers. */
const reply =
  (body: Buffer, trailers: object = { 'grpc-status': '0' }, headers: object = grpc): Answer =>
  (stream) => {
    stream.respond(headers as never, { waitForTrailers: true })
    stream.once('wantTrailers', () => stream.sendTrailers(trailers as never))
    stream.end(body)
  }

test('answers that are none become errors, and the connection goes on', async () => {
  let answer: Answer = reply(frame('on'))
  const node = await bare((stream, headers) => answer(stream, headers))
  const one = client({ maxMessageBytes: 1000 })
  const ended =
    (headers: object): Answer =>
    (stream) =>
      stream.respond(headers as never, { endStream: true })
  const cases: [string, Answer, ErrorCode][] = [
    ['no status', reply(frame('x'), { 'x-other': '1' }), 'protocol'],
    ['a status that is none', reply(frame('x'), { 'grpc-status': 'fine' }), 'protocol'],
    ['no reply', reply(Buffer.alloc(0)), 'protocol'],
    ['two replies', reply(Buffer.concat([frame('a'), frame('b')])), 'protocol'],
    ['half a reply', reply(frame('x', 0, 100)), 'protocol'],
    ['a flag that is none', reply(frame('x', 7)), 'protocol'],
    ['compression that was not named', reply(frame('x', 1)), 'protocol'],
    ['a length above the limit', reply(frame('x', 0, 4_000_000_000)), 'too-large'],
    ['a reply above the limit', reply(frame(Buffer.alloc(1001))), 'too-large'],
    ['a page', reply(Buffer.from('<html>'), {}, { ':status': 200, 'content-type': 'text/html' }), 'protocol'],
    ['HTTP 503', ended({ ':status': 503 }), 'unavailable'],
    ['HTTP 404', ended({ ':status': 404 }), 'not-found'],
    ['HTTP 401', ended({ ':status': 401, 'content-type': 'text/plain' }), 'unauthenticated'],
    [
      'metadata that is none',
      reply(frame('x'), { 'grpc-status': '0', 'x-long': 'y'.repeat(9000) }),
      'protocol',
    ],
    ['a reset', (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR), 'internal'],
    ['a refusal', (stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM), 'unavailable'],
    ['a cancel', (stream) => stream.close(constants.NGHTTP2_CANCEL), 'canceled'],
    ['calm', (stream) => stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM), 'overloaded'],
    ['a status without details', ended({ ...grpc, 'grpc-status': '7', 'grpc-message': 'no' }), 'forbidden'],
  ]
  for (const [name, wrong, code] of cases) {
    answer = wrong
    await assert.rejects(one.call(node, request()), { name: 'ServiceError', code }, name)
    const { body: _, ...open } = request()
    await using stream = await one.stream(node, open)
    const read = async () => {
      for await (const each of stream.messages) assert.ok(each)
    }
    if (!['no reply', 'two replies'].includes(name))
      await assert.rejects(read(), { code }, `${name}, streamed`)
    answer = reply(frame('on'))
    assert.equal(Buffer.from((await one.call(node, request())).body).toString(), 'on', name)
  }
})

test('what is no HTTP/2 server is an error in time', async () => {
  const one = client({ dialTimeoutMs: 100 })
  const silent = await listening(createServer())
  await assert.rejects(one.call(silent, request()), { code: 'unavailable', message: /within 100 ms/ })
  const old = await listening(createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')))
  await assert.rejects(one.call(old, request()), { code: 'protocol' })
  const shut = await listening(createServer((socket) => socket.destroy()))
  await assert.rejects(one.call(shut, request()), { code: 'unavailable' })
  for (const address of ['nonsense', '127.0.0.1:99999', '', ':80'])
    await assert.rejects(one.call({ ...silent, address }, request()), { code: 'bad-request' }, address)
})

test('a server that goes away by a frame is left, and dialled again', async () => {
  let sessions = 0
  const server = createHttp2()
  server.on('session', (session) => {
    const number = ++sessions
    session.on('stream', (stream) => {
      if (number === 1) session.goaway(constants.NGHTTP2_INTERNAL_ERROR)
      else reply(frame('on'))(stream, {})
    })
  })
  const node = await listening(server as unknown as Server)
  const one = client()
  await assert.rejects(one.call(node, request()), { code: 'unavailable' })
  assert.equal(Buffer.from((await one.call(node, request())).body).toString(), 'on')
  assert.equal(sessions, 2)
})

test('a server that stands still is noticed by a ping, or by the deadline, and holds up no dispose', async () => {
  const server = grpcServer({}, componentContext())
  disposables.push(() => server[Symbol.asyncDispose]())
  const { address } = await server.start(
    new TestDoor().context(dispatcherOf({ 'Say.Hello': () => new Promise(() => undefined) })),
  )
  const link = await FaultyLink.to(Number(address.split(':')[1]))
  disposables.push(() => link[Symbol.asyncDispose]())
  const node = { id: 'link', address: `127.0.0.1:${link.port}`, metadata: {} }
  const one = client({ pingIntervalMs: 20, pingTimeoutMs: 40 })
  const alive = assert.rejects(one.call(node, request(300)), { code: 'timeout' })
  await alive
  const waiting = assert.rejects(one.call(node, request(10_000)), {
    code: 'unavailable',
    message: /sign of life/,
  })
  await until('it is connected', () => link.connections > 0)
  link.delayMs = 1500
  await waiting
  const still = client()
  const begun = Date.now()
  const { body: _, ...open } = request()
  link.delayMs = 0
  const stream = await still.stream(node, open)
  link.delayMs = 1500
  void stream.send(Buffer.alloc(1_000_000)).catch(() => undefined)
  await still[Symbol.asyncDispose]()
  assert.ok(Date.now() - begun < 1000)
})

test('metadata above what headers can hold is refused before it costs the connection', async () => {
  const server = grpcServer({}, componentContext())
  disposables.push(() => server[Symbol.asyncDispose]())
  const door = new TestDoor()
  const large = (count: number, value: string) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, value]))
  const { address } = await server.start(
    door.context(
      dispatcherOf({
        'Say.Hello': async ({ contentType, metadata }, body) => ({ contentType, metadata, body }),
        'Say.Large': async ({ contentType }, body) => ({
          contentType,
          metadata: large(64, 'x'.repeat(8192)),
          body,
        }),
      }),
    ),
  )
  const node = { id: 'a', address, metadata: {} }
  const one = client()
  await one.call(node, request())
  const [connection] = door.sockets
  for (const value of ['x'.repeat(8192), '✓'.repeat(2730), ' '.repeat(6000), '~'.repeat(8192)]) {
    const metadata = large(15, value)
    const reply = await one.call(node, { ...request(), metadata })
    assert.deepEqual(reply.metadata, metadata)
    const tooLarge = { ...request(), metadata: large(64, value) }
    await assert.rejects(one.call(node, tooLarge), { code: 'too-large' })
  }
  await assert.rejects(one.call(node, { ...request(), endpoint: 'Say.Large' }), { code: 'internal' })
  assert.deepEqual([...door.sockets], [connection])
  const strict = createHttp2({ settings: { maxHeaderListSize: 4000 } })
  strict.on('stream', reply(frame('on')))
  const other = await listening(strict as unknown as Server)
  await assert.rejects(one.call(other, { ...request(), metadata: large(1, 'x'.repeat(5000)) }), {
    code: 'too-large',
  })
  assert.equal(Buffer.from((await one.call(other, request())).body).toString(), 'on')
})

test('connections are closed when idle, and as many as asked for are opened', async () => {
  const server = grpcServer({}, componentContext())
  disposables.push(() => server[Symbol.asyncDispose]())
  const door = new TestDoor()
  const { address } = await server.start(door.context(dispatcherOf({ 'Say.Hello': async (_, body) => body })))
  const node = { id: 'a', address, metadata: {} }
  const many = client({ connections: 3 })
  for (let i = 0; i < 9; i++) await many.call(node, request())
  assert.equal(door.sockets.size, 3)
  await many[Symbol.asyncDispose]()
  const one = client({ connections: 2, idleMs: 40 })
  await one.call(node, request())
  await until('the idle ones are closed', () => door.sockets.size === 0)
  assert.equal(Buffer.from((await one.call(node, request())).body).toString(), 'x')
})

test('calls above what a server takes at a time wait in order, and cost nothing once they are given up', async () => {
  const gc = collector()
  const open: ServerHttp2Stream[] = []
  const server = createHttp2({ settings: { maxConcurrentStreams: 2 } })
  const came: string[] = []
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => undefined)
    stream.resume()
    came.push(headers['x-name'] as string)
    open.push(stream)
  })
  const node = await listening(server as unknown as Server)
  const one = client()
  const call = (name: string, timeoutMs = 10_000, bytes = 1) =>
    one.call(node, { ...request(timeoutMs), metadata: { 'x-name': name }, body: Buffer.alloc(bytes) })
  const first = [call('a'), call('b')]
  await until('the server has all that it takes', () => came.length === 2)
  gc()
  const before = process.memoryUsage().external
  for (let i = 0; i < 10; i++) {
    const late = Array.from({ length: 20 }, () =>
      assert.rejects(call('late', 20, 100_000), { code: 'timeout' }),
    )
    await Promise.all(late)
  }
  await until('the memory of 200 calls that were given up is free', () => {
    gc()
    return process.memoryUsage().external - before < 5_000_000
  })
  const next = [call('c'), call('d'), call('e')]
  for (let i = 0; i < 5; i++) {
    await until('one is there', () => open.length > i)
    reply(frame('on'))(open[i] as ServerHttp2Stream, {})
  }
  await Promise.all([...first, ...next])
  assert.deepEqual(came, ['a', 'b', 'c', 'd', 'e'])
  const under = Promise.all([assert.rejects(call('f')), assert.rejects(call('g'))])
  const waiting = assert.rejects(call('h'), { code: 'unavailable' })
  await until('the server has all that it takes', () => came.length === 7)
  for (const each of open) each.session?.destroy()
  await Promise.all([under, waiting])
})

test('requests that are given up before they were sent cost the connection nothing', async () => {
  const server = createHttp2({ settings: { initialWindowSize: 1000 } })
  let sessions = 0
  server.on('session', () => sessions++)
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => undefined)
    if (headers['x-deaf'] === undefined) reply(frame('on'))(stream.resume(), headers)
  })
  const node = await listening(server as unknown as Server)
  const one = client()
  for (let i = 0; i < 20; i++) {
    const deaf = { ...request(20), metadata: { 'x-deaf': '1' }, body: Buffer.alloc(1_000_000) }
    await assert.rejects(one.call(node, deaf), { code: 'timeout' })
  }
  assert.equal(Buffer.from((await one.call(node, request())).body).toString(), 'on')
  assert.equal(sessions, 1)
})

test('resets under load lose no call that is tried again, and delays none', async () => {
  const server = grpcServer({}, componentContext())
  disposables.push(() => server[Symbol.asyncDispose]())
  const { address } = await server.start(
    new TestDoor().context(dispatcherOf({ 'Say.Hello': async (_, body) => body })),
  )
  const link = await FaultyLink.to(Number(address.split(':')[1]))
  disposables.push(() => link[Symbol.asyncDispose]())
  const node = { id: 'link', address: `127.0.0.1:${link.port}`, metadata: {} }
  const one = client()
  const load = { over: false }
  let answered = 0
  let failed = 0
  const callers = Array.from({ length: 8 }, async () => {
    while (!load.over) {
      try {
        await one.call(node, request())
        answered++
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'unavailable')
        failed++
      }
    }
  })
  for (let i = 0; i < 5; i++) {
    const before = answered
    await until('calls are answered', () => answered > before + 20)
    link.reset()
  }
  link.delayMs = 5
  await pause(50)
  link.delayMs = 0
  load.over = true
  await Promise.all(callers)
  assert.ok(failed > 0 && failed <= 8 * 5 * 2, `${failed} calls failed`)
})

test('options that are none are refused', () => {
  const context = componentContext()
  assert.throws(() => grpcClient({ connections: 0 }, context), {
    code: 'invalid-option',
    message: /connections/,
  })
  assert.throws(() => grpcClient({ window: 1 } as object, context), {
    code: 'invalid-option',
    message: /windowBytes/,
  })
  assert.throws(() => grpcServer({ maxCalls: 1.5 }, context), { code: 'invalid-option', message: /maxCalls/ })
  assert.throws(() => grpcServer({ port: 1 } as object, context), { code: 'invalid-option' })
  const ofClient = [{ dialTimeoutMs: 3_000_000_000 }, { secure: 'false' }, { cert: 'x' }, { key: 'x' }]
  const ofServer = [{ helloTimeoutMs: 3_000_000_000 }, { health: 'no' }, { reflection: 0 }]
  for (const options of ofClient) {
    const message = new RegExp(Object.keys(options)[0] as string)
    assert.throws(() => grpcClient(options as object, context), { code: 'invalid-option', message })
  }
  for (const options of ofServer) {
    const message = new RegExp(Object.keys(options)[0] as string)
    assert.throws(() => grpcServer(options as object, context), { code: 'invalid-option', message })
  }
})
