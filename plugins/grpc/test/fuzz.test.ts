import assert from 'node:assert/strict'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { ServiceError, type ClientRequest, type Node } from '@micrograft/contracts'
import { grpcClient, grpcServer } from '@micrograft/grpc'
import { componentContext, until } from '@micrograft/testing'
import { errorOfStatus } from '../dist/grpc-error.js'
import { readMetadata, writeMetadata } from '../dist/grpc-metadata.js'
import { MessageReader } from '../dist/message-frame.js'
import { readStatusDetails, writeStatusDetails } from '../dist/status-details.js'
import { dispatcherOf, TestDoor } from './support/grpc-subject.js'
import { mutate, seeded } from './support/random.js'
import { frame } from './support/raw-call.js'

// Most inputs end in an error: its stack would take most of the time.
Error.stackTraceLimit = 0

const disposables: (() => unknown)[] = []
after(async () => {
  for (const each of disposables.reverse()) await each()
})
const gc = (globalThis as { gc?: () => void }).gc
const heap = () => {
  gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const request: ClientRequest = {
  service: 'echo',
  endpoint: 'Say.Hello',
  contentType: 'application/json',
  metadata: { 'x-text': 'grüße', odd: ' value ' },
  timeoutMs: 250,
}

/** A proxy that keeps what goes through it. */
async function recorded(address: string, talk: (node: Node) => Promise<unknown>) {
  const up: Buffer[] = []
  const down: Buffer[] = []
  const [host, port] = address.split(':') as [string, string]
  const proxy = createServer((near) => {
    const far = connect(Number(port), host)
    near.on('data', (bytes: Buffer) => up.push(bytes)).pipe(far)
    far.on('data', (bytes: Buffer) => down.push(bytes)).pipe(near)
    for (const each of [near, far]) each.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const via = `127.0.0.1:${(proxy.address() as AddressInfo).port}`
  await talk({ id: via, address: via, metadata: {} })
  proxy.close()
  return { up: Buffer.concat(up), down: Buffer.concat(down) }
}

const server = grpcServer(
  { helloTimeoutMs: 300, pingIntervalMs: 100, pingTimeoutMs: 300, maxMessageBytes: 100_000 },
  componentContext(),
)
disposables.push(() => server[Symbol.asyncDispose]())
const door = new TestDoor()
const serving = server.start(
  door.context(
    dispatcherOf(
      { 'Say.Hello': async (_, body) => body },
      {
        'Say.Echo': async ({ metadata }, stream) => {
          for await (const each of stream.messages) await stream.send(each)
          return metadata
        },
      },
    ),
  ),
)

async function talk(node: Node): Promise<void> {
  const client = grpcClient({}, componentContext())
  await client.call(node, { ...request, timeoutMs: 5000, body: Buffer.from('{"name":"John"}') })
  const stream = await client.stream(node, { ...request, timeoutMs: 5000, endpoint: 'Say.Echo' })
  for (const each of ['a', 'b', 'c'.repeat(2000)]) await stream.send(Buffer.from(each))
  await stream.end()
  for await (const each of stream.messages) assert.ok(each.length > 0)
  await client.call(node, { ...request, timeoutMs: 5000, body: Buffer.alloc(20_000) })
  await client[Symbol.asyncDispose]()
}

/** Something wrong anywhere, mostly behind the preface, without which nothing else is looked at. */
function wrongBytes(all: Buffer, random: (below: number) => number): Buffer {
  const kept = random(4) === 0 ? 0 : 24 + random(40)
  return Buffer.concat([all.subarray(0, kept), mutate(all.subarray(kept), random)])
}

/** Frames left out, said twice, or with others between them. */
function wrongFrames(all: Buffer, random: (below: number) => number): Buffer {
  const preface = all.subarray(0, 24)
  const frames: Buffer[] = []
  for (let at = 24; at < all.length;) {
    const length = 9 + all.readUIntBE(at, 3)
    frames.push(all.subarray(at, at + length))
    at += length
  }
  const parts = Array.from({ length: 1 + random(frames.length + 4) }, (_, i) => {
    const list = random(3) === 0 ? otherFrames : frames
    const each = list[list === frames && random(4) > 0 ? Math.min(i, frames.length - 1) : random(list.length)]
    return random(3) === 0 ? mutate(each as Buffer, random) : (each as Buffer)
  })
  return Buffer.concat([preface, ...parts])
}

/** GOAWAY, RST_STREAM, PING, SETTINGS and WINDOW_UPDATE. */
const otherFrames = [
  '0000080700000000000000000100000000',
  '0000080700000000000000000000000002',
  '00000403000000000100000008',
  '0000080600000000000102030405060708',
  '000006040000000000000400000001',
  '0000040800000000007fffffff',
].map((hex) => Buffer.from(hex, 'hex'))

test('3,000 connections of wrong frames leave the server as it was', async () => {
  const { address } = await serving
  const { up } = await recorded(address, talk)
  const random = seeded(7)
  const send = () =>
    new Promise<void>((resolve) => {
      const [host, port] = address.split(':') as [string, string]
      const socket = connect(Number(port), host)
      socket.on('error', () => undefined).once('close', () => resolve())
      // What comes is the server's settings: it has looked at what was sent by then, or soon will.
      socket.once('data', () => setTimeout(() => socket.destroy(), 10))
      socket.resume()
      socket.write(random(2) === 0 ? wrongBytes(up, random) : wrongFrames(up, random))
    })
  const round = async (count: number) => {
    for (let i = 0; i < count; i += 50) await Promise.all(Array.from({ length: 50 }, () => send()))
    await until('the server has let go of them', () => door.sockets.size === 0)
  }
  await round(1000)
  const before = heap()
  await round(2000)
  // What connections held is given back some turns after they have ended.
  await until('it holds no more than before', () => heap() - before < 8_000_000)
  await talk({ id: address, address, metadata: {} })
})

test('1,000 servers of wrong frames give a client errors with a code, in time', async () => {
  const { address } = await serving
  const { down } = await recorded(address, talk)
  const random = seeded(11)
  const settings = down.subarray(0, 9 + down.readUIntBE(0, 3))
  const rest = down.subarray(settings.length)
  const sockets = new Set<Socket>()
  const wrong = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket))
    let heard = 0
    socket.on('data', (bytes: Buffer) => {
      // The settings come right, mostly: a call goes out then.
      if (heard === 0) socket.write(random(4) === 0 ? mutate(settings, random) : settings)
      else if (heard > 0 && heard < 300) socket.write(mutate(rest, random))
      heard += bytes.length
    })
  })
  await new Promise<void>((resolve) => wrong.listen(0, '127.0.0.1', resolve))
  disposables.push(() => wrong.close())
  const node = { id: 'wrong', address: `127.0.0.1:${(wrong.address() as AddressInfo).port}`, metadata: {} }
  const outcomes = new Map<string, number>()
  const one = async () => {
    const client = grpcClient({ dialTimeoutMs: 200, maxMessageBytes: 100_000 }, componentContext())
    const begun = Date.now()
    try {
      await client.call(node, { ...request, body: Buffer.from('x') })
      outcomes.set('answered', (outcomes.get('answered') ?? 0) + 1)
    } catch (error) {
      assert.ok(error instanceof ServiceError, String(error))
      outcomes.set(error.code, (outcomes.get(error.code) ?? 0) + 1)
    }
    assert.ok(Date.now() - begun < 2000)
    await client[Symbol.asyncDispose]()
  }
  for (let i = 0; i < 1000; i += 50) await Promise.all(Array.from({ length: 50 }, one))
  assert.ok(outcomes.size >= 3, JSON.stringify([...outcomes]))
  await until('the client has let go of them', () => sockets.size === 0)
})

/** Reads one wrong input, in two pieces. */
function readWrongly(whole: Buffer, random: (below: number) => number, encoding: string | undefined): void {
  const reader = new MessageReader(1000, encoding)
  const bytes = mutate(whole, random)
  const cut = random(bytes.length + 1)
  try {
    for (const piece of [bytes.subarray(0, cut), bytes.subarray(cut)])
      reader.read(piece, (body) => assert.ok(body.length <= 1000))
    assert.ok(reader.held <= 1000)
  } catch (error) {
    const codes = ['protocol', 'too-large', 'unsupported']
    assert.ok(error instanceof ServiceError && codes.includes(error.code), String(error))
  }
}

test('1,000,000 inputs to the reader of messages end in messages or a code', () => {
  const random = seeded(3)
  const whole = Buffer.concat([
    frame('hello'),
    frame(''),
    frame(Buffer.alloc(300)),
    frame('x', 1),
    frame('end'),
  ])
  for (let i = 0; i < 10_000; i++) readWrongly(whole, random, undefined)
  const before = heap()
  for (let i = 0; i < 1_000_000; i++) readWrongly(whole, random, undefined)
  const grown = heap() - before
  assert.ok(grown < 8_000_000, `it holds ${grown} bytes more`)
})

test('5,000 inputs that are compressed end in messages or a code', () => {
  const random = seeded(4)
  const whole = Buffer.concat([
    frame(gzipSync('hello'), 1),
    frame(gzipSync(Buffer.alloc(900)), 1),
    frame('end'),
  ])
  for (let i = 0; i < 5000; i++) readWrongly(whole, random, 'gzip')
})

test('100,000 inputs to the readers of headers end in values or a code', () => {
  const random = seeded(5)
  const details = Buffer.from(
    writeStatusDetails(3, 'm', { id: 'greeter', code: 400, detail: 'bad name', status: 'Bad Request' }),
    'base64',
  )
  const headers: Record<string, string | string[]> = {}
  writeMetadata({ 'x-a': 'ü', timeout: 'soon', 'x-odd': ' \u0001 ' }, headers)
  const carried = Buffer.from((headers['micrograft-metadata-bin'] as string[])[0] as string, 'base64')
  for (let i = 0; i < 100_000; i++) {
    const value = mutate(details, random).toString('base64')
    readStatusDetails(value)
    const error = errorOfStatus(
      { 'grpc-status': String(random(20) - 1), 'grpc-status-details-bin': value },
      'x',
    )
    assert.ok(error === undefined || error instanceof ServiceError)
    try {
      const text = mutate(carried, random)
      const read = readMetadata({
        'x-raw': text.toString('latin1'),
        'micrograft-metadata-bin': text.toString('base64'),
      })
      assert.ok(Object.keys(read).length <= 2)
    } catch (error) {
      assert.ok(error instanceof ServiceError && error.code === 'bad-request', String(error))
    }
  }
})

test('metadata of every kind of text comes through headers as it was', () => {
  const random = seeded(9)
  const names = [
    'x-a',
    'content-type',
    'timeout',
    'grpc-status',
    'trace-bin',
    'user-agent',
    '0',
    'a.b_c',
    'te',
  ]
  const letters = ['a', ' ', '\t', 'ü', '✓', '💡', '\u0001', '\u007f', ',', '%', '"', 'Z', '=', '\u00ff']
  for (let i = 0; i < 20_000; i++) {
    const metadata: Record<string, string> = {}
    for (let j = random(4); j >= 0; j--) {
      const value = Array.from({ length: random(8) }, () => letters[random(letters.length)]).join('')
      metadata[names[random(names.length)] as string] = value
    }
    const headers: Record<string, string | string[]> = {}
    writeMetadata(metadata, headers)
    // As Node joins what comes several times.
    const joined = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
    )
    assert.deepEqual(readMetadata(joined), metadata)
  }
})
