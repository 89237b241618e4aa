import assert from 'node:assert/strict'
import { constants, type ClientHttp2Session } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { deflateSync, gzipSync } from 'node:zlib'
import type { Dispatcher } from '@micrograft/contracts'
import { grpcServer, type GrpcServerOptions } from '@micrograft/grpc'
import { componentContext, pause, until } from '@micrograft/testing'
import { dispatcherOf, TestDoor } from './support/grpc-subject.js'
import { frame, rawCall, rawSession } from './support/raw-call.js'

const disposables: (() => unknown)[] = []
after(async () => {
  for (const each of disposables.reverse()) await each()
})

const echo = dispatcherOf(
  { 'Say.Hello': async (_, body) => body },
  {
    'Say.Echo': async (_, stream) => {
      for await (const each of stream.messages) await stream.send(each)
    },
  },
)

async function start(options: GrpcServerOptions = {}, dispatcher: Dispatcher = echo) {
  const server = grpcServer(options, componentContext())
  disposables.push(() => server[Symbol.asyncDispose]())
  const door = new TestDoor()
  const { address } = await server.start(door.context(dispatcher))
  return { address, door }
}

function session(address: string): ClientHttp2Session {
  const made = rawSession(address)
  disposables.push(() => made.destroy())
  return made
}

function socketTo(address: string): Socket {
  const [host, port] = address.split(':') as [string, string]
  const socket = connect(Number(port), host)
  socket.on('error', () => undefined)
  disposables.push(() => socket.destroy())
  return socket
}

const closed = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve))

/** What the call is answered with, and that the connection goes on. */
async function statusOf(address: string, body: Uint8Array, headers = {}): Promise<string> {
  const one = session(address)
  const { headers: got } = await rawCall(one, body, headers)
  const next = await rawCall(one, frame('on'))
  assert.equal(next.headers['grpc-status'], '0', 'the connection goes on')
  assert.equal(next.body.subarray(5).toString(), 'on')
  one.close()
  return String(got['grpc-status'] ?? `HTTP ${got[':status']}`)
}

test('messages that are framed wrongly end their call and no more', async () => {
  const { address } = await start({ maxMessageBytes: 1000 })
  assert.equal(await statusOf(address, frame('x', 0, 4_000_000_000)), '8')
  assert.equal(await statusOf(address, frame(Buffer.alloc(1001))), '8')
  assert.equal(await statusOf(address, frame('x', 0, 500)), '13')
  assert.equal(await statusOf(address, Buffer.from([0, 0, 0])), '13')
  assert.equal(await statusOf(address, frame('x', 2)), '13')
  assert.equal(await statusOf(address, frame('x', 1)), '13')
  assert.equal(await statusOf(address, Buffer.alloc(0)), '13')
  assert.equal(await statusOf(address, Buffer.concat([frame('a'), frame('b')])), '13')
  const stream = { ':path': '/echo.Say/Echo' }
  assert.equal(await statusOf(address, frame('x', 0, 500), stream), '13')
  assert.equal(await statusOf(address, frame(Buffer.alloc(1001)), stream), '8')
})

test('compressed messages are taken, and none that grows above the limit', async () => {
  const { address } = await start({ maxMessageBytes: 10_000 })
  const gzip = { 'grpc-encoding': 'gzip' }
  const { body } = await rawCall(session(address), frame(gzipSync('hello'), 1), gzip)
  assert.equal(body.subarray(5).toString(), 'hello')
  assert.equal(await statusOf(address, frame(deflateSync('hello'), 1), { 'grpc-encoding': 'deflate' }), '0')
  const bomb = await rawCall(session(address), frame(gzipSync(Buffer.alloc(10_001)), 1), gzip)
  assert.equal(bomb.headers['grpc-status'], '8')
  assert.match(bomb.headers['grpc-message'] as string, /a message that is compressed/)
  assert.equal(await statusOf(address, frame('no gzip', 1), gzip), '13')
  const snappy = { 'grpc-encoding': 'snappy' }
  assert.equal(await statusOf(address, frame('x', 1), snappy), '12')
  const { headers } = await rawCall(session(address), frame('x', 1), snappy)
  assert.equal(headers['grpc-accept-encoding'], 'identity,gzip,deflate')
})

test('headers that are wrong are answered so that the peer understands', async () => {
  const { address } = await start()
  const hello = frame('x')
  assert.equal(await statusOf(address, hello, { 'content-type': 'application/json' }), 'HTTP 415')
  assert.equal(await statusOf(address, hello, { 'content-type': 'application/grpc-web+proto' }), 'HTTP 415')
  assert.equal(await statusOf(address, hello, { 'content-type': undefined }), 'HTTP 415')
  assert.equal(await statusOf(address, hello, { ':method': 'PUT' }), 'HTTP 405')
  assert.equal(await statusOf(address, hello, { 'grpc-timeout': 'soon' }), '13')
  assert.equal(await statusOf(address, hello, { ':path': '/' }), '12')
  assert.equal(await statusOf(address, hello, { ':path': '/a/b/c/d' }), '12')
  assert.equal(await statusOf(address, hello, { ':path': '/__proto__.constructor/toString' }), '12')
  assert.equal(await statusOf(address, hello, { 'x-long': 'x'.repeat(8193) }), '3')
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`x-${i}`, 'y']))
  assert.equal(await statusOf(address, hello, many), '3')
  const carried = Buffer.from('UPPER\0x').toString('base64')
  assert.equal(await statusOf(address, hello, { 'micrograft-metadata-bin': carried }), '3')
})

test('headers above the limit cost their call', async () => {
  const { address } = await start({ maxMetadataBytes: 20_000 })
  const big = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`x-${i}`, 'y'.repeat(8000)]))
  assert.equal(await statusOf(address, frame('x'), big), '8')
  const one = session(address)
  await new Promise((resolve) => one.once('remoteSettings', resolve))
  await rawCall(one, frame('x'))
  const { headers, reset } = await rawCall(one, frame('x'), big)
  assert.ok(headers['grpc-status'] === '8' || reset === constants.NGHTTP2_ENHANCE_YOUR_CALM, `${reset}`)
  assert.equal((await rawCall(one, frame('x'))).headers['grpc-status'], '0')
  const huge = session(address)
  await rawCall(huge, frame('x'), { 'x-huge': 'y'.repeat(300_000) })
  assert.equal(await statusOf(address, frame('x')), '0')
})

test('what is no HTTP/2 costs its connection', async () => {
  const { address, door } = await start({ helloTimeoutMs: 100 })
  const kinds = [
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense'.repeat(3),
    '\0'.repeat(100),
    '',
  ]
  for (const each of kinds) {
    const socket = socketTo(address)
    socket.write(each)
    socket.resume()
    await closed(socket)
  }
  await until('the server has let go of them', () => door.sockets.size === 0)
  assert.equal(await statusOf(address, frame('x')), '0')
})

test('half-open connections are closed in time', async () => {
  const { address, door } = await start({ helloTimeoutMs: 300 })
  const all = Array.from({ length: 1000 }, () => socketTo(address))
  await Promise.all(all.map((socket) => closed(socket.resume())))
  await until('the server has let go of them', () => door.sockets.size === 0)
  assert.equal(await statusOf(address, frame('x')), '0')
})

test('connections above the limit are closed at once, and those below it go on', async () => {
  const { address, door } = await start({ maxConnections: 20 })
  const all = Array.from({ length: 50 }, () => socketTo(address).resume())
  const open = () => all.filter((socket) => !socket.destroyed && socket.readyState === 'open')
  await until('those above the limit are closed', () => door.sockets.size === 20 && open().length === 20)
  for (const each of open()) each.destroy()
  await until('the server has let go of them', () => door.sockets.size === 0)
  assert.equal(await statusOf(address, frame('x')), '0')
})

test('calls that are reset as they begin run no more handlers than the limit', async () => {
  let running = 0
  let most = 0
  const release: (() => void)[] = []
  const deaf = dispatcherOf({
    'Say.Hello': async (_, body) => {
      if (body.toString() === 'on') return body
      most = Math.max(most, ++running)
      await new Promise<void>((resolve) => release.push(resolve))
      running--
      return body
    },
  })
  const { address } = await start({ maxCalls: 20 }, deaf)
  const one = session(address)
  await new Promise((resolve) => one.once('remoteSettings', resolve))
  for (let i = 0; i < 500 && !one.destroyed; i++) {
    const stream = one.request({
      ':method': 'POST',
      ':path': '/echo.Say/Hello',
      'content-type': 'application/grpc',
    })
    stream.on('error', () => undefined)
    stream.end(frame('x'))
    await new Promise((resolve) => setImmediate(resolve))
    stream.close(constants.NGHTTP2_CANCEL)
  }
  await until('handlers run', () => most === 20)
  assert.equal(await statusOf(address, frame('on')), '0', 'others are served')
  for (const each of release) each()
  await until('all have ended', () => running === 0)
  assert.equal(most, 20)
})

test('requests that do not come whole hold a bounded amount', async () => {
  const { address } = await start({ maxHeldBytes: 100_000 })
  const one = session(address)
  const answers: (string | undefined)[] = []
  for (let i = 0; i < 20; i++) {
    const stream = one.request({
      ':method': 'POST',
      ':path': '/echo.Say/Hello',
      'content-type': 'application/grpc',
    })
    stream.on('error', () => undefined)
    stream.on('response', (headers) => answers.push(headers['grpc-status'] as string))
    stream.write(frame(Buffer.alloc(10_000), 0, 20_000))
  }
  await until('those above the limit are refused', () => answers.length >= 10)
  assert.deepEqual(new Set(answers), new Set(['8']))
  assert.ok(answers.length <= 11, `${answers.length} were refused`)
  assert.equal(await statusOf(address, frame('x')), '0')
})

test('a peer that does not read its replies gets no more of them', async () => {
  const reply = Buffer.alloc(100_000)
  const { address } = await start(
    { maxQueuedBytes: 1_000_000 },
    dispatcherOf({ 'Say.Hello': async () => reply }),
  )
  const one = session(address)
  let refused = 0
  let answered = 0
  for (let i = 0; i < 30; i++) {
    const stream = one.request({
      ':method': 'POST',
      ':path': '/echo.Say/Hello',
      'content-type': 'application/grpc',
    })
    stream.on('error', () => undefined)
    stream.on('response', (headers) => {
      if (headers['grpc-status'] === '8') refused++
      else answered++
    })
    stream.pause()
    stream.end(frame('x'))
  }
  await until('all are answered', () => refused + answered === 30)
  assert.ok(answered < 30 && refused > 10, `${refused} were refused`)
  const other = await rawCall(session(address), frame('x'))
  assert.equal(other.body.length, 100_005)
})

test('replies that are given up before they are read cost the connection nothing', async () => {
  const { address } = await start(
    {},
    dispatcherOf({ 'Say.Hello': async (_, body) => body, 'Say.Big': async () => Buffer.alloc(1_000_000) }),
  )
  const one = session(address)
  const headers = { ':method': 'POST', ':path': '/echo.Say/Big', 'content-type': 'application/grpc' }
  for (let i = 0; i < 20; i++) {
    const stream = one.request(headers)
    stream.on('error', () => undefined)
    stream.pause()
    stream.end(frame('x'))
    await new Promise((resolve) => stream.once('response', resolve).once('close', resolve))
    await pause(5)
    stream.close(constants.NGHTTP2_CANCEL)
  }
  assert.equal((await rawCall(one, frame('x'))).headers['grpc-status'], '0')
})

test('an error goes to the peer whole and no longer than headers may be', async () => {
  const detail = `${'ü'.repeat(100_000)}\ud800`
  const failing = dispatcherOf({
    'Say.Hello': async () => {
      throw new Error(detail)
    },
  })
  const { address } = await start({}, failing)
  const { headers } = await rawCall(session(address), frame('x'))
  assert.equal(headers['grpc-status'], '13')
  assert.ok((headers['grpc-message'] as string).length < 30_000)
})

test('a request that comes byte by byte costs no more than it has', async () => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const { address } = await start()
  const socket = socketTo(address)
  let came = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => (came = Buffer.concat([came, chunk]).subarray(-1000)))
  const ping = async (text: string) => {
    socket.write(http2Frame(6, 0, 0, Buffer.from(text)))
    await until('all before it was read', () => came.includes(text))
  }
  const settings = http2Frame(4, 0, 0, Buffer.alloc(0))
  const fields = {
    ':method': 'POST',
    ':scheme': 'http',
    ':authority': 'x',
    ':path': '/a.Say/Hello',
    'content-type': 'application/grpc',
  }
  const block = Buffer.concat(Object.entries(fields).map(([name, value]) => literalField(name, value)))
  socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), settings]))
  socket.write(Buffer.concat([http2Frame(1, 4, 1, block), http2Frame(0, 0, 1, frame('', 0, 1_000_000))]))
  await ping('before..')
  gc()
  const before = process.memoryUsage().heapUsed
  const bytes = Buffer.concat(Array.from({ length: 10_000 }, () => http2Frame(0, 0, 1, Buffer.from('x'))))
  for (let i = 0; i < 10; i++) {
    socket.write(bytes)
    await ping(`after ${i}.`)
  }
  gc()
  const heldBytes = process.memoryUsage().heapUsed - before
  assert.equal(came.includes(http2Frame(3, 0, 1, Buffer.alloc(0)).subarray(3)), false, 'it was not reset')
  assert.ok(heldBytes < 3_000_000, `100,000 bytes cost ${heldBytes}`)
})

function http2Frame(type: number, flags: number, id: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(id, 5)
  return Buffer.concat([head, payload])
}

/** RFC 7541 §6.2.2. */
function literalField(name: string, value: string): Buffer {
  return Buffer.from(
    `\0${String.fromCharCode(name.length)}${name}${String.fromCharCode(value.length)}${value}`,
  )
}
