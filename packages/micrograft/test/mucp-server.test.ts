import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { ServiceError } from '@micrograft/contracts'
import { componentContext, pause, until } from '@micrograft/testing'
import { mucpServer } from '../dist/mucp/mucp-server.js'
import { callHeader, RawHttp, rawRequest, type RawMessage } from './support/mucp-raw.js'
import { code, serveMucp } from './support/mucp-peers.js'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

/** Bytes of buffers that are still in use. */
async function held(): Promise<number> {
  await new Promise((resolve) => setImmediate(resolve))
  gc()
  return process.memoryUsage().arrayBuffers
}

const bodies = (peer: RawHttp) => peer.messages.map(({ body }) => body.toString())
const errorOf = (message: RawMessage) =>
  JSON.parse(message.header['micro-error'] ?? '{}') as Record<string, unknown>
const streamHeader = (stream: string, more: Readonly<Record<string, string>> = {}) =>
  callHeader('Stream.Echo', { 'Micro-Id': stream, 'Micro-Stream': stream, ...more })

test('calls on one connection are answered as they end, those with one id in their order', async () => {
  const release = new Map<string, () => void>()
  await using served = await serveMucp({
    unary: async (_, body) => {
      await new Promise<void>((resolve) => release.set(body.toString(), resolve))
      return body
    },
  })
  using peer = await RawHttp.dial(served.address)
  const send = (id: string, body: string) =>
    peer.send(rawRequest(callHeader('Say.Hello', { 'Micro-Id': id }), body))
  send('1', 'a')
  send('1', 'b')
  send('2', 'c')
  await until('a and c run', () => release.size === 2)
  assert.deepEqual([...release.keys()], ['a', 'c'])
  release.get('c')?.()
  await peer.message(1)
  release.get('a')?.()
  await until('b runs', () => release.has('b'))
  release.get('b')?.()
  await peer.message(3)
  assert.deepEqual(bodies(peer), ['c', 'a', 'b'])
  assert.deepEqual(
    peer.messages.map(({ header }) => header['micro-id']),
    ['2', '1', '1'],
  )
})

test('where one of those with one id is refused, the ones behind it keep their order', async () => {
  const release = new Map<string, () => void>()
  await using served = await serveMucp({
    unary: async (_, body) => {
      await new Promise<void>((resolve) => release.set(body.toString(), resolve))
      return body
    },
  })
  using peer = await RawHttp.dial(served.address)
  const send = (body: string, endpoint = 'Say.Hello') =>
    peer.send(rawRequest(callHeader(endpoint, { 'Micro-Id': '1' }), body))
  send('a')
  send('refused', 'noendpoint')
  send('b')
  send('c')
  await until('a runs', () => release.size === 1)
  release.get('a')?.()
  await until('b runs', () => release.has('b'))
  await peer.message(1)
  assert.deepEqual([...release.keys()], ['a', 'b'])
  release.get('b')?.()
  await until('c runs', () => release.has('c'))
  release.get('c')?.()
  await peer.message(4)
  assert.equal(errorOf(peer.messages[1] as RawMessage)['code'], 400)
  assert.deepEqual(
    [0, 2, 3].map((i) => bodies(peer)[i]),
    ['a', 'b', 'c'],
  )
})

test('streams and calls share a connection, told apart by their ids', async () => {
  await using served = await serveMucp({
    async stream(_, stream) {
      for await (const each of stream.messages) await stream.send(each)
    },
  })
  using peer = await RawHttp.dial(served.address)
  peer.send(rawRequest(streamHeader('7')), rawRequest(streamHeader('8')))
  peer.send(rawRequest(streamHeader('7'), 'seven'), rawRequest(streamHeader('8'), 'eight'))
  peer.send(rawRequest(callHeader(), 'call'))
  await peer.message(3)
  const byId = Object.fromEntries(
    peer.messages.map(({ header, body }) => [header['micro-id'], body.toString()]),
  )
  assert.deepEqual(byId, { 0: 'call', 7: 'seven', 8: 'eight' })
})

test('what comes for a stream that has ended is for nobody, and opens none', async () => {
  let opened = 0
  await using served = await serveMucp({
    async stream() {
      opened++
    },
  })
  using peer = await RawHttp.dial(served.address)
  peer.send(rawRequest(streamHeader('1')))
  assert.equal((await peer.message()).header['micro-error'], 'EOS')
  peer.send(rawRequest(streamHeader('1'), 'late'), rawRequest(streamHeader('1', { 'Micro-Error': 'EOS' })))
  peer.send(rawRequest(streamHeader('9', { 'Micro-Error': 'EOS' })), rawRequest(callHeader(), 'on'))
  assert.equal((await peer.message(2)).body.toString(), 'on')
  assert.equal(opened, 1)
})

test('an error that a client sends on a stream is what the handler reads', async () => {
  let failure: unknown
  await using served = await serveMucp({
    async stream(_, stream) {
      for await (const _ of stream.messages);
    },
  })
  using peer = await RawHttp.dial(served.address)
  peer.send(rawRequest(streamHeader('1')))
  peer.send(rawRequest(streamHeader('1', { 'Micro-Error': '{"id":"x","code":403,"detail":"no"}' })))
  failure = errorOf(await peer.message())
  assert.deepEqual(failure, { id: 'x', code: 403, detail: 'no', status: 'Forbidden' })
})

const refused: readonly [string, Buffer, number, RegExp][] = [
  ['an unknown endpoint', rawRequest(callHeader('No.Such')), 404, /no endpoint No.Such/],
  [
    'an unknown stream',
    rawRequest(callHeader('No.Such', { 'Micro-Stream': '1' })),
    404,
    /no endpoint No.Such/,
  ],
  ['an endpoint that is none', rawRequest(callHeader('Hello')), 400, /says Type.Method/],
  ['an endpoint of three parts', rawRequest(callHeader('a.Say.Hello')), 400, /says Type.Method/],
  [
    'no endpoint at all',
    rawRequest({ 'Content-Type': 'application/json', 'Micro-Protocol': 'mucp' }),
    400,
    /Type.Method/,
  ],
  ['nothing that is a request', rawRequest({}), 400, /envelope of the message is none/],
  ['a stream that is called', rawRequest(callHeader('Stream.Echo')), 400, /is a stream/],
  [
    'a call that is streamed',
    rawRequest(callHeader('Say.Hello', { 'Micro-Stream': '1' })),
    400,
    /is no stream/,
  ],
  ['a timeout that is none', rawRequest(callHeader('Say.Hello', { Timeout: '5s' })), 400, /nanoseconds/],
  [
    'a deadline that has passed',
    rawRequest(callHeader('Say.Hello', { Timeout: '0' })),
    408,
    /passed already/,
  ],
  [
    'a long header',
    rawRequest(callHeader('Say.Hello', { 'X-Long': 'x'.repeat(9000) })),
    400,
    /longer than 8192/,
  ],
  ['a long id', rawRequest(callHeader('Say.Hello', { 'Micro-Id': 'x'.repeat(300) })), 400, /an id/],
  [
    'many headers',
    rawRequest(
      callHeader('Say.Hello', Object.fromEntries(Array.from({ length: 70 }, (_, i) => [`X-${i}`, '']))),
    ),
    400,
    /more than 64 headers/,
  ],
  [
    'an envelope that is none',
    rawRequest(callHeader('Say.Hello', { 'Content-Type': 'application/json-rpc' }), '{"params":'),
    400,
    /envelope/,
  ],
]

for (const [what, bytes, status, reason] of refused) {
  test(`${what} is an error with its reason, and the connection goes on`, async () => {
    await using served = await serveMucp()
    using peer = await RawHttp.dial(served.address)
    peer.send(bytes)
    const error = errorOf(await peer.message())
    assert.equal(error['code'], status)
    assert.match(String(error['detail']), reason)
    peer.send(rawRequest(callHeader(), 'on'))
    assert.equal((await peer.message(2)).body.toString(), 'on')
  })
}

const broken: readonly [string, string, RegExp][] = [
  ['a header without a name', 'POST / HTTP/1.1\r\n: x\r\n\r\n', /^HTTP\/1.1 400/],
  ['a body above the limit', 'POST / HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n', /^HTTP\/1.1 413/],
  ['a malformed chunk', 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', /^HTTP\/1.1 400/],
]

for (const [what, bytes, firstLine] of broken) {
  test(`${what} is answered with a status, costs one connection and aborts what it had`, async () => {
    let reason: unknown
    await using served = await serveMucp({
      unary: ({ endpoint, signal }, body) => {
        if (endpoint === 'Say.Hello') return body
        return new Promise(() => signal.addEventListener('abort', () => (reason = signal.reason)))
      },
    })
    using other = await RawHttp.dial(served.address)
    using peer = await RawHttp.dial(served.address)
    peer.send(rawRequest(callHeader('Say.Wait')), bytes)
    assert.match((await peer.message()).firstLine, firstLine)
    await until('the connection has ended', () => peer.closed)
    await until('the handler is told', () => reason)
    code('canceled')(reason)
    other.send(rawRequest(callHeader(), 'on'))
    assert.equal((await other.message()).body.toString(), 'on')
  })
}

test('a chunked body of a call is read', async () => {
  await using served = await serveMucp()
  using peer = await RawHttp.dial(served.address)
  const header = Object.entries(callHeader()).map(([name, value]) => `${name}: ${value}\r\n`)
  peer.send(
    `POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${header.join('')}\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n`,
  )
  assert.equal((await peer.message()).body.toString(), 'abc')
})

test('a deadline reaches the handler, and one that does not listen does not keep the caller', async () => {
  let reason: unknown
  await using served = await serveMucp({
    unary: ({ signal }) => {
      signal.addEventListener('abort', () => (reason = signal.reason))
      return new Promise(() => undefined)
    },
  })
  using peer = await RawHttp.dial(served.address)
  peer.send(rawRequest(callHeader('Say.Wait', { Timeout: '30000000' })))
  assert.equal(errorOf(await peer.message())['code'], 408)
  code('timeout')(reason)
})

test('a client with much under way is not read until some of it is answered', async () => {
  let running = 0
  let most = 0
  const release: (() => void)[] = []
  await using served = await serveMucp(
    {
      unary: async (_, body) => {
        most = Math.max(most, ++running)
        await new Promise<void>((resolve) => release.push(resolve))
        running--
        return body.subarray(0, 1)
      },
    },
    { maxCalls: 4 },
  )
  using peer = await RawHttp.dial(served.address)
  const large = Buffer.alloc(100_000)
  for (let i = 0; i < 40; i++) peer.send(rawRequest(callHeader('Say.Hello', { 'Micro-Id': `${i}` }), large))
  await until('some run', () => running >= 4)
  await until('all are answered', () => {
    release.shift()?.()
    return peer.messages.length === 40
  })
  // What had been read when it stopped was still taken.
  assert.ok(most < 12, `${most} ran at a time`)
})

test('streams above their number are overloaded', async () => {
  await using served = await serveMucp({ stream: () => new Promise(() => undefined) }, { maxStreams: 2 })
  using peer = await RawHttp.dial(served.address)
  peer.send(rawRequest(streamHeader('1')), rawRequest(streamHeader('2')), rawRequest(streamHeader('3')))
  const reply = await peer.message()
  assert.equal(errorOf(reply)['code'], 429)
  assert.equal(reply.header['micro-id'], '3')
})

test('a peer that never reads costs bounded memory, and its handlers are told that it is gone', async () => {
  let told = 0
  let large = 0
  await using served = await serveMucp({
    async stream({ signal }, stream) {
      signal.addEventListener('abort', () => told++)
      for (;;) await stream.send(Buffer.alloc(10_000))
    },
    unary: () => {
      large++
      return Buffer.alloc(1_000_000)
    },
  })
  const before = await held()
  using flooded = await RawHttp.dial(served.address)
  flooded.socket.pause()
  flooded.send(rawRequest(streamHeader('1')))
  using asks = await RawHttp.dial(served.address)
  asks.socket.pause()
  for (let i = 0; i < 200; i++) asks.send(rawRequest(callHeader('Say.Large', { 'Micro-Id': `${i}` })))
  await until('all that there is room for was sent', () => large === 200)
  await until('little waits for peers that do not read', async () => (await held()) - before < 30_000_000)
  flooded.socket.destroy()
  asks.socket.destroy()
  await until('the handler is told', () => told === 1)
})

test('a thousand connections that say nothing are ended after a while', async () => {
  await using served = await serveMucp({}, { idleMs: 100 })
  const peers = await Promise.all(Array.from({ length: 1000 }, () => RawHttp.dial(served.address)))
  try {
    await until('all are closed', () => peers.every(({ closed }) => closed))
  } finally {
    for (const each of peers) each[Symbol.dispose]()
  }
})

test('a connection with a call that takes long is not idle', async () => {
  let end: () => void = () => undefined
  await using served = await serveMucp(
    {
      unary: async (_, body) => {
        await new Promise<void>((resolve) => (end = resolve))
        return body
      },
    },
    { idleMs: 30 },
  )
  using peer = await RawHttp.dial(served.address)
  peer.send(rawRequest(callHeader(), 'long'))
  await new Promise((resolve) => setTimeout(resolve, 120))
  assert.equal(peer.closed, false)
  end()
  assert.equal((await peer.message()).body.toString(), 'long')
  await until('then it is closed', () => peer.closed)
})

test('a retired connection answers what is under way and what crosses, then ends', async () => {
  const release: (() => void)[] = []
  await using served = await serveMucp({
    unary: async ({ endpoint }, body) => {
      if (endpoint === 'Say.Wait') await new Promise<void>((resolve) => release.push(resolve))
      return body
    },
  })
  using busy = await RawHttp.dial(served.address)
  using idle = await RawHttp.dial(served.address)
  using quiet = await RawHttp.dial(served.address)
  busy.send(rawRequest(callHeader('Say.Wait'), 'under way'))
  await until('it runs', () => release.length === 1)
  idle.send(rawRequest(callHeader(), 'first'))
  await idle.message()
  served.retire()
  idle.send(rawRequest(callHeader(), 'crosses'))
  assert.equal((await idle.message(2)).body.toString(), 'crosses')
  await until('it has ended', () => idle.closed)
  await until('the quiet one has ended', () => quiet.closed)
  assert.equal(busy.closed, false)
  release[0]?.()
  assert.equal((await busy.message()).body.toString(), 'under way')
  await until('the busy one has ended', () => busy.closed)
})

test('stop answers what crosses it, and ends kept connections', async () => {
  await using served = await serveMucp()
  using crosses = await RawHttp.dial(served.address)
  using kept = await RawHttp.dial(served.address)
  kept.send(rawRequest(callHeader(), 'first'))
  await kept.message()
  const stopped = served.server.stop()
  await pause(30)
  crosses.send(rawRequest(callHeader(), 'crosses'))
  assert.equal((await crosses.message()).body.toString(), 'crosses')
  await stopped
  await until('both have ended', () => crosses.closed && kept.closed)
})

test('Connection: close of a client is answered, and ends its connection', async () => {
  await using served = await serveMucp()
  using peer = await RawHttp.dial(served.address)
  peer.send(rawRequest(callHeader('Say.Hello', { Connection: 'close' }), 'last'))
  assert.equal((await peer.message()).body.toString(), 'last')
  await until('it has ended', () => peer.closed)
})

test('a node says what clients of go-micro look for', async () => {
  await using served = await serveMucp()
  assert.deepEqual(served.metadata, { protocol: 'mucp', server: 'mucp', transport: 'http' })
})

test('control characters and Unicode pass an error unharmed', async () => {
  const detail = 'tab\t, DEL\x7f, \x01, <&>, grüße ✓ 💡\u2028'
  await using served = await serveMucp({
    unary: () => {
      throw new ServiceError('conflict', detail, { id: 'grüße' })
    },
  })
  using peer = await RawHttp.dial(served.address)
  peer.send(rawRequest(callHeader()))
  const error = errorOf(await peer.message())
  assert.deepEqual([error['id'], error['detail']], ['grüße', detail])
})

test('options that cannot be are refused with their names', () => {
  const make = (options: object) => () => mucpServer(options, componentContext())
  assert.throws(make({ maxCall: 1 }), code('invalid-option', /there are .*maxCalls/))
  assert.throws(make({ maxStreams: 0 }), code('invalid-option', /maxStreams/))
})

test('an id in an envelope that no reply could carry is refused', async () => {
  await using served = await serveMucp()
  using peer = await RawHttp.dial(served.address)
  const header = callHeader('Say.Hello', { 'Content-Type': 'application/json-rpc' })
  peer.send(rawRequest(header, JSON.stringify({ id: 'x'.repeat(600_000), params: [{}] })))
  const error = errorOf(await peer.message())
  assert.equal(error['code'], 400)
  assert.match(String(error['detail']), /an id has more than 256/)
  peer.send(rawRequest(callHeader(), 'on'))
  assert.equal((await peer.message(2)).body.toString(), 'on')
})

test('an error that is too large for the transport is answered without its text, and ends no process', async () => {
  await using served = await serveMucp(
    {
      unary: ({ signal }, body) => {
        if (body.toString() === 'on') return body
        if (body.toString() === 'fail') throw new ServiceError('conflict', 'ü'.repeat(4000))
        return new Promise(() => signal.addEventListener('abort', () => undefined))
      },
    },
    undefined,
    { maxHeaderBytes: 1000 },
  )
  using peer = await RawHttp.dial(served.address)
  peer.send(rawRequest(callHeader(), 'fail'))
  const error = errorOf(await peer.message())
  assert.equal(error['code'], 409)
  assert.match(String(error['detail']), /too large/)
  const long = `Say.${'x'.repeat(500)}`
  peer.send(rawRequest(callHeader(long, { Timeout: '1000000' }), 'wait'))
  assert.equal(errorOf(await peer.message(2))['code'], 408)
  peer.send(rawRequest(callHeader(), 'on'))
  assert.equal((await peer.message(3)).body.toString(), 'on')
})

test('where not even a short error can be sent, the connection ends', async () => {
  await using served = await serveMucp({ unary: () => Promise.reject(new Error('no')) }, undefined, {
    maxHeaderBytes: 130,
  })
  using peer = await RawHttp.dial(served.address)
  peer.send(rawRequest({ 'Micro-Endpoint': 'A.B' }, 'x'))
  await until('the connection has ended', () => peer.closed)
})
