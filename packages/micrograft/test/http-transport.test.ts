import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { createServer as createRawServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { createService } from 'micrograft'
import { ServiceError, type Connection, type ErrorCode, type Message } from '@micrograft/contracts'
import { clientServerCases, comply, componentContext, pause, until } from '@micrograft/testing'
import { HttpReader } from '../dist/transport/http-reader.js'
import { httpTransport, type HttpTransportOptions } from '../dist/transport/http-transport.js'
import { HttpPeer } from './support/http-peer.js'
import { RpcSubject } from './support/rpc-subject.js'

const context = componentContext()
const code = (expected: ErrorCode, message = /./) => {
  return (error: unknown) =>
    error instanceof ServiceError && error.code === expected && message.test(error.message)
}
const lines = (...all: string[]) => all.join('\r\n')

/** The first call of a client of go-micro v2, and what its server answers: captured from real ones. */
const goRequest = lines(
  'POST / HTTP/1.1',
  'Host: 127.0.0.1:8080',
  'User-Agent: Go-http-client/1.1',
  'Content-Length: 35',
  'Accept: application/json',
  'Content-Type: application/json',
  'Micro-Endpoint: Say.Hello',
  'Micro-From-Service: caller',
  'Micro-Id: 0',
  'Micro-Method: Say.Hello',
  'Micro-Service: greeter',
  'Timeout: 5000000000',
  '',
  '{"name":"John \\u003c\\u0026\\u003e"}\n',
)
const goHeader = {
  'user-agent': 'Go-http-client/1.1',
  accept: 'application/json',
  'content-type': 'application/json',
  'micro-endpoint': 'Say.Hello',
  'micro-from-service': 'caller',
  'micro-id': '0',
  'micro-method': 'Say.Hello',
  'micro-service': 'greeter',
  timeout: '5000000000',
}
const goResponse = lines(
  'HTTP/1.1 200 OK',
  'Content-Length: 21',
  'Accept: application/json',
  'Content-Type: application/json',
  'Micro-Endpoint: Say.Hello',
  'Micro-From-Service: caller',
  'Micro-Id: 0',
  'Micro-Method: Say.Hello',
  'Micro-Service: greeter',
  'Timeout: 5000000000',
  'User-Agent: Go-http-client/1.1',
  'X-Micro-Id: 0',
  '',
  '{"msg":"Hello John"}\n',
)
const goError = lines(
  'HTTP/1.1 200 OK',
  'Micro-Error: {"id":"greeter","code":400,"detail":"bad\\nname","status":"Bad Request"}',
  'X-Text: grüße, 世界',
  'Content-Length: 0',
  '',
  '',
)
/** How a client of go-micro ends a stream: its empty body is chunked. */
const goEndOfStream = lines(
  'POST / HTTP/1.1',
  'Host: 127.0.0.1:8080',
  'User-Agent: Go-http-client/1.1',
  'Transfer-Encoding: chunked',
  'Micro-Error: EOS',
  'Micro-Id: 1',
  'Micro-Stream: 1',
  '',
  '0',
  '',
  '',
)

type Read = readonly [Message['header'], string]

/** What a reader makes of `pieces`. */
function read(kind: 'request' | 'response', pieces: readonly Buffer[]): Read[] {
  const got: Read[] = []
  const reader = new HttpReader(
    kind,
    { maxMessageBytes: 10_000, maxHeaderBytes: 5000 },
    {
      began: () => undefined,
      ended: ({ header, body }) => void got.push([{ ...header }, Buffer.from(body).toString()]),
    },
  )
  for (const piece of pieces) reader.push(piece)
  reader.end()
  return got
}

/** Whole, split in two at every position, and byte by byte. */
function assertRead(kind: 'request' | 'response', text: string, expected: readonly Read[]): void {
  const bytes = Buffer.from(text)
  assert.deepEqual(read(kind, [bytes]), expected)
  for (let at = 1; at < bytes.length; at++) {
    const got = read(kind, [Buffer.from(bytes.subarray(0, at)), Buffer.from(bytes.subarray(at))])
    assert.deepEqual(got, expected, `split at ${at}`)
  }
  const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
  assert.deepEqual(read(kind, single), expected, 'byte by byte')
}

test("go-micro's requests and responses are read, wherever they are split", () => {
  const call: Read = [goHeader, '{"name":"John \\u003c\\u0026\\u003e"}\n']
  const end: Read = [
    { 'user-agent': 'Go-http-client/1.1', 'micro-error': 'EOS', 'micro-id': '1', 'micro-stream': '1' },
    '',
  ]
  assertRead('request', goRequest, [call])
  assertRead('request', goEndOfStream, [end])
  assertRead('request', goRequest + goRequest + goEndOfStream + goRequest, [call, call, end, call])
  const reply: Read = [{ ...goHeader, 'x-micro-id': '0' }, '{"msg":"Hello John"}\n']
  const error: Read = [
    {
      'micro-error': '{"id":"greeter","code":400,"detail":"bad\\nname","status":"Bad Request"}',
      'x-text': 'grüße, 世界',
    },
    '',
  ]
  assertRead('response', goResponse, [reply])
  assertRead('response', goError + goResponse + goError, [error, reply, error])
})

test('chunked bodies are read, wherever they are split', () => {
  const chunked = lines(
    'HTTP/1.1 200 OK',
    'Transfer-Encoding: CHUNKED',
    '',
    '5;name="a;b"',
    'hello',
    '00B',
    ' wonderful ',
    'A \t',
    'worldworld',
    '0',
    'Checksum: 17',
    'Other:',
    '',
    '',
  )
  assertRead('response', chunked, [[{}, 'hello wonderful worldworld']])
  assertRead('response', `${chunked}${goError}`.replace('CHUNKED', '\t chunked '), [
    [{}, 'hello wonderful worldworld'],
    ...read('response', [Buffer.from(goError)]),
  ])
})

test('what HTTP/1.1 peers may send beside that is read', () => {
  assertRead(
    'request',
    `\r\n${goRequest}\r\n${goRequest}`,
    read('request', [Buffer.from(goRequest + goRequest)]),
  )
  assertRead('request', 'POST /any/path?x HTTP/1.1\r\nX-Empty:\r\nx-list: a\r\nX-List:\t b  \r\n\r\n', [
    [{ 'x-empty': '', 'x-list': 'a, b' }, ''],
  ])
  const interim = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'
  assertRead('response', `${interim}HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na`, [[{}, 'a']])
  assertRead(
    'response',
    'HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
    [
      [{ ':status': '204 No Content' }, ''],
      [{ ':status': '304 Not Modified' }, ''],
    ],
  )
  assertRead('response', 'HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope', [
    [{ ':status': '404 Not Found' }, 'nope'],
  ])
  assertRead('response', 'HTTP/1.0 200 OK\r\nX: y\r\n\r\nas long as it lasts', [
    [{ x: 'y' }, 'as long as it lasts'],
  ])
  // Names that an object has by itself.
  assertRead('request', 'POST / HTTP/1.1\r\nconstructor: a\r\ntoString: b\r\n\r\n', [
    [{ constructor: 'a', tostring: 'b' } as never, ''],
  ])
})

interface Door {
  readonly address: string
  readonly messages: Message[]
  readonly connections: Connection[]
  readonly errors: (ServiceError | undefined)[]
}

/** Listens, and answers each message with `answer`, where that gives any. */
async function door(
  transport: ReturnType<typeof httpTransport>,
  answer: (message: Message) => Message | undefined = () => undefined,
): Promise<Door> {
  const messages: Message[] = []
  const connections: Connection[] = []
  const errors: (ServiceError | undefined)[] = []
  const { address } = await transport.listen('', (connection) => {
    connections.push(connection)
    return {
      message(message) {
        messages.push(message)
        const reply = answer(message)
        if (reply) connection.send(reply)
      },
      closed: (error) => void errors.push(error),
    }
  })
  return { address, messages, connections, errors }
}

const echo = (message: Message): Message => message
const ignore = { message: () => undefined, closed: () => undefined }

/** Runs `run` with a door and a peer at it. */
async function atDoor(
  options: HttpTransportOptions | undefined,
  answer: ((message: Message) => Message | undefined) | undefined,
  run: (peer: HttpPeer, seen: Door) => Promise<void>,
): Promise<void> {
  await using transport = httpTransport(options, context)
  const seen = await door(transport, answer)
  using peer = await HttpPeer.dial(seen.address)
  await run(peer, seen)
}

/** A server that sends `response` as soon as a request has begun to come, and what it got. */
async function rawServer(
  response: string,
): Promise<{ address: string; peers: HttpPeer[] } & AsyncDisposable> {
  const peers: HttpPeer[] = []
  const server = createRawServer((socket) => {
    peers.push(new HttpPeer(socket))
    socket.once('data', () => socket.write(response))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    peers,
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const { socket } of peers) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('a message goes out as the request that go-micro reads, and the answer as its response', async () => {
  await using server = await rawServer(goResponse)
  await using transport = httpTransport(undefined, context)
  const replies: Message[] = []
  const connection = await transport.dial(server.address, {
    ...ignore,
    message: (each) => void replies.push(each),
  })
  const header = {
    'micro-service': 'greeter',
    'micro-id': '0',
    'x-text': 'grüße',
    'content-type': 'text/plain',
  }
  connection.send({ header, body: Buffer.from('hello') })
  connection.send({ header: {}, body: Buffer.alloc(0) })
  const expected = lines(
    'POST / HTTP/1.1',
    `Host: ${server.address}`,
    'Content-Length: 5',
    'Micro-Service: greeter',
    'Micro-Id: 0',
    'X-Text: grüße',
    'Content-Type: text/plain',
    '',
    'helloPOST / HTTP/1.1',
    `Host: ${server.address}`,
    'Content-Length: 0',
    '',
    '',
  )
  await until('all has come', () => server.peers[0]?.text.length === expected.length && replies.length === 1)
  assert.equal(server.peers[0]?.text, expected)
  assert.equal(replies[0]?.header['x-micro-id'], '0')

  const reply = { header: { 'micro-id': '0', 'x-text': 'grüße' }, body: Buffer.from('hello') }
  await atDoor(
    undefined,
    () => reply,
    async (peer) => {
      peer.socket.write(goRequest)
      const response = lines(
        'HTTP/1.1 200 OK',
        'Content-Length: 5',
        'Micro-Id: 0',
        'X-Text: grüße',
        '',
        'hello',
      )
      await until('the response has come', () => peer.text.length === response.length)
      assert.equal(peer.text, response)
    },
  )
})

test('a header that HTTP cannot carry as it is: line ends become spaces, the fields of a connection stay out, and a bad name costs nothing', async () => {
  await using transport = httpTransport(undefined, context)
  const seen = await door(transport, echo)
  const replies: Message[] = []
  const connection = await transport.dial(seen.address, {
    ...ignore,
    message: (each) => void replies.push(each),
  })
  for (const name of ['a b', '', 'a:b', 'a\r\nb', 'größe', ':status', '__proto__', 'a\0']) {
    const header = Object.fromEntries([[name, 'x']])
    assert.throws(
      () => connection.send({ header, body: Buffer.alloc(0) }),
      code('bad-request', /cannot name a header/),
    )
  }
  const sent = {
    'x-lines': 'a\r\nContent-Length: 7\n\0b\tc',
    'x-space': '  around  ',
    'X-UPPER': 'y',
    host: 'elsewhere',
    'content-length': '77',
    connection: 'close',
    'transfer-encoding': 'chunked',
    expect: '100-continue',
    upgrade: 'h2c',
  }
  connection.send({ header: sent, body: Buffer.from('body') })
  connection.send({ header: {}, body: Buffer.from('after') })
  await until('both are back', () => replies.length === 2)
  for (const { header } of [seen.messages[0] as Message, replies[0] as Message]) {
    assert.deepEqual(header, { 'x-lines': 'a  Content-Length: 7  b\tc', 'x-space': 'around', 'x-upper': 'y' })
  }
  assert.equal(Buffer.from(replies[1]?.body ?? []).toString(), 'after')
})

test('a status is told and taken as :status', async () => {
  await using transport = httpTransport(undefined, context)
  const seen = await door(transport, ({ header }) => ({
    header: { ':status': header['x-status'] ?? '' },
    body: Buffer.from('why'),
  }))
  const replies: Message[] = []
  const connection = await transport.dial(seen.address, {
    ...ignore,
    message: (each) => void replies.push(each),
  })
  for (const [i, [status, told]] of [
    ['503', '503 Service Unavailable'],
    ['404 Nothing here', '404 Nothing here'],
    ['200', undefined],
  ].entries()) {
    connection.send({ header: { 'x-status': status as string }, body: Buffer.alloc(0) })
    await until('the answer has come', () => replies.length === i + 1)
    assert.equal(replies[i]?.header[':status'], told)
    assert.equal(Buffer.from(replies[i]?.body ?? []).toString(), 'why')
  }
  for (const status of ['204', '100', '999', 'x', '404\r\nX: y'])
    assert.throws(
      () => seen.connections[0]?.send({ header: { ':status': status }, body: Buffer.alloc(0) }),
      code('bad-request', /no status/),
    )
})

test('a request with Connection: close, or of HTTP/1.0, gets its answer and the end', async () => {
  const close = 'POST / HTTP/1.1\r\nConnection: x, Close\r\nContent-Length: 1\r\n\r\n'
  const old = 'POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\n'
  for (const head of [close, old]) {
    await atDoor(undefined, echo, async (peer, seen) => {
      // What comes behind it is not read.
      peer.socket.write(`${head}a${goRequest}`)
      await peer.ended()
      assert.equal(peer.text, 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\na')
      assert.deepEqual([seen.messages.length, seen.errors], [1, [undefined]])
      assert.throws(() => seen.connections[0]?.send({ header: {}, body: Buffer.alloc(0) }), code('closed'))
    })
  }
  await atDoor(undefined, undefined, async (peer, seen) => {
    peer.socket.write(`${goRequest}${goRequest}${close}a`)
    await until('all have come', () => seen.messages.length === 3)
    for (let i = 0; i < 3; i++) {
      await pause(5)
      assert.equal(peer.socket.readableEnded, false, `after ${i} of 3 responses`)
      seen.connections[0]?.send({ header: {}, body: Buffer.alloc(0) })
    }
    await peer.ended()
    assert.deepEqual(peer.statuses, [200, 200, 200])
  })
  await atDoor(undefined, echo, async (peer) => {
    for (let i = 1; i < 3; i++) {
      peer.socket.write('POST / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n')
      await until('it is answered', () => peer.statuses.length === i)
    }
    assert.equal(peer.socket.readableEnded, false)
  })
})

test('a response with Connection: close is the last: the connection ends, and takes no more', async () => {
  for (const head of ['HTTP/1.1 200 OK\r\nConnection: close', 'HTTP/1.0 200 OK']) {
    await using server = await rawServer(`${goResponse}${head}\r\nContent-Length: 1\r\n\r\na${goResponse}`)
    await using transport = httpTransport(undefined, context)
    const bodies: string[] = []
    const errors: unknown[] = []
    const connection = await transport.dial(server.address, {
      message: ({ body }) => void bodies.push(Buffer.from(body).toString()),
      closed: (error) => void errors.push(error),
    })
    connection.send({ header: {}, body: Buffer.alloc(0) })
    await until('the end is told', () => errors.length === 1)
    assert.deepEqual([bodies, errors], [['{"msg":"Hello John"}\n', 'a'], [undefined]])
    assert.throws(() => connection.send({ header: {}, body: Buffer.alloc(0) }), code('closed'))
  }
})

test('a client that expects 100 Continue gets it before it sends the body, and another expectation is refused', async () => {
  await atDoor(undefined, echo, async (peer) => {
    peer.socket.write('POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n')
    await until('it may go on', () => peer.text !== '')
    assert.equal(peer.text, 'HTTP/1.1 100 Continue\r\n\r\n')
    peer.socket.write('ab')
    await until('it is answered', () => peer.statuses.length === 2)
    // Without a body there is nothing to wait for, and HTTP/1.0 does not know it.
    peer.socket.write('POST / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n')
    peer.socket.write('POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na')
    await peer.ended()
    assert.deepEqual(peer.statuses, [100, 200, 200, 200])
  })
  await atDoor(undefined, echo, async (peer) => {
    peer.socket.write('POST / HTTP/1.1\r\nExpect: 200-ok\r\n\r\n')
    await peer.ended()
    assert.deepEqual(peer.statuses, [417])
  })
})

const post = 'POST / HTTP/1.1\r\n'
const small = { maxMessageBytes: 1000, maxHeaderBytes: 9000 }
const fields = (count: number) => Array.from({ length: count }, (_, i) => `x-${i}: \r\n`).join('')

/** What is no message, and the status that it is answered with. */
const refused: readonly [string, string, number][] = [
  ['a GET', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 405],
  ['a preflight', 'OPTIONS * HTTP/1.1\r\n\r\n', 405],
  ['an unknown method', 'BREW / HTTP/1.1\r\n\r\n', 501],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
  ['HTTP/0.9', 'POST /\r\n\r\n', 400],
  ['no request line', 'hello\r\n\r\n', 400],
  ['no method', '(x) / HTTP/1.1\r\n\r\n', 400],
  ['two spaces', 'POST  / HTTP/1.1\r\n\r\n', 400],
  ['the beginning of TLS', '\u0016\u0003\u0001\u0002\0\u0001', 400],
  ["the tcp transport's bytes", '\0\0\0\u0005\0abcd', 400],
  ['two empty lines', '\r\n\r\nPOST', 400],
  ['a field without a colon', `${post}x\r\n\r\n`, 400],
  ['a field without a name', `${post}: x\r\n\r\n`, 400],
  ['white space before a colon', `${post}x : y\r\n\r\n`, 400],
  ['a folded line', `${post}x: y\r\n z\r\n\r\n`, 400],
  ['a bare line feed', `${post}x: y\nz: a\r\n\r\n`, 400],
  ['a bare carriage return', `${post}x: y\rz\r\n\r\n`, 400],
  ['a NUL', `${post}x: y\0\r\n\r\n`, 400],
  ['a name of JavaScript', `${post}__proto__: y\r\n\r\n`, 400],
  ['two lengths', `${post}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`, 400],
  ['a list of lengths', `${post}Content-Length: 1, 1\r\n\r\na`, 400],
  ['a negative length', `${post}Content-Length: -1\r\n\r\n`, 400],
  ['a hexadecimal length', `${post}Content-Length: 0x1\r\n\r\n`, 400],
  ['an endless length', `${post}Content-Length: ${'9'.repeat(30)}\r\n\r\n`, 400],
  ['a length and chunks', `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
  ['chunks of HTTP/1.0', 'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
  ['a compressed body', `${post}Transfer-Encoding: gzip, chunked\r\n\r\n`, 501],
  ['two transfer encodings', `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`, 501],
  ['a body above the limit', `${post}Content-Length: 1001\r\n\r\n`, 413],
  ['a body and header above the limit', `${post}x: ${'y'.repeat(500)}\r\nContent-Length: 500\r\n\r\n`, 413],
  ['a chunk above the limit', `${post}Transfer-Encoding: chunked\r\n\r\n3e9`, 413],
  ['chunks above the limit', `${post}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n3e8`, 413],
  ['a header above the limit', `${post}x: ${'y'.repeat(9000)}\r\n\r\n`, 431],
  ['a header that does not end', `${post}x: ${'y'.repeat(9000)}`, 431],
  ['too many fields', `${post}${'te: x\r\n'.repeat(273)}\r\n`, 431],
  ['too many entries', `${post}${fields(257)}\r\n`, 431],
  ['a long first line', `POST /${'x'.repeat(8192)} HTTP/1.1\r\n\r\n`, 414],
  ['a first line that does not end', `POST /${'x'.repeat(8192)}`, 414],
  ['no chunk size', `${post}Transfer-Encoding: chunked\r\n\r\n\r\n`, 400],
  ['a long chunk size', `${post}Transfer-Encoding: chunked\r\n\r\n000000001`, 400],
  ['a chunk size that is none', `${post}Transfer-Encoding: chunked\r\n\r\n1g`, 400],
  ['a chunk line that does not end', `${post}Transfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(300)}`, 400],
  ['a chunk without its end', `${post}Transfer-Encoding: chunked\r\n\r\n1\r\nab`, 400],
  ['a chunk size with a space inside', `${post}Transfer-Encoding: chunked\r\n\r\n1 1\r\na\r\n0\r\n\r\n`, 400],
  ['a chunk line with a line feed', `${post}Transfer-Encoding: chunked\r\n\r\n1;x\n`, 400],
  ['a trailer that does not end', `${post}Transfer-Encoding: chunked\r\n\r\n0\r\nx:${'y'.repeat(9000)}`, 431],
  ['a trailer without a colon', `${post}Transfer-Encoding: chunked\r\n\r\n0\r\nx\r\n\r\n`, 400],
  ['a trailer that is folded', `${post}Transfer-Encoding: chunked\r\n\r\n0\r\n x: y\r\n\r\n`, 400],
]

test('what is no message is answered with the status that says why, and costs one connection', async () => {
  await using transport = httpTransport(small, context)
  const seen = await door(transport, echo)
  using good = await HttpPeer.dial(seen.address)
  for (const [i, [what, bytes, status]] of refused.entries()) {
    using peer = await HttpPeer.dial(seen.address)
    peer.socket.write(bytes)
    await peer.ended()
    assert.deepEqual(peer.statuses, [status], `${what}: ${peer.text}`)
    assert.match(peer.text, /^Connection: close\r$/m)
    assert.equal(/^Allow: POST\r$/m.test(peer.text), status === 405)
    await until('it is told', () => seen.errors.length === i + 1)
    assert.equal(seen.errors[i]?.code, 'protocol', what)
  }
  assert.equal(seen.messages.length, 0)
  good.socket.write(goRequest)
  await until('a good one is served', () => good.statuses.length === 1)
})

test('what came before a malformed request is answered first, and one that ends inside a message is told', async () => {
  await atDoor(undefined, echo, async (peer, seen) => {
    peer.socket.write(`${goRequest}${goEndOfStream}GET / HTTP/1.1\r\n\r\n${goRequest}`)
    await until('the other side ends', () => peer.socket.readableEnded)
    assert.equal(seen.errors.length, 0, 'the connection is there until the peer has heard it out')
    await peer.ended()
    assert.deepEqual(peer.statuses, [200, 200, 405])
  })
  for (const half of [goRequest.slice(0, 20), goRequest.slice(0, -1), goEndOfStream.slice(0, -2)]) {
    await atDoor(undefined, echo, async (peer, seen) => {
      peer.socket.end(half)
      await until('it is told', () => seen.errors.length === 1)
      assert.equal(seen.errors[0]?.code, 'protocol')
    })
  }
})

test('a peer that goes on sending after it was refused is cut off', async () => {
  await atDoor(small, undefined, async (peer, seen) => {
    peer.socket.write('GET / HTTP/1.1\r\n\r\n')
    const flood = setInterval(() => peer.socket.write(Buffer.alloc(10_000)), 1)
    try {
      await until('the connection ends', () => seen.errors.length === 1)
    } finally {
      clearInterval(flood)
    }
    assert.deepEqual([peer.statuses, seen.errors[0]?.code, seen.messages.length], [[405], 'protocol', 0])
  })
})

test('a malformed response ends the connection with protocol', async () => {
  for (const bytes of [
    'hello\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n',
    `HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(1001)}`,
    'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    'HTTP/1.1 20 OK\r\n\r\n',
    '\u0015\u0003\u0001\0\u0002\u0002F',
  ]) {
    await using server = await rawServer(bytes)
    await using transport = httpTransport(small, context)
    const errors: (ServiceError | undefined)[] = []
    const connection = await transport.dial(server.address, {
      message: () => assert.fail('nothing is handed over'),
      closed: (error) => void errors.push(error),
    })
    connection.send({ header: {}, body: Buffer.alloc(0) })
    await until('the end is told', () => errors.length === 1)
    assert.equal(errors[0]?.code, 'protocol', bytes.slice(0, 60))
  }
})

test('a header above its limit is refused with too-large when it is sent, and one at the limits arrives', async () => {
  await using transport = httpTransport(small, context)
  const seen = await door(transport)
  const connection = await transport.dial(seen.address, ignore)
  const entries = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, '']))
  assert.throws(
    () => connection.send({ header: entries(257), body: Buffer.alloc(0) }),
    code('too-large', /257/),
  )
  assert.throws(
    () => connection.send({ header: { x: 'y'.repeat(500) }, body: Buffer.alloc(500) }),
    code('too-large', /a message of 1001 bytes/),
  )
  connection.send({ header: { x: 'y'.repeat(499) }, body: Buffer.alloc(500) })
  connection.send({ header: { x: 'ü'.repeat(249) }, body: Buffer.alloc(501) })
  await until('both have come', () => seen.messages.length === 2)
  await using wide = httpTransport({ maxHeaderBytes: 9000 }, context)
  const other = await door(wide)
  const dialled = await wide.dial(other.address, ignore)
  assert.throws(
    () => dialled.send({ header: { x: 'y'.repeat(9000) }, body: Buffer.alloc(0) }),
    code('too-large', /a header of .* is above the limit of 9000/),
  )
  dialled.send({ header: entries(256), body: Buffer.alloc(0) })
  await until('all entries have come', () => other.messages.length === 1)
  assert.equal(Object.keys(other.messages[0]?.header ?? {}).length, 256)
})

test('a message that is not whole in time is refused with 408; silence, and one after another, are not', async () => {
  await atDoor({ messageTimeoutMs: 60 }, echo, async (peer, seen) => {
    using silent = await HttpPeer.dial(seen.address)
    using busy = await HttpPeer.dial(seen.address)
    // One request ends and the next begins with each write: the connection is never without half of one.
    busy.socket.write(goRequest.slice(0, 50))
    const more = setInterval(() => busy.socket.write(goRequest.slice(50) + goRequest.slice(0, 50)), 10)
    try {
      // Bytes that trickle in do not help.
      peer.socket.write(goRequest.slice(0, 40))
      const trickle = setInterval(() => peer.socket.write('x'), 10)
      await peer.ended().finally(() => clearInterval(trickle))
      assert.deepEqual(peer.statuses, [408])
      assert.equal(seen.errors[0]?.code, 'timeout')
      await pause(150)
      assert.deepEqual([silent.text, busy.statuses.includes(408)], ['', false])
    } finally {
      clearInterval(more)
    }
  })
})

test('a connection that is paused does not time out for what waits unread', async () => {
  await atDoor({ messageTimeoutMs: 40 }, echo, async (peer, seen) => {
    peer.socket.write(goRequest.slice(0, 50))
    await until('it is accepted', () => seen.connections.length === 1)
    await pause(10)
    seen.connections[0]?.pause()
    peer.socket.write(goRequest.slice(50))
    await pause(120)
    seen.connections[0]?.resume()
    await until('it is answered', () => peer.statuses.length === 1)
    assert.deepEqual(peer.statuses, [200])
  })
})

test('a thousand connections that send nothing or half a message cost a few kilobytes each', async () => {
  await using transport = httpTransport(undefined, context)
  const seen = await door(transport, echo)
  const child = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `import { connect } from 'node:net'
     const [host, port] = ${JSON.stringify(seen.address)}.split(':')
     const parts = ['', 'POST / HTTP/1.1\\r\\nX: y', 'POST / HTTP/1.1\\r\\nContent-Length: 4000000\\r\\n\\r\\nabc',
       'POST / HTTP/1.1\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n3fffff\\r\\nabc']
     for (let i = 0; i < 1000; i++) connect(Number(port), host).write(parts[i % 4])
     setInterval(() => {}, 1000)`,
  ])
  try {
    globalThis.gc?.()
    const before = process.memoryUsage()
    await until('all are there', () => seen.connections.length === 1000, 20_000)
    await pause(100)
    globalThis.gc?.()
    const after = process.memoryUsage()
    const each = (after.heapUsed + after.external - before.heapUsed - before.external) / 1000
    assert.ok(each < 20_000, `each costs ${Math.round(each)} bytes`)
    using good = await HttpPeer.dial(seen.address)
    good.socket.write(goRequest)
    await until('a good one is served', () => good.statuses.length === 1)
  } finally {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await until('they are gone', () => seen.errors.length >= 1000)
})

test("Node's own HTTP client is answered, and its own server answers", async () => {
  await using transport = httpTransport(undefined, context)
  const seen = await door(transport, ({ body }) => ({ header: { 'x-a': 'b' }, body }))
  const posted = await fetch(`http://${seen.address}/any`, { method: 'POST', body: 'hello' })
  assert.deepEqual([posted.status, posted.headers.get('x-a'), await posted.text()], [200, 'b', 'hello'])
  assert.equal((await fetch(`http://${seen.address}/`)).status, 405)
  const chunked = request(`http://${seen.address}`, { method: 'POST', headers: { expect: '100-continue' } })
  chunked.on('continue', () => {
    chunked.write('a')
    chunked.end('b')
  })
  const [response] = (await once(chunked.flushHeaders() ?? chunked, 'response')) as [AsyncIterable<Buffer>]
  let text = ''
  for await (const chunk of response) text += String(chunk)
  assert.equal(text, 'ab')
  const h2 = connectHttp2(`http://${seen.address}`)
  await once(h2, 'error')

  const server = createServer((incoming, outgoing) => {
    // Without a length the answer is chunked.
    incoming.on('data', (chunk) => outgoing.write(chunk)).on('end', () => outgoing.end('!'))
    outgoing.setHeader('x-name', incoming.headers['x-name'] ?? '')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const replies: Message[] = []
    const connection = await transport.dial(`127.0.0.1:${(server.address() as AddressInfo).port}`, {
      ...ignore,
      message: (each) => void replies.push(each),
    })
    for (let i = 0; i < 3; i++)
      connection.send({ header: { 'x-name': String(i) }, body: Buffer.alloc(50_000, 'x') })
    await until('all are answered', () => replies.length === 3)
    assert.deepEqual(
      replies.map(({ header, body }) => [header['x-name'], body.length]),
      ['0', '1', '2'].map((name) => [name, 50_001]),
    )
    await connection.close()
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

comply(test, 'rpc over http', clientServerCases, {
  create: () => new RpcSubject(httpTransport(undefined, context), '', '127.0.0.1:1'),
})

test('--transport_address is refused where nothing is between nodes, and says what to use', async () => {
  for (const name of ['tcp', 'http', 'unix']) {
    const service = createService({ name: 'greeter', logger: 'noop', registry: 'memory' })
    try {
      await assert.rejects(
        async () => {
          await service.init([`--transport=${name}`, '--transport_address=127.0.0.1:0'], {})
          await service.start()
        },
        code('invalid-option', new RegExp(`the ${name} transport has no server.*use --server_address`)),
      )
    } finally {
      await service.stop()
    }
  }
  const service = createService({ name: 'greeter', logger: 'noop', registry: 'memory' })
  await service.init(['--transport=memory', '--transport_address=127.0.0.1:0'], {})
  await service.start()
  await service.stop()
})
