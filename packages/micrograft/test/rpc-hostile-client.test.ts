import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { ServiceError, type Dispatcher, type Server } from '@micrograft/contracts'
import { componentContext, until } from '@micrograft/testing'
import { FrameType } from '../dist/rpc/frame.js'
import * as write from './support/frames.js'
import { rpcServer, type RpcServerOptions } from '../dist/rpc/rpc-server.js'
import { tcpTransport } from '../dist/transport/tcp-transport.js'
import { RawPeer } from './support/raw-peer.js'
import { RpcSubject } from './support/rpc-subject.js'

const helloOf = (maxFrameBytes: number) =>
  write.helloFrame({
    lowest: 1,
    highest: 1,
    maxFrameBytes,
    maxCalls: 0,
    maxTargets: 0,
    windowBytes: 100_000,
    windowMessages: 10,
  })
const hello = helloOf(1_000_000)
const target = (endpoint: string) => ({
  target: { service: 'echo', endpoint, contentType: 'application/json' },
  reference: 0,
})
const call = (slot: number, endpoint = 'Say.Hello', body: Uint8Array = Buffer.from('{}')) =>
  write.callFrame(FrameType.call, slot, 0, target(endpoint), {}, body)

/** A call whose metadata and body are `bytes`. */
const withMetadata = (bytes: readonly number[]) =>
  Buffer.concat([call(0).subarray(0, -3), Buffer.from(bytes)])

interface Served extends AsyncDisposable {
  readonly address: string
  readonly state: { running: number; ended: number; aborted: number; read: number }
  readonly server: Server
  /** A well-behaved call by another client succeeds. */
  works(): Promise<void>
}

async function serve(server?: RpcServerOptions): Promise<Served> {
  const state = { running: 0, ended: 0, aborted: 0, read: 0 }
  const dispatcher: Dispatcher = {
    kind: (endpoint) => (endpoint.startsWith('Stream.') ? 'stream' : 'unary'),
    async unary({ endpoint, signal, contentType }, body) {
      state.running++
      signal.addEventListener('abort', () => state.aborted++)
      if (endpoint === 'Say.LargeLater') await new Promise((resolve) => setTimeout(resolve, 20))
      if (endpoint === 'Say.Never') await new Promise(() => undefined)
      if (endpoint === 'Say.Wrong') throw new ServiceError('bad-request', 'ü'.repeat(2000))
      state.ended++
      return {
        metadata: {},
        contentType,
        body: endpoint.startsWith('Say.Large') ? Buffer.alloc(500_000) : body,
      }
    },
    async stream({ endpoint, signal }, stream) {
      state.running++
      signal.addEventListener('abort', () => state.aborted++)
      if (endpoint === 'Stream.Wrong') throw new ServiceError('bad-request', 'x'.repeat(2000))
      if (endpoint === 'Stream.Unread')
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      else for await (const _ of stream.messages) state.read++
      return {}
    },
  }
  const subject = new RpcSubject(tcpTransport(undefined, componentContext()), '', '127.0.0.1:1', { server })
  const served = await subject.start(dispatcher)
  const { node } = served
  return {
    server: served.server,
    address: node.address,
    state,
    async works() {
      const request = {
        service: 'echo',
        endpoint: 'Say.Hello',
        contentType: 'x',
        metadata: {},
        timeoutMs: 5000,
      }
      const reply = await subject.client.call(node, { ...request, body: Buffer.from('on') })
      assert.equal(reply.body.toString(), 'on')
    },
    [Symbol.asyncDispose]: () => subject[Symbol.asyncDispose](),
  }
}

/** Sends `frames` after a hello, and holds that the connection ends, told why, and that others go on. */
async function refused(frames: readonly Buffer[], reason: RegExp, options?: RpcServerOptions): Promise<void> {
  await using served = await serve(options)
  using peer = await RawPeer.dial(served.address)
  peer.send(hello, ...frames)
  await until('the peer is told', () => peer.ofType(FrameType.goAway).length === 1)
  assert.match(peer.ofType(FrameType.goAway)[0]?.toString() ?? '', reason)
  await until('the connection ends', () => peer.closed)
  await served.works()
}

const cases: readonly [string, readonly Buffer[], RegExp][] = [
  ['a frame of an unknown type', [Buffer.from([0x7f, 1, 2])], /type 127/],
  ['an empty frame', [Buffer.alloc(0)], /too early/],
  ['a frame that ends too early', [call(0).subarray(0, 6)], /too early/],
  ['a second hello', [hello], /second hello/],
  ['a slot that is open already', [call(1, 'Say.Never'), call(1)], /another is open/],
  ['a slot above the limit', [call(10_000)], /slot 10000/],
  [
    'a target that was not sent',
    [write.callFrame(FrameType.call, 0, 0, { ...target('x'), reference: 9 }, {}, hello)],
    /target 9/,
  ],
  ['data for a call', [call(1, 'Say.Never'), write.dataFrame(1, hello)], /for a call/],
  [
    'data after the end',
    [write.openFrame(1, 0, target('Stream.Unread'), {}), write.endFrame(1), write.dataFrame(1, hello)],
    /after its end/,
  ],
  ['a server frame', [write.replyFrame(0, '', {}, hello)], /type 17/],
  [
    'a window that is too large',
    [
      write.openFrame(1, 0, target('Stream.Unread'), {}),
      write.windowFrame(1, 0x7fff_ffff, 1),
      write.windowFrame(1, 0x7fff_ffff, 1),
    ],
    /window is too large/,
  ],
  ['metadata that ends after its frame', [withMetadata([1, 1, 97, 100, 120])], /too early/],
  ['metadata with too many entries', [withMetadata([65])], /65 entries/],
  ['metadata with a line end', [withMetadata([1, 1, 97, 1, 10])], /metadata a is none/],
  [
    'metadata with a name that is none',
    [Buffer.concat([call(0).subarray(0, -3), Buffer.from([1, 1, 65, 0])])],
    /metadata name/,
  ],
]

for (const [what, frames, reason] of cases) {
  test(`${what} ends one connection with a reason`, () => refused(frames, reason))
}

test('a stream that sends more than its window ends one connection', async () => {
  const flood = Array.from({ length: 20 }, () => write.dataFrame(1, Buffer.alloc(100)))
  const frames = [write.openFrame(1, 0, target('Stream.Unread'), {}), ...flood]
  await refused(frames, /more than its window/, { windowMessages: 10 })
  await refused(frames, /more than its window/, { windowBytes: 500 })
})

test('a frame above the limit ends one connection', async () => {
  const options = { maxFrameBytes: 1000 }
  await refused([call(0, 'Say.Hello', Buffer.alloc(1000))], /a frame of \d+ bytes/, options)
  const open = write.openFrame(0, 0, target('Stream.Read'), {})
  await refused([open, write.dataFrame(0, Buffer.alloc(1000))], /a frame of 1002 bytes/, options)
})

test('more targets than are remembered end one connection', async () => {
  const frames = ['A.a', 'B.b', 'C.c'].map((endpoint, slot) =>
    write.callFrame(FrameType.call, slot, 0, { ...target(endpoint), reference: 1 }, {}, hello),
  )
  await refused(frames, /more than 2 targets/, { maxTargets: 2 })
})

test('a hello with another version is answered with the versions there are', async () => {
  await using served = await serve()
  using peer = await RawPeer.dial(served.address)
  peer.send(
    write.helloFrame({
      lowest: 2,
      highest: 3,
      maxFrameBytes: 1,
      maxCalls: 1,
      maxTargets: 1,
      windowBytes: 1,
      windowMessages: 1,
    }),
  )
  await until('the peer is told', () => peer.ofType(FrameType.goAway).length === 1)
  assert.match(peer.ofType(FrameType.goAway)[0]?.toString() ?? '', /speaks rpc 1 to 1, the client 2 to 3/)
  await until('the connection ends', () => peer.closed)
})

test('another protocol, or a call before the hello, is told so', async () => {
  await using served = await serve()
  for (const [first, reason] of [
    [Buffer.from([FrameType.hello, 1, 2, 3, 4, 5, 6, 7, 8]), /does not speak rpc/],
    [call(0), /begins with a hello/],
  ] as const) {
    using peer = await RawPeer.dial(served.address)
    peer.send(first)
    await until('the connection ends', () => peer.closed)
    assert.match(peer.ofType(FrameType.goAway)[0]?.toString() ?? '', reason)
  }
})

test('garbage and oversize messages end one connection, before anything is kept', async () => {
  await using served = await serve()
  for (const bytes of [
    Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    Buffer.from([0xff, 0xff, 0xff, 0xff]),
    Buffer.from([0, 0, 0, 0]),
    Buffer.concat([Buffer.from([0, 0, 1, 0, 0xff]), randomBytes(255)]),
  ]) {
    using peer = await RawPeer.dial(served.address)
    peer.socket.write(bytes)
    await until('the connection ends', () => peer.closed)
  }
  await served.works()
})

test('a client that says nothing is sent away in time', async () => {
  await using served = await serve({ helloTimeoutMs: 50 })
  using peer = await RawPeer.dial(served.address)
  await until('the connection ends', () => peer.closed)
  assert.match(peer.ofType(FrameType.goAway)[0]?.toString() ?? '', /no hello came/)
})

test('calls above the limit are refused one by one, also where their callers gave up', async () => {
  await using served = await serve({ maxCalls: 4 })
  using peer = await RawPeer.dial(served.address)
  peer.send(hello)
  for (let i = 0; i < 40; i++) peer.send(call(i % 4, 'Say.Never'), write.cancelFrame(i % 4, 'canceled', ''))
  await until('each is answered once', () => peer.ofType(FrameType.error).length === 40)
  assert.equal(served.state.running, 4)
  assert.equal(served.state.aborted, 4)
  assert.equal(
    peer.ofType(FrameType.error).filter((frame) => frame.includes('calls under way already')).length,
    36,
  )
  assert.equal(peer.closed, false)
})

test('streams above the limit are refused one by one', async () => {
  await using served = await serve({ maxStreams: 2 })
  using peer = await RawPeer.dial(served.address)
  peer.send(hello, ...[0, 1, 2].map((slot) => write.openFrame(slot, 0, target('Stream.Unread'), {})))
  await until('one is refused', () => peer.ofType(FrameType.error).length === 1)
  assert.match(peer.ofType(FrameType.error)[0]?.toString() ?? '', /2 streams already/)
})

test('frames that cross the last one of their slot are for nobody', async () => {
  await using served = await serve()
  using peer = await RawPeer.dial(served.address)
  peer.send(hello, call(3))
  await until('it is answered', () => peer.ofType(FrameType.reply).length === 1)
  peer.send(
    write.cancelFrame(3, 'canceled', ''),
    write.dataFrame(3, hello),
    write.windowFrame(3, 1, 1),
    write.endFrame(3),
    call(3),
  )
  await until('the slot is used again', () => peer.ofType(FrameType.reply).length === 2)
  assert.equal(peer.closed, false)
})

test('a client that never reads is not read from, and costs a bounded amount of memory', async () => {
  await using served = await serve()
  using peer = await RawPeer.dial(served.address)
  peer.socket.pause()
  const before = process.memoryUsage().arrayBuffers
  peer.send(hello)
  for (let batch = 0; batch < 50; batch++) {
    const { running } = served.state
    peer.send(...Array.from({ length: 20 }, (_, i) => call(batch * 20 + i, 'Say.Large')))
    await until('they are answered, or not read', () => served.state.running === running + 20, 100).catch(
      () => undefined,
    )
    if (served.state.running < running + 20 && batch > 20) break
  }
  await until('the server has stopped', async () => {
    const { running } = served.state
    await new Promise((resolve) => setTimeout(resolve, 50))
    return running > 0 && running === served.state.running
  })
  const held = process.memoryUsage().arrayBuffers - before
  assert.ok(served.state.running < 400, `${served.state.running} calls were answered`)
  assert.ok(held < 80_000_000, `${held} bytes are held`)
  await served.works()
  const { running } = served.state
  peer.socket.resume()
  await until('it is read from again', () => served.state.running > running)
})

test('more replies than may wait for a client that does not read end its connection', async () => {
  await using served = await serve({ maxQueuedBytes: 4_000_000 })
  using peer = await RawPeer.dial(served.address)
  peer.socket.pause()
  peer.send(
    hello,
    call(100, 'Say.Never'),
    ...Array.from({ length: 100 }, (_, slot) => call(slot, 'Say.LargeLater')),
  )
  await until('all are under way', () => served.state.running === 101)
  await until('the one without an answer is aborted', () => served.state.aborted > 0)
  await served.works()
})

test('calls that have ended do not count towards the limit', async () => {
  await using served = await serve({ maxCalls: 2 })
  for (let i = 0; i < 10; i++) await served.works()
})

test('a call that crosses go-away is still answered, and one after the grace is not', async () => {
  await using served = await serve()
  using peer = await RawPeer.dial(served.address)
  peer.send(hello, call(0, 'Say.Never'))
  await until('it is under way', () => served.state.running === 1)
  const stopped = served.server.stop({ graceMs: 300 })
  await until('the peer is told', () => peer.ofType(FrameType.goAway).length === 1)
  peer.send(call(1))
  await until('it is answered', () => peer.ofType(FrameType.reply).length === 1)
  await stopped
  await until('the connection is closed', () => peer.closed)
})

test('a call of a client that has not heard of the go-away yet is still answered', async () => {
  await using served = await serve()
  using peer = await RawPeer.dial(served.address)
  peer.send(hello, call(0))
  await until('it is answered', () => peer.ofType(FrameType.reply).length === 1)
  const stopped = served.server.stop({ graceMs: 20_000 })
  await until('it is told', () => peer.ofType(FrameType.ping).length === 1)
  // Its process was busy for longer than one that has heard may take.
  await new Promise((resolve) => setTimeout(resolve, 1000))
  peer.send(call(1))
  await until('it is answered', () => peer.ofType(FrameType.reply).length === 2)
  peer.send(write.pingFrame(FrameType.pong, 0))
  await stopped
  await until('the connection is closed', () => peer.closed)
})

test('stop does not wait long for a client that keeps an idle connection open', async () => {
  await using served = await serve()
  using peer = await RawPeer.dial(served.address)
  peer.send(hello, call(0))
  await until('it is answered', () => peer.ofType(FrameType.reply).length === 1)
  const before = performance.now()
  await served.server.stop({ graceMs: 20_000 })
  assert.ok(performance.now() - before < 5000)
})

test('a slow client gets everything, at its own speed', async () => {
  await using served = await serve()
  using peer = await RawPeer.dial(served.address)
  peer.send(hello, ...Array.from({ length: 12 }, (_, slot) => call(slot, 'Say.Large')))
  for (let i = 0; i < 20; i++) {
    peer.socket.pause()
    await new Promise((resolve) => setTimeout(resolve, 5))
    peer.socket.resume()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until('all have come', () => peer.ofType(FrameType.reply).length === 12, 20_000)
  assert.ok(peer.ofType(FrameType.reply).every((frame) => frame.length > 500_000))
  await served.works()
})

test('a client that takes no frame of any size is told of errors all the same, and harms nobody', async () => {
  await using served = await serve()
  for (const maxFrameBytes of [0, 1, 60]) {
    using peer = await RawPeer.dial(served.address)
    peer.send(
      helloOf(maxFrameBytes),
      call(0, 'Say.Large'),
      call(1, 'Say.Wrong'),
      write.callFrame(FrameType.call, 2, 1, target('Say.Never'), {}, Buffer.alloc(0)),
      call(3, 'Say.Never'),
      write.cancelFrame(3, 'canceled', 'x'.repeat(1000)),
      write.openFrame(4, 0, target('Stream.Wrong'), {}),
    )
    await until('each is answered', () => peer.ofType(FrameType.error).length === 5)
    const slots = peer.ofType(FrameType.error).map((frame) => frame[1] as number)
    assert.deepEqual(
      slots.sort((a, b) => a - b),
      [0, 1, 2, 3, 4],
    )
    if (maxFrameBytes === 60) assert.ok(peer.ofType(FrameType.error).every(({ length }) => length <= 60))
    assert.equal(peer.closed, false)
  }
  await served.works()
})

test('stop waits for a slow client to read what is answered already', async () => {
  await using served = await serve()
  using peer = await RawPeer.dial(served.address)
  peer.socket.pause()
  peer.send(hello, ...Array.from({ length: 40 }, (_, slot) => call(slot, 'Say.LargeLater')))
  await until('all are answered', () => served.state.ended === 40)
  const stopped = served.server.stop({ graceMs: 30_000 })
  // Longer than a client may take to hear of the go-away, which stands behind the replies.
  await new Promise((resolve) => setTimeout(resolve, 4000))
  peer.socket.resume()
  await until('all have come', () => peer.ofType(FrameType.reply).length === 40, 20_000)
  await until('the go-away has come', () => peer.ofType(FrameType.ping).length === 1)
  peer.send(write.pingFrame(FrameType.pong, 0))
  await stopped
})

test('a client has its time to say hello also after the process stood still', async () => {
  await using served = await serve({ helloTimeoutMs: 200 })
  using peer = await RawPeer.dial(served.address)
  await until('it is accepted', () => peer.ofType(FrameType.hello).length === 1)
  // In the turn of a timer, so that others that are due come before what has arrived is read.
  await new Promise((resolve) => setTimeout(resolve, 1))
  peer.send(hello, call(0))
  for (const end = performance.now() + 500; performance.now() < end;);
  await until('it is answered', () => peer.ofType(FrameType.reply).length === 1)
})

test('a grace without end is one', async () => {
  await using served = await serve()
  using peer = await RawPeer.dial(served.address)
  peer.send(hello, call(0, 'Say.Never'))
  await until('it is under way', () => served.state.running === 1)
  void served.server.stop({ graceMs: Infinity })
  await until('the client is told', () => peer.ofType(FrameType.ping).length === 1)
  peer.send(write.pingFrame(FrameType.pong, 0))
  // Longer than a client that has heard may take.
  await new Promise((resolve) => setTimeout(resolve, 1000))
  peer.send(write.cancelFrame(0, 'canceled', 'given up'))
  await until('it is answered', () => peer.ofType(FrameType.error).length === 1)
  assert.match(peer.ofType(FrameType.error)[0]?.toString() ?? '', /given up/)
})

test('options that cannot be are refused with their names', () => {
  const transport = tcpTransport(undefined, componentContext())
  for (const [options, name] of [
    [{ maxCalls: 0 }, /maxCalls/],
    [{ maxCalls: -1 }, /maxCalls/],
    [{ maxCalls: 2 ** 31 }, /maxCalls/],
    [{ maxStreams: NaN }, /maxStreams/],
    [{ maxTargets: -1 }, /maxTargets/],
    [{ maxTargets: 1.5 }, /maxTargets/],
    [{ helloTimeoutMs: 0 }, /helloTimeoutMs/],
    [{ helloTimeoutMs: NaN }, /helloTimeoutMs/],
    [{ helloTimeoutMs: '5' }, /helloTimeoutMs/],
    [{ windowBytes: 0 }, /windowBytes/],
  ] as const) {
    assert.throws(
      () => rpcServer(options as RpcServerOptions, componentContext({ transport })),
      (error) => error instanceof ServiceError && error.code === 'invalid-option' && name.test(error.message),
    )
  }
  rpcServer({ maxStreams: 0, maxTargets: 0, helloTimeoutMs: Infinity }, componentContext({ transport }))
})
