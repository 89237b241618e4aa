import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServiceError } from '@micrograft/contracts'
import { until } from '@micrograft/testing'
import { callHeader, RawHttp, rawRequest, rawResponse, type RawMessage } from './support/mucp-raw.js'
import { code, rawNode, request, serveMucp } from './support/mucp-peers.js'

const lines = (message: RawMessage) => [...message.lines].sort()
const json = 'application/json'

/** What `client.Call` of go-micro 2.9.1 sends first, to the byte, but for the port. */
const goRequest = `POST / HTTP/1.1\r
Host: 127.0.0.1:8080\r
User-Agent: Go-http-client/1.1\r
Content-Length: 35\r
Accept: application/json\r
Content-Type: application/json\r
Micro-Endpoint: Say.Hello\r
Micro-From-Service: caller\r
Micro-Id: 0\r
Micro-Method: Say.Hello\r
Micro-Service: greeter\r
Timeout: 5000000000\r
\r
{"name":"John \\u003c\\u0026\\u003e"}
`

/** What its server answers. */
const goResponse = `HTTP/1.1 200 OK\r
Content-Length: 21\r
Accept: application/json\r
Content-Type: application/json\r
Micro-Endpoint: Say.Hello\r
Micro-From-Service: caller\r
Micro-Id: 0\r
Micro-Method: Say.Hello\r
Micro-Service: greeter\r
Timeout: 5000000000\r
User-Agent: Go-http-client/1.1\r
X-Micro-Id: 0\r
\r
{"msg":"Hello John"}
`

test("a call has the header lines and the body of go-micro's", async () => {
  await using it = await rawNode((_, peer) => peer.send(goResponse))
  const [head = '', body = ''] = goRequest.split('\r\n\r\n')
  const reply = await it.call({ body: Buffer.from(body) })
  const sent = await (it.peers[0] as RawHttp).message()
  const timeout = Number(sent.header['timeout'])
  assert.ok(timeout > 4_500_000_000 && timeout <= 5_000_000_000 && timeout % 1_000_000 === 0, `${timeout}`)
  const [first, ...expected] = head.split('\r\n')
  assert.equal(sent.firstLine, first)
  assert.deepEqual(
    lines(sent).map((line) =>
      line.replace(/^Timeout: .*/, 'Timeout: 5000000000').replace(it.node.address, '127.0.0.1:8080'),
    ),
    expected.filter((line) => !line.startsWith('User-Agent')).sort(),
  )
  assert.equal(sent.body.toString(), body)
  assert.equal(reply.body.toString(), '{"msg":"Hello John"}\n')
  assert.equal(reply.contentType, json)
  assert.deepEqual(reply.metadata, {})
})

test("a call of go-micro's is answered with its lines, without the echo of the request", async () => {
  let seen: unknown
  await using served = await serveMucp({
    unary({ service, endpoint, contentType, metadata, deadline }, body) {
      seen = { service, endpoint, contentType, metadata, body: Buffer.from(body).toString() }
      assert.ok(deadline && deadline - Date.now() > 4000 && deadline - Date.now() <= 5001)
      return Buffer.from('{"msg":"Hello John"}\n')
    },
  })
  using peer = await RawHttp.dial(served.address)
  peer.send(goRequest)
  const reply = await peer.message()
  assert.equal(reply.firstLine, 'HTTP/1.1 200 OK')
  assert.deepEqual(lines(reply), [
    'Content-Length: 21',
    'Content-Type: application/json',
    'Micro-Id: 0',
    'X-Micro-Id: 0',
  ])
  assert.equal(reply.body.toString(), '{"msg":"Hello John"}\n')
  assert.deepEqual(seen, {
    service: 'greeter',
    endpoint: 'Say.Hello',
    contentType: json,
    metadata: { 'micro-from-service': 'caller' },
    body: '{"name":"John \\u003c\\u0026\\u003e"}\n',
  })
})

test('an empty reply has no content type of its own', async () => {
  await using served = await serveMucp({ unary: () => Buffer.alloc(0) })
  using peer = await RawHttp.dial(served.address)
  peer.send(goRequest)
  assert.deepEqual(lines(await peer.message()), ['Content-Length: 0', 'Micro-Id: 0', 'X-Micro-Id: 0'])
})

test('what a kept connection repeats of its first request is no reply metadata, and no content type', async () => {
  const repeated = { Accept: json, 'Content-Type': json, 'X-Tenant': 'first', 'Micro-From-Service': 'caller' }
  let count = 0
  await using it = await rawNode((message, peer) =>
    peer.send(
      rawResponse({ ...repeated, 'X-Micro-Id': message.header['micro-id'] as string, 'X-Own': `${count++}` }),
    ),
  )
  const first = await it.call({ metadata: { 'x-tenant': 'first' } })
  assert.deepEqual(first.metadata, { 'x-own': '0' })
  const second = await it.call({ metadata: { 'x-tenant': 'second' }, contentType: 'application/protobuf' })
  assert.equal(it.peers.length, 1)
  assert.deepEqual(second.metadata, { 'x-own': '1' })
  assert.equal(second.contentType, 'application/protobuf')
})

const goError = '{"id":"greeter","code":400,"detail":"bad\\nname","status":"Bad Request"}'

test("an error is go-micro's JSON in Micro-Error and its twin, to the byte, with an empty body", async () => {
  await using served = await serveMucp({
    unary: () => {
      throw new ServiceError('bad-request', 'bad\nname', { id: 'greeter' })
    },
  })
  using peer = await RawHttp.dial(served.address)
  peer.send(goRequest)
  const reply = await peer.message()
  assert.equal(reply.firstLine, 'HTTP/1.1 200 OK')
  assert.deepEqual(lines(reply), [
    'Content-Length: 0',
    `Micro-Error: ${goError}`,
    'Micro-Id: 0',
    `X-Micro-Error: ${goError}`,
    'X-Micro-Id: 0',
  ])
})

const errors: readonly [string, string, string, string][] = [
  [goError, 'bad-request', 'greeter', 'bad\nname'],
  ['{"id":"x","code":401,"status":"Unauthorized"}', 'unauthenticated', 'x', 'Unauthorized'],
  ['{"id":"x","code":418,"detail":"tea"}', 'bad-request', 'x', 'tea'],
  ['{"code":500,"detail":"grüße"}', 'internal', 'greeter', 'grüße'],
  [
    '{"id":"go.micro.client","code":408,"detail":"call timeout"}',
    'timeout',
    'go.micro.client',
    'call timeout',
  ],
  ['{"id":"x","detail":"code 0"}', 'internal', 'x', 'code 0'],
  ['plain text', 'internal', 'greeter', 'plain text'],
  ['{"no":"json', 'internal', 'greeter', '{"no":"json'],
  ['{"id":7}', 'internal', 'greeter', '{"id":7}'],
  ["rpc: can't find service X", 'not-found', 'greeter', "rpc: can't find service X"],
  ["rpc: can't find method X", 'not-found', 'greeter', "rpc: can't find method X"],
  [
    'rpc: service/endpoint request ill-formed: X',
    'bad-request',
    'greeter',
    'rpc: service/endpoint request ill-formed: X',
  ],
  [
    'rpc: router cannot decode request: EOF',
    'bad-request',
    'greeter',
    'rpc: router cannot decode request: EOF',
  ],
]

test('every error that a Go server sends is read for what it is', async () => {
  let text = ''
  await using it = await rawNode((_, peer) =>
    peer.send(rawResponse({ 'Micro-Error': text, 'X-Micro-Error': text })),
  )
  for (const [sent, expected, id, detail] of errors) {
    text = sent
    await assert.rejects(it.call(), { code: expected, id, message: detail }, sent)
  }
})

test('a content type that a Go server does not know is unsupported-content', async () => {
  await using it = await rawNode((_, peer) =>
    peer.send(rawResponse({ 'Content-Type': 'text/plain' }, 'Unsupported Content-Type: text/html')),
  )
  await assert.rejects(it.call({ contentType: 'text/html' }), code('unsupported-content', /text\/html/))
})

test('another status than 200 is an error with status and body', async () => {
  await using it = await rawNode((_, peer) => peer.send(rawResponse({}, 'nothing here\n', '404 Not Found')))
  await assert.rejects(it.call(), code('not-found', /^404 Not Found: nothing here$/))
})

const protoRequest = '000000140a095361792e48656c6c6f110100000000000000000000060a044a6f686e'
const protoReply = '000000091101000000000000000000000c0a0a48656c6c6f204a6f686e'

const envelopes = [
  {
    contentType: 'application/json-rpc',
    innerType: json,
    legacyType: json,
    id: '0',
    request: Buffer.from('{"method":"Say.Hello","params":[{"name":"John"}],"id":"0"}\n'),
    reply: Buffer.from('{"id":"0","result":{"msg":"Hello John"},"error":null}\n'),
    error: Buffer.from(`{"id":"0","result":null,"error":${JSON.stringify(goError)}}\n`),
    inner: Buffer.from('{"name":"John"}'),
    answer: Buffer.from('{"msg":"Hello John"}'),
  },
  {
    contentType: 'application/proto-rpc',
    innerType: 'application/protobuf',
    legacyType: 'application/protobuf',
    id: '1',
    request: Buffer.from(protoRequest, 'hex'),
    reply: Buffer.from(protoReply, 'hex'),
    error: Buffer.from(
      '000000521101000000000000001a47' + Buffer.from(goError).toString('hex') + '00000000',
      'hex',
    ),
    inner: Buffer.from('0a044a6f686e', 'hex'),
    answer: Buffer.from('0a0a48656c6c6f204a6f686e', 'hex'),
  },
]

for (const each of envelopes) {
  const { contentType, innerType, legacyType, id } = each

  test(`a call in ${contentType} has its bytes, and its reply is read`, async () => {
    await using it = await rawNode((message, peer) => {
      if (message.header['micro-id'] === id)
        peer.send(rawResponse({ 'Content-Type': contentType }, each.reply))
      else peer.send(rawResponse({ 'Content-Type': contentType }, each.error))
    })
    if (id === '1') await it.call({ contentType }).catch(() => undefined)
    const reply = await it.call({ contentType, body: each.inner })
    const sent = (it.peers[0] as RawHttp).messages.at(-1) as RawMessage
    assert.deepEqual(sent.body, each.request)
    assert.equal(sent.header['content-type'], contentType)
    assert.deepEqual(reply.body, each.answer)
    assert.equal(reply.contentType, innerType)
    await assert.rejects(it.call({ contentType }), code('bad-request', /^bad\nname$/))
  })

  test(`a node that names no protocol gets ${legacyType} in ${contentType}`, async () => {
    await using it = await rawNode((_, peer) => peer.send(rawResponse({}, each.reply)))
    const node = { ...it.node, metadata: { server: 'rpc', transport: 'http' } }
    await it.client.call(node, request({ contentType: legacyType, body: each.inner }))
    const sent = await (it.peers[0] as RawHttp).message()
    assert.equal(sent.header['content-type'], contentType)
    assert.equal(sent.header['accept'], legacyType)
  })

  for (const [what, header] of [
    ['with headers', callHeader('Say.Hello', { 'Content-Type': contentType, 'Micro-Id': id })],
    ['of before there were headers', { 'Content-Type': legacyType }],
    [
      'that says a target',
      { 'Content-Type': legacyType, 'Micro-Target': 'greeter', 'Micro-Service': 'greeter' },
    ],
  ] as const) {
    test(`a server takes ${contentType} ${what} and answers in it`, async () => {
      let fails = false
      await using served = await serveMucp({
        unary(incoming, body) {
          if (fails) throw new ServiceError('bad-request', 'bad\nname', { id: 'greeter' })
          assert.deepEqual([incoming.endpoint, incoming.contentType], ['Say.Hello', innerType])
          assert.deepEqual(Buffer.from(body), each.inner)
          return each.answer
        },
      })
      using peer = await RawHttp.dial(served.address)
      peer.send(rawRequest(header, each.request))
      const reply = await peer.message()
      assert.deepEqual(reply.body, each.reply)
      assert.equal(reply.header['content-type'], header['Content-Type'])
      assert.equal(reply.header['micro-id'], id)
      fails = true
      peer.send(rawRequest(header, each.request))
      const failure = await peer.message(2)
      assert.equal(failure.header['micro-error'], goError)
      assert.deepEqual(failure.body, each.error)
    })
  }
}

test('what is inside a JSON envelope goes on as it is, to the digit', async () => {
  const inner = '{ "n": 12345678901234567890.10, "s": "]}\\"{[", "a": [[], {}, "\\\\"] }'
  await using served = await serveMucp()
  using peer = await RawHttp.dial(served.address)
  const header = callHeader('Say.Hello', { 'Content-Type': 'application/json-rpc' })
  peer.send(
    rawRequest(header, ` { "id" : 7 , "params" : [ ${inner} , "more" ] , "method" : "Say.Hello" } trailing`),
  )
  const reply = await peer.message()
  assert.equal(reply.body.toString(), `{"id":"7","result":${inner},"error":null}\n`)
  await using it = await rawNode((_, each) => each.send(rawResponse({}, reply.body)))
  assert.equal((await it.call({ contentType: 'application/json-rpc' })).body.toString(), inner)
})

test('a request without a content type is protobuf', async () => {
  let seen = ''
  await using served = await serveMucp({
    unary: ({ contentType }, body) => {
      seen = contentType
      return body
    },
  })
  using peer = await RawHttp.dial(served.address)
  peer.send(rawRequest({ 'Micro-Endpoint': 'Say.Hello' }))
  await peer.message()
  assert.equal(seen, 'application/protobuf')
})

test('headers with X- stand for those without, and method and endpoint for each other', async () => {
  await using served = await serveMucp({
    unary: ({ service, endpoint }) => Buffer.from(`${service} ${endpoint}`),
  })
  using peer = await RawHttp.dial(served.address)
  peer.send(
    rawRequest({ 'X-Micro-Service': 'greeter', 'X-Micro-Endpoint': 'Say.Hello', 'Content-Type': json }),
    rawRequest({ 'X-Micro-Service': 'greeter', 'X-Micro-Method': 'Say.Hello', 'Content-Type': json }),
    rawRequest({ 'Micro-Service': 'greeter', 'Micro-Method': 'Say.Hello', 'Content-Type': json }),
  )
  await peer.message(3)
  assert.deepEqual(
    peer.messages.map(({ body }) => body.toString()),
    ['greeter Say.Hello', 'greeter Say.Hello', 'greeter Say.Hello'],
  )
})

test('an event is answered as unsupported: the contracts have no place for one', async () => {
  await using served = await serveMucp()
  using peer = await RawHttp.dial(served.address)
  peer.send(rawRequest({ 'Micro-Topic': 'orders', 'Content-Type': json }, '{}'))
  assert.match((await peer.message()).header['micro-error'] ?? '', /"code":501/)
})

const streamHeader = {
  ...callHeader('Stream.Echo'),
  'Micro-Id': '4',
  'Micro-Stream': '4',
  'Micro-Method': 'Stream.Echo',
}

test("a stream goes as go-micro's client and this server say it", async () => {
  const got: string[] = []
  let ended = false
  await using served = await serveMucp({
    async stream(_, stream) {
      for await (const each of stream.messages) {
        got.push(Buffer.from(each).toString())
        await stream.send(each)
      }
      ended = true
    },
  })
  using peer = await RawHttp.dial(served.address)
  // The body of the first message is thrown away; the last is what Go makes of a body that is there and empty.
  peer.send(rawRequest(streamHeader, '{"opens":true}\n'))
  peer.send(rawRequest(streamHeader, '"a"\n'), rawRequest(streamHeader, '"b"\n'))
  const first = await peer.message(2)
  assert.deepEqual(got, ['"a"\n', '"b"\n'])
  assert.equal(first.body.toString(), '"b"\n')
  assert.deepEqual(lines(first), [
    'Content-Length: 4',
    'Content-Type: application/json',
    'Micro-Endpoint: Stream.Echo',
    'Micro-Id: 4',
    'Micro-Method: Stream.Echo',
    'Micro-Service: greeter',
    'Micro-Stream: 4',
    'X-Micro-Endpoint: Stream.Echo',
    'X-Micro-Id: 4',
    'X-Micro-Method: Stream.Echo',
    'X-Micro-Service: greeter',
  ])
  const last = Object.entries({ ...streamHeader, 'Micro-Error': 'EOS' }).map(
    ([name, value]) => `${name}: ${value}`,
  )
  peer.send(
    `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n${last.join('\r\n')}\r\n\r\n0\r\n\r\n`,
  )
  await until('the handler has seen the end', () => ended)
  const end = await peer.message(3)
  assert.equal(end.header['micro-error'], 'EOS')
  assert.equal(end.header['x-micro-error'], 'EOS')
  assert.equal(end.body.length, 0)
})

test("a stream goes as this client and go-micro's server say it", async () => {
  await using it = await rawNode((message, peer) => {
    if (message.header['micro-error'] === 'EOS') return peer.send(rawResponse({ 'Micro-Error': 'EOS' }))
    if (message.body.length > 0) peer.send(rawResponse({ 'Content-Type': json, Accept: json }, message.body))
  })
  await it.call({ timeoutMs: 1 }).catch(() => undefined)
  const stream = await it.client.stream(it.node, request({ endpoint: 'Stream.Echo' }))
  await stream.send(Buffer.from('"a"'))
  const answers = stream.messages[Symbol.asyncIterator]()
  assert.equal(Buffer.from((await answers.next()).value as Uint8Array).toString(), '"a"')
  await stream.end()
  assert.equal((await answers.next()).done, true)
  const { messages } = it.peers.at(-1) as RawHttp
  assert.equal(messages.length, 3)
  for (const { header } of messages) {
    assert.equal(header['micro-stream'], header['micro-id'])
    assert.equal(header['micro-endpoint'], 'Stream.Echo')
  }
  assert.equal(messages[0]?.body.length, 0)
  assert.equal(messages[2]?.header['micro-error'], 'EOS')
})
