import assert from 'node:assert/strict'
import { test } from 'node:test'
import { componentContext, until } from '@micrograft/testing'
import { mucpClient } from '../dist/mucp/mucp-client.js'
import { tcpTransport } from '../dist/transport/tcp-transport.js'
import { rawResponse, type RawHttp, type RawMessage } from './support/mucp-raw.js'
import { code, rawNode, request, type RawNode } from './support/mucp-peers.js'

/** Answers as a server that repeats the id. */
const answer = ({ header, body }: RawMessage, more: Readonly<Record<string, string>> = {}) =>
  rawResponse({ 'X-Micro-Id': header['micro-id'] as string, ...more }, body)
const echo = (message: RawMessage, peer: RawHttp) => peer.send(answer(message))

/** A server that answers when it is told to. */
async function holding(
  options?: Parameters<typeof rawNode>[1],
): Promise<RawNode & { release(): void; held: RawMessage[] }> {
  const waiting: (() => void)[] = []
  const held: RawMessage[] = []
  const node = await rawNode((message, peer) => {
    held.push(message)
    waiting.push(() => peer.send(answer(message)))
  }, options)
  return Object.assign(node, { held, release: () => waiting.shift()?.() })
}

test('a connection has one call at a time, and the one used last is used next', async () => {
  await using it = await holding()
  const first = it.call()
  const second = it.call()
  await until('both are there', () => it.held.length === 2)
  assert.equal(it.peers.length, 2)
  it.release()
  await first
  it.release()
  await second
  const lastUsed = it.peers.findIndex(({ messages }) => messages[0] === it.held[1])
  for (let i = 0; i < 3; i++) {
    const next = it.call()
    await until('it is there', () => it.held.length === 3 + i)
    it.release()
    await next
  }
  assert.equal(it.peers.length, 2)
  assert.equal(it.peers[lastUsed]?.messages.length, 4)
})

test('calls above the number of connections wait their turn, in order, and give up their place', async () => {
  await using it = await holding({ connections: 1, maxWaiting: 3 })
  const done: number[] = []
  const call = (i: number, timeoutMs = 5000) =>
    it.call({ body: Buffer.from(String(i)), timeoutMs }).then(() => void done.push(i))
  const first = call(0)
  await until('the first is there', () => it.held.length === 1)
  const second = call(1)
  const third = assert.rejects(call(2, 20), code('timeout'))
  const fourth = call(3)
  await assert.rejects(call(4), code('overloaded', /3 calls wait for one of 1 connections/))
  await third
  for (let i = 1; i <= 3; i++) {
    it.release()
    if (i < 3) await until('the next is there', () => it.held.length === i + 1)
  }
  await Promise.all([first, second, fourth])
  assert.deepEqual(done, [0, 1, 3])
  assert.equal(it.peers.length, 1)
})

test('a connection that is not used is closed, and one that is old gets no more calls', async () => {
  await using idle = await rawNode(echo, { idleMs: 40, maxAgeMs: 60_000 })
  await idle.call()
  await until('it is closed', () => idle.peers[0]?.closed)
  await idle.call()
  assert.equal(idle.peers.length, 2)
  await using old = await rawNode(echo, { maxAgeMs: 30 })
  await old.call()
  await until('it is old', async () => {
    await old.call()
    return old.peers.length === 2
  })
})

test('a server that closes a kept connection costs no call; one that closes it unanswered costs one, as unavailable', async () => {
  let drop = false
  await using it = await rawNode((message, peer) => (drop ? peer.socket.destroy() : echo(message, peer)))
  await it.call()
  it.peers[0]?.socket.end()
  await until('it is closed', () => it.peers[0]?.closed)
  await it.call()
  drop = true
  await assert.rejects(it.call(), code('unavailable', /ended before the answer/))
  drop = false
  await it.call()
})

test('a reply that says Connection: close is the last of its connection, also where calls wait', async () => {
  await using it = await rawNode((message, peer) => peer.send(answer(message, { Connection: 'close' })), {
    connections: 1,
  })
  await Promise.all(Array.from({ length: 5 }, () => it.call()))
  assert.deepEqual(
    it.peers.map(({ messages }) => messages.length),
    [1, 1, 1, 1, 1],
  )
})

for (const contentType of ['application/json', 'application/json-rpc']) {
  test(`a server that does not see the id of a call in ${contentType} gets no other on its connection at once`, async () => {
    const answeredAt = new Map<RawHttp, number>()
    const rests: number[] = []
    await using it = await rawNode(({ header }, peer) => {
      const before = answeredAt.get(peer)
      if (before !== undefined) rests.push(performance.now() - before)
      // As go-micro 4.10 and later: the request repeated, and X-Micro-Id only of an envelope.
      const id = header['micro-id'] as string
      const repeated = { Accept: contentType, 'Micro-Id': id }
      if (contentType === 'application/json') peer.send(rawResponse(repeated))
      else peer.send(rawResponse({ ...repeated, 'X-Micro-Id': id }, `{"id":"${id}","result":1,"error":null}`))
      answeredAt.set(peer, performance.now())
    })
    await until('one is used again', async () => {
      await it.call({ contentType })
      return rests.length > 0
    })
    assert.ok(Math.min(...rests) >= 15, `a connection was used again after ${Math.min(...rests)} ms`)
    assert.ok(it.peers.length > 1)
  })
}

test('a signal that is aborted, and a deadline, end the connection: nothing else tells the handler', async () => {
  await using it = await holding()
  await assert.rejects(it.call({ timeoutMs: 30 }), code('timeout'))
  await until('it is closed', () => it.peers[0]?.closed)
  const controller = new AbortController()
  const call = it.client.call(it.node, request(), { signal: controller.signal })
  await until('it is there', () => it.held.length === 2)
  controller.abort(new Error('given up'))
  await assert.rejects(call, /given up/)
  await until('it is closed', () => it.peers[1]?.closed)
})

test('a call without a deadline does not wait for ever', async () => {
  await using it = await rawNode(() => undefined, { unansweredMs: 40 })
  await assert.rejects(it.call({ timeoutMs: undefined }), code('timeout', /within 40 ms/))
  assert.equal(it.peers[0]?.messages[0]?.header['timeout'], undefined)
})

const hostile: readonly [string, (message: RawMessage) => Buffer | string, Parameters<typeof code>[0]][] = [
  ['a reply to another call', () => rawResponse({ 'X-Micro-Id': '77' }), 'protocol'],
  ['an end of a stream', () => rawResponse({ 'Micro-Error': 'EOS' }), 'protocol'],
  ['a header that is no metadata', () => rawResponse({ 'X-Long': 'x'.repeat(9000) }), 'protocol'],
  [
    'too many headers',
    () => rawResponse(Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`X-${i}`, '']))),
    'protocol',
  ],
  ['what is no HTTP', () => 'SSH-2.0-OpenSSH_9.6\r\n\r\n', 'protocol'],
  ['a header line without a name', () => 'HTTP/1.1 200 OK\r\n: x\r\n\r\n', 'protocol'],
  ['a length that is none', () => 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n', 'protocol'],
  ['a body above the limit', () => 'HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n', 'protocol'],
  ['half a reply', () => 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', 'protocol'],
]

for (const [what, bytes, expected] of hostile) {
  test(`${what} fails the call and costs its connection`, async () => {
    let bad = true
    await using it = await rawNode((message, peer) => {
      if (!bad) return echo(message, peer)
      peer.send(bytes(message))
      if (what === 'half a reply') peer.socket.end()
    })
    await assert.rejects(it.call(), code(expected))
    await until('the connection has ended', () => it.peers[0]?.closed)
    bad = false
    await it.call()
  })
}

test('a reply for no call costs the connection that it came on', async () => {
  await using it = await rawNode((message, peer) => peer.send(answer(message), answer(message)))
  await it.call()
  await until('the connection has ended', () => it.peers[0]?.closed)
  await it.call()
})

for (const contentType of ['application/json-rpc', 'application/proto-rpc']) {
  test(`a reply without its ${contentType} envelope fails the call`, async () => {
    await using it = await rawNode((_, peer) => peer.send(rawResponse({}, 'neither')))
    await assert.rejects(it.call({ contentType }), code('protocol', /has no application/))
  })
}

test('a chunked reply is read', async () => {
  await using it = await rawNode((_, peer) =>
    peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n"a\\n\r\n1\r\n"\r\n0\r\n\r\n'),
  )
  assert.equal(Buffer.from((await it.call()).body).toString(), '"a\\n"')
})

test('what would break a header is refused before it is sent', async () => {
  await using it = await rawNode(echo)
  const split = 'Say.Hello\r\nMicro-Topic: x'
  await assert.rejects(it.call({ endpoint: split }), code('bad-request', /the endpoint/))
  await assert.rejects(it.call({ service: split }), code('bad-request', /the service/))
  await assert.rejects(it.call({ contentType: split }), code('bad-request', /the content type/))
  assert.equal(it.peers.length, 0)
})

test('names that the protocol has taken are not sent as metadata', async () => {
  await using it = await rawNode(echo)
  const metadata = {
    timeout: '1',
    host: 'evil',
    'micro-topic': 'x',
    'x-micro-error': 'EOS',
    accept: 'x',
    own: '1',
  }
  await it.call({ metadata, timeoutMs: undefined })
  const { header } = (it.peers[0] as RawHttp).messages[0] as RawMessage
  assert.equal(header['timeout'], undefined)
  assert.equal(header['micro-topic'], undefined)
  assert.equal(header['x-micro-error'], undefined)
  assert.equal(header['accept'], 'application/json')
  assert.equal(header['host'], it.node.address)
  assert.equal(header['own'], '1')
})

test('who called first stays the caller of a call that is passed on', async () => {
  await using it = await rawNode(echo)
  await it.call({ metadata: { 'micro-from-service': 'first' } })
  assert.equal(it.peers[0]?.messages[0]?.header['micro-from-service'], 'first')
})

test('a stream whose server never reads holds its sender, and one that nobody reads holds the server', async () => {
  await using it = await rawNode((_, peer) => peer.socket.pause())
  const stream = await it.client.stream(it.node, request({ endpoint: 'Stream.Flood', timeoutMs: undefined }))
  await until('it is there', () => it.peers[0]?.messages.length)
  let sent = 0
  let failure: unknown
  const flood = (async () => {
    for (; sent < 10_000; sent++) await stream.send(Buffer.alloc(10_000))
  })().catch((error: unknown) => (failure = error))
  let last = -1
  await until('it stands still', async () => {
    const before = last
    last = sent
    await new Promise((resolve) => setTimeout(resolve, 50))
    return sent === before && sent > 0
  })
  assert.ok(sent < 2000, `${sent} messages of 10 KB were taken`)
  await stream[Symbol.asyncDispose]()
  await flood
  code('canceled')(failure)
  await using flooded = await rawNode((_, peer) => {
    const message = rawResponse({}, Buffer.alloc(10_000))
    const more = () => {
      while (!peer.closed && peer.socket.writableLength < 1_000_000) peer.socket.write(message)
      if (!peer.closed) setTimeout(more, 5).unref()
    }
    more()
  })
  const unread = await flooded.client.stream(flooded.node, request({ endpoint: 'Stream.Flood' }))
  await until('the server is held', async () => {
    const before = flooded.peers[0]?.socket.bytesWritten
    await new Promise((resolve) => setTimeout(resolve, 60))
    return before !== undefined && before > 0 && before === flooded.peers[0]?.socket.bytesWritten
  })
  assert.ok(process.memoryUsage().arrayBuffers < 50_000_000)
  await unread[Symbol.asyncDispose]()
})

test('streams above their number are overloaded, and a place is free when one has ended', async () => {
  await using it = await rawNode(() => undefined, { maxStreams: 2 })
  const open = () => it.client.stream(it.node, request({ endpoint: 'Stream.Echo' }))
  const first = await open()
  await open()
  await assert.rejects(open(), code('overloaded', /2 streams/))
  await first[Symbol.asyncDispose]()
  await open()
})

test('a connection whose transport is replaced ends once its call has, and one that is being made is made again', async () => {
  const handlers: { retire?(): void }[] = []
  await using transport = tcpTransport(undefined, componentContext())
  const dial = transport.dial.bind(transport)
  transport.dial = (address, handler, options) => {
    handlers.push(handler)
    return dial(address, handler, options)
  }
  let closed = 0
  const waiting: (() => void)[] = []
  const listener = await transport.listen('127.0.0.1:0', (connection) => ({
    message: ({ header, body }) => {
      waiting.push(() => connection.send({ header: { 'x-micro-id': header['micro-id'] as string }, body }))
    },
    closed: () => void closed++,
  }))
  await using client = mucpClient(undefined, componentContext({ transport }))
  const node = { id: 'n', address: listener.address, metadata: {} }
  const call = client.call(node, request())
  await until('it is there', () => waiting.length === 1)
  handlers[0]?.retire?.()
  assert.equal(closed, 0)
  waiting[0]?.()
  await call
  await until('it is closed', () => closed === 1)
  const next = client.call(node, request())
  await until('it is being made', () => handlers.length === 2)
  handlers[1]?.retire?.()
  await until('it was made again', () => handlers.length === 3 && waiting.length === 2)
  waiting[1]?.()
  await next
})

test('options that cannot be are refused with their names', () => {
  const make = (options: object) => () => mucpClient(options, componentContext())
  assert.throws(make({ conections: 1 }), code('invalid-option', /there are .*connections/))
  assert.throws(make({ connections: 0.5 }), code('invalid-option', /connections/))
  assert.throws(make({ idleMs: 0 }), code('invalid-option', /idleMs/))
})
