import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { test } from 'node:test'
import {
  ServiceError,
  type Client,
  type ErrorCode,
  type Node,
  type TransportLimits,
} from '@micrograft/contracts'
import { componentContext, until } from '@micrograft/testing'
import { FrameType } from '../dist/rpc/frame.js'
import * as write from './support/frames.js'
import { rpcClient, type RpcClientOptions } from '../dist/rpc/rpc-client.js'
import { tcpTransport } from '../dist/transport/tcp-transport.js'
import { framed, rawServer, type RawPeer } from './support/raw-peer.js'

const helloWith = (more: object) =>
  write.helloFrame({
    lowest: 1,
    highest: 1,
    maxFrameBytes: 100_000,
    maxCalls: 100,
    maxTargets: 10,
    windowBytes: 10_000,
    windowMessages: 4,
    ...more,
  })
const hello = helloWith({})
const body = Buffer.from('{}')
const request = {
  service: 'echo',
  endpoint: 'Say.Hello',
  contentType: 'x',
  metadata: {},
  timeoutMs: 2000,
  body,
}

interface Fixture extends AsyncDisposable {
  readonly client: Client
  readonly node: Node
  readonly peers: RawPeer[]
  call(more?: object): Promise<unknown>
}

/** A client, and a server that answers each frame of a type with what `answers` has for it. */
async function fixture(
  answers: { readonly [type: number]: (slot: number, frame: Buffer) => readonly Buffer[] },
  options?: RpcClientOptions,
  first: readonly Buffer[] = [hello],
  limits?: TransportLimits,
): Promise<Fixture> {
  const peers: RawPeer[] = []
  const { address, ...server } = await rawServer((peer) => {
    peers.push(peer)
    peer.send(...first)
    let seen = 0
    peer.socket.on('data', () => {
      const { frames } = peer
      for (; seen < frames.length; seen++) {
        const frame = frames[seen] as Buffer
        peer.send(...(answers[frame[0] as number]?.(frame[1] as number, frame) ?? []))
      }
    })
  })
  const transport = tcpTransport(limits, componentContext())
  const client = rpcClient(options, componentContext({ transport }))
  const node = { id: 'raw', address, metadata: {} }
  return {
    client,
    node,
    peers,
    call: (more) => client.call(node, { ...request, ...more }),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]()
      await transport[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

const code =
  (expected: ErrorCode, text = /./) =>
  (error: unknown) => {
    assert.ok(error instanceof ServiceError)
    assert.equal(error.code, expected, error.message)
    assert.match(error.message, text)
    return true
  }

const reply = (slot: number) => write.replyFrame(slot, '', {}, body)

for (const [what, answer, reason] of [
  ['a reply for no call', (slot: number) => [reply(slot + 1)], /nothing is open/],
  ['a reply that comes twice', (slot: number) => [reply(slot), reply(slot)], /nothing is open/],
  ['an answer for a stream to a call', (slot: number) => [write.dataFrame(slot, body)], /as a stream is/],
  [
    'a reply above the limit',
    (slot: number) => [write.replyFrame(slot, '', {}, Buffer.alloc(50_000))],
    /a frame of 50004 bytes/,
  ],
  ['a frame of an unknown type', () => [Buffer.from([0x55])], /type 85/],
  ['a frame of a client', () => [write.cancelFrame(0, 'canceled', '')], /type 19/],
] as const) {
  test(`${what} ends the connection with protocol, and the next call has a new one`, async () => {
    let broken = true
    await using it = await fixture(
      {
        [FrameType.call]: (slot) => (broken ? answer(slot) : [reply(slot)]),
      },
      { maxFrameBytes: 40_000 },
    )
    const first = await it.call().then(
      () => undefined,
      (error: unknown) => error,
    )
    if (what !== 'a reply that comes twice') code('protocol', reason)(first)
    await until('the server is told', () => it.peers[0]?.ofType(FrameType.goAway).length)
    await until('the connection ends', () => it.peers[0]?.closed)
    broken = false
    await it.call()
    assert.equal(it.peers.length, 2)
  })
}

test('every call under way fails at once where the protocol is broken', async () => {
  let calls = 0
  await using it = await fixture({ [FrameType.call]: () => (++calls === 5 ? [reply(99)] : []) })
  const all = Array.from({ length: 5 }, () => assert.rejects(it.call(), code('protocol')))
  await Promise.all(all)
})

test('a server that answers garbage, speaks another version, or says nothing is an error in time', async () => {
  const none = {}
  for (const [first, expected, reason] of [
    [[Buffer.from([FrameType.hello, 1, 2, 3, 4, 5, 6])], 'protocol', /does not speak rpc/],
    [[helloWith({ lowest: 2, highest: 9 })], 'protocol', /speaks rpc 2 to 9/],
    [[reply(0)], 'protocol', /does not begin with a hello/],
    [[], 'unavailable', /no hello/],
    [[write.goAwayFrame('unavailable', 'not today')], 'unavailable', /./],
  ] as const) {
    await using it = await fixture(none, { dialTimeoutMs: 100 }, first)
    await assert.rejects(it.call(), code(expected, reason))
    await until('the connection ends', () => it.peers[0]?.closed)
  }
})

test('a request above what the server takes is too-large before it is sent', async () => {
  await using it = await fixture({ [FrameType.call]: (slot) => [reply(slot)] })
  await assert.rejects(it.call({ body: Buffer.alloc(100_000) }), code('too-large', /limit of 100000/))
  await it.call()
  assert.equal(it.peers.length, 1)
})

test('more calls than the server takes at a time are overloaded, and the slots are used again', async () => {
  const held: number[] = []
  await using it = await fixture({ [FrameType.call]: (slot) => (held.push(slot), []) }, undefined, [
    helloWith({ maxCalls: 3 }),
  ])
  const calls = [it.call(), it.call(), it.call()]
  await until('all are there', () => held.length === 3)
  await assert.rejects(it.call(), code('overloaded', /takes 3 calls/))
  it.peers[0]?.send(...held.splice(0).map(reply))
  await Promise.all(calls)
  const again = it.call()
  await until('it is there', () => held.length === 1)
  it.peers[0]?.send(reply(held[0] as number))
  await again
})

test('a slot whose caller gave up is not used again before the server has answered', async () => {
  const slots: number[] = []
  await using it = await fixture({ [FrameType.call]: (slot) => (slots.push(slot), []) })
  const warm = it.call()
  await until('it is connected', () => slots.length === 1)
  it.peers[0]?.send(reply(slots.pop() as number))
  await warm
  await assert.rejects(it.call({ timeoutMs: 20 }), code('timeout'))
  const second = it.call()
  await until('the second is there', () => slots.length === 2)
  assert.notEqual(slots[1], slots[0])
  it.peers[0]?.send(reply(slots[0] as number), reply(slots[1] as number))
  await second
  const third = it.call()
  await until('the third is there', () => slots.length === 3)
  assert.ok(slots.slice(0, 2).includes(slots[2] as number))
  it.peers[0]?.send(reply(slots[2] as number))
  await third
})

test('a server stream that sends more than its window ends the connection', async () => {
  await using it = await fixture(
    {
      [FrameType.open]: (slot) => Array.from({ length: 20 }, () => write.dataFrame(slot, body)),
    },
    { windowMessages: 8 },
  )
  const stream = await it.client.stream(it.node, request)
  await until('the server is told', () => it.peers[0]?.ofType(FrameType.goAway).length)
  await assert.rejects(
    async () => {
      for await (const _ of stream.messages);
    },
    code('protocol', /more than its window/),
  )
})

test('a server that falls silent is asked, and given up where it does not answer', async () => {
  let answers = true
  await using it = await fixture(
    {
      [FrameType.ping]: (_, frame) =>
        answers ? [Buffer.concat([Buffer.from([FrameType.pong]), frame.subarray(1)])] : [],
    },
    { pingIntervalMs: 40, pingTimeoutMs: 40 },
  )
  const call = assert.rejects(it.call({ timeoutMs: 20_000 }), code('unavailable', /did not answer a ping/))
  await until('pings are answered', () => (it.peers[0]?.ofType(FrameType.ping).length ?? 0) >= 3)
  assert.equal(it.peers[0]?.closed, false)
  answers = false
  await call
})

test('a reply that takes long to come is a sign of life', async () => {
  let timer: NodeJS.Timeout | undefined
  const whole = framed(write.replyFrame(0, '', {}, Buffer.alloc(300)))
  let sent = 0
  await using it = await fixture(
    {
      [FrameType.call]: () => {
        timer = setInterval(() => it.peers[0]?.socket.write(whole.subarray(sent, ++sent)), 5)
        return []
      },
    },
    { pingIntervalMs: 100, pingTimeoutMs: 100 },
  )
  await it.call({ timeoutMs: 30_000 }).finally(() => clearInterval(timer))
  assert.ok(sent >= whole.length)
})

test('a connection that is not used is closed, and made again', async () => {
  await using it = await fixture({ [FrameType.call]: (slot) => [reply(slot)] }, { idleMs: 40 })
  await it.call()
  await until('it is closed', () => it.peers[0]?.closed)
  await it.call()
  assert.equal(it.peers.length, 2)
})

test('calls at the same time share one dial; a server that goes away gets no new calls', async () => {
  const held: number[] = []
  await using it = await fixture({ [FrameType.call]: (slot) => (held.push(slot), []) })
  const calls = Array.from({ length: 10 }, () => it.call())
  await until('all are there', () => held.length === 10)
  assert.equal(it.peers.length, 1)
  it.peers[0]?.send(write.goAwayFrame('unavailable', 'bye'))
  await until('new calls have a new connection', async () => {
    const next = it.call({ timeoutMs: 30 }).catch(() => undefined)
    await next
    return it.peers.length === 2
  })
  const old = it.peers[0]?.ofType(FrameType.call).map((frame) => frame[1] as number) ?? []
  it.peers[0]?.send(...old.map(reply))
  await Promise.all(calls)
  await until('the old connection ends with its last call', () => it.peers[0]?.closed)
})

test('several connections to a node are used in turn', async () => {
  await using it = await fixture({ [FrameType.call]: (slot) => [reply(slot)] }, { connections: 3 })
  await Promise.all(Array.from({ length: 9 }, () => it.call()))
  assert.equal(it.peers.length, 3)
  assert.deepEqual(
    it.peers.map((peer) => peer.ofType(FrameType.call).length),
    [3, 3, 3],
  )
})

test('of few calls in one turn some leave at once, of many they leave together', async (t) => {
  await using f = await fixture({}, undefined, [helloWith({ maxCalls: 1000 })])
  const abandoned = new AbortController()
  const begin = (count: number) => {
    for (let i = 0; i < count; i++)
      f.client.call(f.node, request, { signal: abandoned.signal }).catch(() => undefined)
  }
  begin(1)
  await until('the first is there', () => (f.peers[0]?.frames.length ?? 0) > 1)
  const { mock } = t.mock.method(Socket.prototype, 'write')
  begin(15)
  const atOnce = mock.callCount()
  assert.ok(atOnce >= 3 && atOnce < 10, `${atOnce} writes`)
  begin(100)
  await until('all are there', () => f.peers[0]?.frames.length === 117)
  mock.resetCalls()
  begin(10)
  assert.equal(mock.callCount(), 0)
  await until('these too', () => f.peers[0]?.frames.length === 127)
  abandoned.abort(new Error('enough'))
})

test('a target is written out once on a connection, and is a number from then on', async () => {
  await using it = await fixture({ [FrameType.call]: (slot) => [reply(slot)] })
  for (let i = 0; i < 12; i++) await it.call({ endpoint: `Say.Number${i % 4}` })
  const calls = it.peers[0]?.ofType(FrameType.call) ?? []
  assert.deepEqual(
    calls.map((frame) => frame.includes('Say.Number')),
    [true, true, true, true, ...Array.from({ length: 8 }, () => false)],
  )
})

test('a server that never reads holds calls back up to the limit, then they are overloaded', async () => {
  await using it = await fixture({}, { maxQueuedBytes: 1_000_000 }, [helloWith({ maxCalls: 10_000 })])
  void it.call({ timeoutMs: 30_000 }).catch(() => undefined)
  await until('it is connected', () => it.peers[0]?.ofType(FrameType.call).length)
  it.peers[0]?.socket.pause()
  const failures: unknown[] = []
  for (let i = 0; i < 2000 && failures.length === 0; i++) {
    it.call({ body: Buffer.alloc(90_000), timeoutMs: 30_000 }).catch((error: unknown) => failures.push(error))
    if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  code('overloaded', /does not read/)(failures[0])
})

test('options that cannot be are refused with their names', () => {
  const transport = tcpTransport(undefined, componentContext())
  const make = (options: object) => () => rpcClient(options, componentContext({ transport }))
  assert.throws(make({ conections: 1 }), code('invalid-option', /there are .*connections/))
  assert.throws(make({ connections: 0 }), code('invalid-option', /connections/))
  assert.throws(make({ windowBytes: -1 }), code('invalid-option', /windowBytes/))
  for (const name of ['dialTimeoutMs', 'pingIntervalMs', 'pingTimeoutMs', 'idleMs']) {
    for (const value of [0, -1, NaN, '5']) {
      assert.throws(make({ [name]: value }), code('invalid-option', new RegExp(name)))
    }
  }
})

test('times without end are none: a call is made, and its connection kept', async () => {
  const never = {
    dialTimeoutMs: Infinity,
    pingIntervalMs: Infinity,
    pingTimeoutMs: Infinity,
    idleMs: Infinity,
  }
  await using it = await fixture({ [FrameType.call]: (slot) => [reply(slot)] }, never)
  await it.call()
  await it.call()
  assert.equal(it.peers.length, 1)
})

test('a name that is too long is a bad request, and costs no other call', async () => {
  const held: number[] = []
  await using it = await fixture({ [FrameType.call]: (slot) => (held.push(slot), []) })
  const first = it.call()
  await until('it is there', () => held.length === 1)
  const long = 'x'.repeat(257)
  for (const more of [
    { endpoint: long },
    { service: long },
    { contentType: long },
    { endpoint: 'ü'.repeat(129) },
  ]) {
    await assert.rejects(it.call(more), code('bad-request', /at most 256/))
    await assert.rejects(
      it.client.stream(it.node, { ...request, ...more }),
      code('bad-request', /at most 256/),
    )
  }
  const longest = it.call({ endpoint: 'x'.repeat(256) })
  await until('what is just short enough is there', () => held.length === 2)
  it.peers[0]?.send(...held.map(reply))
  await Promise.all([first, longest])
})

test('disposing does not wait for a server that broke the protocol and keeps its side open', async () => {
  await using it = await fixture({
    [FrameType.call]: (slot) => {
      it.peers[0]?.socket.pause()
      return [reply(slot + 1)]
    },
  })
  await assert.rejects(it.call(), code('protocol'))
  const before = performance.now()
  await it.client[Symbol.asyncDispose]()
  assert.ok(performance.now() - before < 2000)
})

test('a message that the transport refuses takes nothing of the window', async () => {
  await using it = await fixture({}, undefined, [helloWith({ windowBytes: 4000 })], { maxMessageBytes: 1000 })
  const stream = await it.client.stream(it.node, request)
  for (let i = 0; i < 6; i++) await assert.rejects(stream.send(Buffer.alloc(1500)), code('too-large'))
  await stream.send(Buffer.from('small'))
  await until('it comes', () => it.peers[0]?.ofType(FrameType.data).length === 1)
})

test('a reason that the transport is too small for, or that is no text, is cut off, and the server is told', async () => {
  const held: number[] = []
  await using it = await fixture(
    { [FrameType.call]: (slot) => (held.push(slot), []) },
    undefined,
    undefined,
    {
      maxMessageBytes: 1000,
    },
  )
  // The last of them is no text, and cannot be made one.
  for (const [i, reason] of [new Error('x'.repeat(5000)), 'x'.repeat(5000), Object.create(null)].entries()) {
    const controller = new AbortController()
    const call = it.client.call(it.node, request, { signal: controller.signal })
    await until('it is there', () => held.length === i + 1)
    controller.abort(reason)
    const thrown: unknown = await call.catch((error: unknown) => error)
    assert.equal(thrown, reason)
    await until('it is canceled', () => it.peers[0]?.ofType(FrameType.cancel).length === i + 1)
  }
  assert.equal(it.peers[0]?.closed, false)
})
