import assert from 'node:assert/strict'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import type { Broker, Registry } from '@micrograft/contracts'
import { componentContext, pause, until } from '@micrograft/testing'
import { httpBroker, type HttpBrokerOptions } from '../dist/broker/http-broker.js'
import { encodeEnvelope } from '../dist/broker/http-envelope.js'
import { memoryRegistry, memoryRegistryHub } from '../dist/registry/memory-registry.js'

function made(t: TestContext, options?: HttpBrokerOptions): { broker: Broker; registry: Registry } {
  const registry = memoryRegistry({ hub: memoryRegistryHub() }, componentContext())
  const broker = httpBroker(options, componentContext({ registry }))
  t.after(() => broker[Symbol.asyncDispose]())
  return { broker, registry }
}

/** Where the only subscription takes posts. */
async function placeIn(registry: Registry): Promise<{ readonly id: string; readonly address: string }> {
  const [node] = (await registry.get('micro.http.broker')).flatMap(({ nodes }) => nodes)
  assert.ok(node)
  return node
}

const message = (text: string) => ({ header: {}, body: Buffer.from(text) })
const taken = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'

/** Texts in the bodies of the posts that have come whole. */
function bodies(text: string): string[] {
  return [...text.matchAll(/"Body":"([^"]*)"}/g)].map(([, body]) =>
    Buffer.from(body as string, 'base64').toString(),
  )
}

interface Peer {
  readonly connections: Socket[]
  /** What has come on each. */
  readonly came: string[]
  /** What to do when something has come. */
  onData: (index: number) => void
}

/** A subscriber that is none of ours. */
async function peer(
  t: TestContext,
  registry: Registry,
  metadata: Record<string, string> = {},
): Promise<Peer> {
  const made: Peer = { connections: [], came: [], onData: () => undefined }
  const server = createServer((socket) => {
    const index = made.connections.push(socket) - 1
    made.came.push('')
    socket.on('data', (chunk: Buffer) => {
      made.came[index] += chunk.toString()
      made.onData(index)
    })
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const each of made.connections) each.destroy()
    server.close()
  })
  await registry.register({
    name: 'micro.http.broker',
    version: 'ff.http.broadcast',
    metadata: {},
    endpoints: [],
    nodes: [
      {
        id: 't-1 ü',
        address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
        metadata: { secure: 'false', broker: 'http', topic: 't', ...metadata },
      },
    ],
  })
  return made
}

test('a message is posted as go-micro posts it', async (t) => {
  const { broker, registry } = made(t)
  const { came, connections, ...rest } = await peer(t, registry)
  void rest
  const published = broker.publish('t', { header: { 'content-type': 'text/plain' }, body: Buffer.from('hi') })
  const body = '{"Header":{"Content-Type":"text/plain","Micro-Topic":"t"},"Body":"aGk="}'
  await until('it has come', () => came[0]?.endsWith(body) === true)
  const port = connections[0]?.localPort
  assert.equal(
    came[0],
    `POST /?id=t-1%20%C3%BC HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  connections[0]?.write(taken)
  await published
})

test('a subscriber that does not ask for more gets one message at a time, over one connection', async (t) => {
  const { broker, registry } = made(t)
  const there = await peer(t, registry)
  const ended: number[] = []
  const all = [1, 2, 3].map(async (n) => {
    await broker.publish('t', message(String(n)))
    ended.push(n)
  })
  for (const n of [1, 2, 3]) {
    await until('it has come', () => bodies(there.came[0] ?? '').length === n)
    await pause(5)
    assert.deepEqual(bodies(there.came[0] as string), ['1', '2', '3'].slice(0, n))
    assert.equal(ended.length, n - 1)
    there.connections[0]?.write(taken)
  }
  await Promise.all(all)
  assert.deepEqual(ended, [1, 2, 3])
  assert.equal(there.connections.length, 1)
})

test('a subscriber gets as many messages at a time as it asks for, and each answer is for its message', async (t) => {
  const { broker, registry } = made(t)
  const there = await peer(t, registry, { pipeline: '3' })
  const all = Promise.allSettled([1, 2, 3, 4].map((n) => broker.publish('t', message(String(n)))))
  await until('three have come', () => bodies(there.came[0] ?? '').length === 3)
  await pause(5)
  assert.equal(bodies(there.came[0] as string).length, 3)
  const error = JSON.stringify({ id: 'x', code: 507, detail: 'full', status: '' })
  there.connections[0]?.write(
    `${taken}HTTP/1.1 507 x\r\nContent-Length: ${error.length}\r\n\r\n${error}${taken}${taken}`,
  )
  const outcomes = await all
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  )
})

test('a message is posted again where the connection ended before it was answered, and after one that was the last', async (t) => {
  const { broker, registry } = made(t)
  const there = await peer(t, registry)
  there.onData = (index) => {
    const socket = there.connections[index] as Socket
    if (index === 0) socket.end()
    else if (index === 1) socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    else socket.write(taken)
  }
  await broker.publish('t', message('1'))
  await broker.publish('t', message('2'))
  assert.deepEqual(there.came.map(bodies), [['1'], ['1'], ['2']])
})

test('a publisher that gives up a message goes on with the next', async (t) => {
  const { broker, registry } = made(t)
  const there = await peer(t, registry, { pipeline: '10' })
  const giveUp = new AbortController()
  const first = broker.publish('t', message('1'), { signal: giveUp.signal })
  await until('it has come', () => bodies(there.came[0] ?? '').length === 1)
  const reason = new Error('enough')
  giveUp.abort(reason)
  await assert.rejects(first, reason)
  const second = broker.publish('t', message('2'))
  await until('it has come', () => bodies(there.came[0] as string).length === 2)
  there.connections[0]?.write(taken + taken)
  await second
})

test('a subscriber that answers what was not asked, or not in HTTP, loses its connection and no message is stuck', async (t) => {
  const { broker, registry } = made(t)
  const there = await peer(t, registry)
  there.onData = (index) =>
    there.connections[index]?.write([taken + taken, '\u0016\u0003\u0001 no HTTP'][index] ?? taken)
  await broker.publish('t', message('1'))
  // Whoever answers in another protocol is nobody subscribed.
  for (let i = 0; i < 3; i++) await broker.publish('t', message('2'))
  await until('others were made', () => there.connections.length >= 3)
})

test('a subscriber that does not answer in time fails the message', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const { broker, registry } = made(t)
  const there = await peer(t, registry)
  const published = assert.rejects(broker.publish('t', message('1')), { code: 'timeout' })
  await until('it has come', () => bodies(there.came[0] ?? '').length === 1)
  t.mock.timers.tick(7000)
  await published
})

test('posts that follow one another are answered in their order, in pieces of any size', async (t) => {
  const { broker, registry } = made(t, { maxMessageBytes: 1000 })
  const got: string[] = []
  await broker.subscribe('t', async ({ message: { body } }) => void got.push(Buffer.from(body).toString()))
  const { id, address } = await placeIn(registry)
  const post = (to: string, text: string) => {
    const body = encodeEnvelope('t', message(text))
    return `POST /?id=${to} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  }
  const body = encodeEnvelope('t', message('3'))
  const chunked = `POST /?x=1&id=${id} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
  const last = post(id, '4').replace('Host: x', 'Connection: close')
  const wire = Buffer.from(post(id, '1') + post('other', '2') + chunked + last)
  for (const size of [1, 7, 100, wire.length]) {
    got.length = 0
    let answers = ''
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1').setNoDelay(true)
    socket.on('data', (chunk: Buffer) => (answers += chunk.toString()))
    const ended = new Promise((resolve) => socket.once('close', resolve))
    for (let at = 0; at < wire.length; at += size) {
      socket.write(wire.subarray(at, at + size))
      if (size > 1) await pause(0)
    }
    await ended
    assert.deepEqual(
      [...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
      ['200', '404', '200', '200'],
    )
    await until('all are delivered', () => got.length === 3)
    assert.deepEqual(got, ['1', '3', '4'])
  }
})

test('a publisher that leaves its answers unread loses its connection, and others go on', async (t) => {
  const { broker, registry } = made(t)
  await broker.subscribe('t', async () => undefined)
  const { address } = await placeIn(registry)
  const socket = connect(Number(address.split(':')[1]), '127.0.0.1')
  t.after(() => socket.destroy())
  socket.on('error', () => undefined)
  socket.pause()
  const posts = `POST /?id=${'x'.repeat(256)} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}`.repeat(200)
  while (!socket.destroyed) {
    if (socket.writableLength < 1_000_000) socket.write(posts)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await broker.publish('t', message('1'))
})

test('what was taken before a broker ends is answered, so that it does not go to another as well', async (t) => {
  const { broker, registry } = made(t)
  const publisher = httpBroker(undefined, componentContext({ registry }))
  const other = httpBroker(undefined, componentContext({ registry }))
  t.after(() => Promise.all([publisher[Symbol.asyncDispose](), other[Symbol.asyncDispose]()]))
  const got: string[] = []
  const handle = async (delivery: { readonly message: { readonly body: Uint8Array } }) =>
    void got.push(Buffer.from(delivery.message.body).toString())
  await broker.subscribe('t', handle, { queue: 'q' })
  await publisher.publish('t', message('first'))
  await other.subscribe('t', handle, { queue: 'q' })
  const all = Array.from({ length: 200 }, (_, n) => publisher.publish('t', message(String(n))))
  const ended = until('some came', () => got.length > 10).then(() => broker[Symbol.asyncDispose]())
  await Promise.all(all)
  await ended
  await until('all are handled', () => got.length >= 201)
  assert.equal(new Set(got).size, 201)
  assert.equal(got.length, 201)
})
