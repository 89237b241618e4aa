import assert from 'node:assert/strict'
import { connect, createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { ServiceError, type Client, type Node, type UnaryRequest } from '@micrograft/contracts'
import { grpcClient, grpcServer } from '@micrograft/grpc'
import { componentContext } from '@micrograft/testing'
import { errorOfStatus, errorTrailers, percentDecode, percentEncode } from '../dist/grpc-error.js'
import { readMetadata, writeMetadata } from '../dist/grpc-metadata.js'
import { statusOfWireCode } from '../dist/grpc-status.js'
import { parsePath, pathOf } from '../dist/grpc-path.js'
import { readTimeout, timeoutHeaders } from '../dist/grpc-timeout.js'
import { readStatusDetails, writeStatusDetails } from '../dist/status-details.js'
import { dispatcherOf, TestDoor } from './support/grpc-subject.js'

const json = '{"id":"greeter","code":400,"detail":"bad name","status":"Bad Request"}'
const details =
  'CAMSRnsiaWQiOiJncmVldGVyIiwiY29kZSI6NDAwLCJkZXRhaWwiOiJiYWQgbmFtZSIsInN0YXR1cyI6IkJhZCBSZXF1ZXN0In0aRwogdHlwZS5nb29nbGVhcGlzLmNvbS9lcnJvcnMuRXJyb3ISIwoHZ3JlZXRlchCQAxoIYmFkIG5hbWUiC0JhZCBSZXF1ZXN0'
const wire = { id: 'greeter', code: 400, detail: 'bad name', status: 'Bad Request' }

test("the details of a status are go-micro's, to the byte", () => {
  assert.equal(writeStatusDetails(3, json, wire), details)
  assert.deepEqual(readStatusDetails(details), wire)
  const inner = '0a07677265657465721090031a08626164206e616d65220b4261642052657175657374'
  assert.ok(Buffer.from(details, 'base64').toString('hex').endsWith(inner))
})

test("an error ends a call as go-micro's do, to the byte", () => {
  const error = new ServiceError('bad-request', 'bad name', { id: 'greeter' })
  assert.deepEqual(errorTrailers(error), {
    'grpc-status': '3',
    'grpc-message': json,
    'grpc-status-details-bin': details,
  })
  assert.equal(
    errorTrailers(new ServiceError('internal', '<a & b>\n100% ü', { id: 'x' }))['grpc-message'],
    '{"id":"x","code":500,"detail":"\\u003ca \\u0026 b\\u003e\\n100%25 %C3%BC","status":"Internal Server Error"}',
  )
})

test("numbers become the statuses of go-micro's table", () => {
  const table = {
    200: 0,
    400: 3,
    401: 16,
    403: 7,
    404: 5,
    408: 4,
    409: 6,
    412: 9,
    500: 13,
    501: 12,
    503: 14,
    418: 2,
  }
  for (const [code, status] of Object.entries(table))
    assert.equal(statusOfWireCode(Number(code)), status, code)
})

test('an error is read from the details, else from JSON in the message, else from the status', () => {
  const read = (headers: Record<string, string>) => {
    const error = errorOfStatus(headers, 'greeter')
    return error && [error.code, error.id, error.message]
  }
  assert.equal(read({ 'grpc-status': '0' }), undefined)
  const other = { 'grpc-status': '2', 'grpc-message': 'other' }
  assert.deepEqual(read({ ...other, 'grpc-status-details-bin': details }), [
    'bad-request',
    'greeter',
    'bad name',
  ])
  assert.deepEqual(read({ ...other, 'grpc-status-details-bin': '!!' }), ['internal', 'greeter', 'other'])
  assert.deepEqual(read({ 'grpc-status': '3', 'grpc-message': percentEncode(json) }), [
    'bad-request',
    'greeter',
    'bad name',
  ])
  assert.deepEqual(read({ 'grpc-status': '2', 'grpc-message': '{"code":0}' }), [
    'internal',
    'greeter',
    '{"code":0}',
  ])
  const plain: Record<number, string> = {
    1: 'canceled',
    2: 'internal',
    3: 'bad-request',
    4: 'timeout',
    5: 'not-found',
    6: 'conflict',
    7: 'forbidden',
    8: 'overloaded',
    9: 'conflict',
    10: 'conflict',
    11: 'bad-request',
    12: 'unsupported',
    13: 'internal',
    14: 'unavailable',
    15: 'internal',
    16: 'unauthenticated',
    99: 'internal',
  }
  for (const [status, code] of Object.entries(plain)) {
    assert.deepEqual(read({ 'grpc-status': status, 'grpc-message': 'why' }), [code, 'greeter', 'why'])
  }
  const large = { 'grpc-status': '8', 'grpc-message': 'grpc: received message larger than max (5 vs. 4)' }
  assert.equal(read(large)?.[0], 'too-large')
  assert.equal(read({ 'grpc-status': 'x' })?.[0], 'protocol')
})

test('messages of a status are percent-encoded and back', () => {
  for (const each of ['', 'plain ~!"', '100%', 'ü✓💡', 'a\nb\0', '%zz']) {
    assert.match(percentEncode(each), /^[ -~]*$/)
    assert.equal(percentDecode(percentEncode(each)), each)
  }
  assert.equal(percentDecode('%zz'), '%zz')
  assert.equal(percentEncode('\ud800'), '%EF%BF%BD')
})

test('a message that was not percent-encoded is read as UTF-8', () => {
  assert.equal(percentDecode(Buffer.from('größe ✓').toString('latin1')), 'größe ✓')
})

test('an error of any text fits the headers that peers take', () => {
  for (const each of ['漢', '💡', '<', '"', '\n', '\x01', 'x', 'ü']) {
    const headers = errorTrailers(new ServiceError('conflict', each.repeat(5000)))
    const bytes = Object.entries(headers).reduce(
      (sum, [name, value]) => sum + name.length + value.length + 32,
      0,
    )
    assert.ok(bytes < 65_000, `${JSON.stringify(each)} makes ${bytes} bytes`)
    const { detail } = readStatusDetails(headers['grpc-status-details-bin'] as string) ?? { detail: '' }
    assert.match(detail, new RegExp(`^(?:${each})+…$`, 'u'))
    assert.ok(Buffer.byteLength(detail) > 4000)
  }
})

test('binary metadata goes as it is where it is base64, and is carried where it is none', () => {
  const sent = (value: string) => {
    const headers: Record<string, string | string[]> = {}
    writeMetadata({ 'x-bin': value }, headers)
    assert.deepEqual(readMetadata(headers as Record<string, string>), { 'x-bin': value })
    return headers['x-bin'] === value
  }
  for (const each of ['', 'aGVsbG8=', 'aGVsbG8', 'aGVs', 'aG8=,aGVs', 'aG8, aGVs'])
    assert.ok(sent(each), each)
  for (const each of ['hello', 'a', 'a b', 'aGVsbG8==', '=', 'aG=8', 'aGVs aGVs', 'ü'])
    assert.ok(!sent(each), each)
})

test('endpoints make the paths of go-micro, and paths the endpoints', () => {
  assert.equal(pathOf('greeter', 'Say.Hello'), '/greeter.Say/Hello')
  assert.equal(pathOf('go.micro.srv.greeter', 'Say.Hello'), '/go.micro.srv.greeter.Say/Hello')
  assert.equal(pathOf('', 'Say.Hello'), '/Say/Hello')
  assert.equal(pathOf('greeter', '/any.Thing/Else'), '/any.Thing/Else')
  for (const none of ['', 'Hello', 'a.b.c', 'Say.', 'S y.Hello', 'Say.Hel/lo'])
    assert.throws(() => pathOf('greeter', none), { code: 'bad-request' }, none)
  assert.throws(() => pathOf('gre/eter', 'Say.Hello'), { code: 'bad-request' })
  assert.deepEqual(parsePath('/go.micro.Say/Hello'), { service: 'go.micro', endpoint: 'Say.Hello' })
  assert.deepEqual(parsePath('/Say/Hello'), { service: '', endpoint: 'Say.Hello' })
  for (const none of ['/', '/Say', '/Say/', '//Hello', '/a/b/c', 'Say/Hello', '/a./Hello'])
    assert.equal(parsePath(none), undefined, none)
})

test('deadlines are written and read as gRPC and go-micro have them', () => {
  assert.deepEqual(timeoutHeaders(5000), { 'grpc-timeout': '5000m', timeout: '5000000000' })
  assert.deepEqual(timeoutHeaders(0.5), { 'grpc-timeout': '1m', timeout: '500000' })
  assert.equal(timeoutHeaders(100_000_000)['grpc-timeout'], '100000S')
  assert.equal(timeoutHeaders(1e12)['grpc-timeout'], '277778H')
  assert.equal(timeoutHeaders(1e15)['grpc-timeout'], '99999999H')
  assert.deepEqual(timeoutHeaders(undefined), {})
  assert.equal(readTimeout('5S', undefined), 5000)
  assert.equal(readTimeout('1H', undefined), 3_600_000)
  assert.equal(readTimeout('2000u', undefined), 2)
  assert.equal(readTimeout('99999999H', undefined), 99_999_999 * 3_600_000)
  assert.equal(readTimeout(undefined, '1500000'), 1.5)
  assert.equal(readTimeout('10S', '1000000'), 1)
  assert.equal(readTimeout(undefined, 'soon'), undefined)
  for (const none of ['', '5', '5s', '123456789m', '-1S', '1.5S'])
    assert.throws(() => readTimeout(none, undefined), { code: 'protocol' }, none)
})

/** Without the symbol that Node puts on headers. */
function entries(headers: object): object {
  return Object.fromEntries(Object.entries(headers))
}

/** A bare HTTP/2 server that shows what a client sends. */
async function bareServer(answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void) {
  const server = createServer()
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => answer(stream, headers))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  after(() => server.close())
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return { id: address, address, metadata: {} } satisfies Node
}

function clientFor(): Client {
  const client = grpcClient({}, componentContext())
  after(() => client[Symbol.asyncDispose]())
  return client
}

const request = (more: Partial<UnaryRequest> = {}): UnaryRequest => ({
  service: 'greeter',
  endpoint: 'Say.Hello',
  contentType: 'application/json',
  metadata: { 'micro-from-service': 'caller', 'x-text': 'grüße' },
  timeoutMs: 5000,
  body: Buffer.from('{"name":"John"}'),
  ...more,
})

test('a request is on the wire what go-micro sends', async () => {
  let seen: IncomingHttpHeaders = {}
  const chunks: Buffer[] = []
  const node = await bareServer((stream, headers) => {
    seen = headers
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.once('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc+json' }, { waitForTrailers: true })
      stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      stream.end(Buffer.from([0, 0, 0, 0, 2, 0x7b, 0x7d]))
    })
  })
  const reply = await clientFor().call(node, request())
  assert.equal(Buffer.from(reply.body).toString(), '{}')
  assert.equal(reply.contentType, 'application/json')
  assert.equal(Buffer.concat(chunks).toString('latin1'), '\0\0\0\0\x0f{"name":"John"}')
  const { timeout, 'grpc-timeout': grpcTimeout, 'x-text': text, ...rest } = seen
  assert.equal(timeout, '5000000000')
  assert.equal(grpcTimeout, '5000m')
  assert.equal(Buffer.from(text as string, 'latin1').toString(), 'grüße')
  assert.deepEqual(entries(rest), {
    ':method': 'POST',
    ':path': '/greeter.Say/Hello',
    ':scheme': 'http',
    ':authority': node.address,
    te: 'trailers',
    'content-type': 'application/grpc+json',
    'x-content-type': 'application/json',
    'micro-from-service': 'caller',
    'user-agent': 'micrograft-grpc',
    'grpc-accept-encoding': 'identity,gzip,deflate',
  })
})

test('a content type goes out under its subtype', async () => {
  const seen: (string | undefined)[] = []
  const node = await bareServer((stream, headers) => {
    seen.push(headers['content-type'])
    stream.respond({ ':status': 200, 'grpc-status': '5' }, { endStream: true })
  })
  const client = clientFor()
  const types = [
    'application/json',
    'application/protobuf',
    'application/grpc+proto',
    'application/octet-stream',
    'application/msgpack',
  ]
  for (const contentType of types)
    await assert.rejects(client.call(node, request({ contentType })), { code: 'not-found' })
  assert.deepEqual(
    seen,
    ['json', 'proto', 'proto', 'bytes', 'bytes'].map((subtype) => `application/grpc+${subtype}`),
  )
})

test('a reply and an error are on the wire what gRPC has', async () => {
  const server = grpcServer({}, { ...componentContext(), service: 'greeter' })
  after(() => server[Symbol.asyncDispose]())
  const { address, metadata } = await server.start(
    new TestDoor().context(
      dispatcherOf({
        'Say.Hello': async ({ contentType }, body) => ({ metadata: { 'x-cost': '7' }, contentType, body }),
        'Say.Fail': async () => {
          throw new ServiceError('bad-request', 'bad name', { id: 'greeter' })
        },
      }),
    ),
  )
  assert.deepEqual(metadata, { protocol: 'grpc', transport: 'grpc', server: 'grpc' })
  const session = connect(`http://${address}`)
  after(() => session.close())
  const ask = (path: string, contentType: string) =>
    new Promise<{ headers: object; trailers: object; body: string }>((resolve, reject) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': contentType,
        te: 'trailers',
      })
      const got = { headers: {}, trailers: {}, body: '' }
      stream.on('response', (headers) => (got.headers = entries(headers)))
      stream.on('trailers', (headers) => (got.trailers = entries(headers)))
      stream.on('data', (chunk: Buffer) => (got.body += chunk.toString('latin1')))
      stream.on('error', reject).once('end', () => resolve(got))
      stream.end(Buffer.from([0, 0, 0, 0, 1, 0x61]))
    })
  assert.deepEqual(await ask('/any.package.Say/Hello', 'application/grpc+json'), {
    headers: {
      ':status': 200,
      'content-type': 'application/grpc+json',
      'grpc-accept-encoding': 'identity,gzip,deflate',
      'x-cost': '7',
    },
    trailers: { 'grpc-status': '0' },
    body: '\0\0\0\0\x01a',
  })
  assert.deepEqual((await ask('/greeter.Say/Fail', 'application/grpc')).headers, {
    ':status': 200,
    'content-type': 'application/grpc+proto',
    'grpc-status': '3',
    'grpc-message': json,
    'grpc-status-details-bin': details,
  })
  const unknown = (await ask('/greeter.Say/Nothing', 'application/grpc')).headers as IncomingHttpHeaders
  assert.equal(unknown['grpc-status'], '12')
  assert.equal(readStatusDetails(unknown['grpc-status-details-bin'] as string)?.code, 404)
})
