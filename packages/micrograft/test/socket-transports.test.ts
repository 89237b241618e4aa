import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  ServiceError,
  type Connection,
  type ErrorCode,
  type Message,
  type Transport,
} from '@micrograft/contracts'
import { componentContext, until } from '@micrograft/testing'
import { httpTransport } from '../dist/transport/http-transport.js'
import { memoryHub } from '../dist/transport/memory-hub.js'
import { memoryTransport } from '../dist/transport/memory-transport.js'
import { tcpTransport } from '../dist/transport/tcp-transport.js'
import { unixTransport } from '../dist/transport/unix-transport.js'
import { framed, RawPeer } from './support/raw-peer.js'

const context = componentContext()
const code = (expected: ErrorCode) => (error: unknown) =>
  error instanceof ServiceError && error.code === expected
const ignore = { message: () => undefined, closed: () => undefined }

interface Seen {
  readonly bodies: string[]
  readonly connections: Connection[]
  readonly errors: (ServiceError | undefined)[]
}

async function listen(transport: Transport, address: string): Promise<Seen & { readonly address: string }> {
  const seen: Seen = { bodies: [], connections: [], errors: [] }
  const listener = await transport.listen(address, (connection) => {
    seen.connections.push(connection)
    return {
      message: ({ body }: Message) => void seen.bodies.push(Buffer.from(body).toString()),
      closed: (error) => void seen.errors.push(error),
    }
  })
  return { ...seen, address: listener.address }
}

test('a message may come in chunks of any size', async () => {
  await using tcp = tcpTransport({ maxMessageBytes: 10_000 }, context)
  const bodies = ['', 'a', 'b'.repeat(300), 'c'.repeat(9999), 'd', '']
  const stream = Buffer.concat(bodies.map((body) => framed(Buffer.from(body))))
  for (const size of [1, 2, 3, 7, 1000, 4096, stream.length]) {
    const seen = await listen(tcp, '')
    using peer = await RawPeer.dial(seen.address)
    for (let at = 0; at < stream.length; at += size) {
      peer.socket.write(stream.subarray(at, at + size))
      // Small chunks of a small part are enough.
      if (size > 3 || at < 50) await new Promise((resolve) => setImmediate(resolve))
    }
    await until('all have come', () => seen.bodies.length === bodies.length)
    assert.deepEqual(seen.bodies, bodies)
  }
})

test('a message of the limit passes over a raw socket, and one byte more is refused by its prefix alone', async () => {
  await using tcp = tcpTransport({ maxMessageBytes: 1000 }, context)
  const seen = await listen(tcp, '')
  using good = await RawPeer.dial(seen.address)
  good.send(Buffer.alloc(1000))
  await until('it has come', () => seen.bodies.length === 1)
  using bad = await RawPeer.dial(seen.address)
  bad.socket.write(framed(Buffer.alloc(1001)).subarray(0, 4))
  await until('the connection ends', () => bad.closed)
  assert.deepEqual(
    seen.errors.map((error) => error?.code),
    ['protocol'],
  )
  assert.equal(good.closed, false)
})

test('all who have come before a door is shut are let in', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'micrograft-door-'))
  try {
    for (const [make, address] of [
      [tcpTransport, ''],
      [httpTransport, ''],
      [unixTransport, join(folder, 'door')],
    ] as const) {
      await using transport = make(undefined, context)
      let letIn = 0
      const listener = await transport.listen(address, () => (letIn++, ignore))
      const dials = Array.from({ length: 30 }, () => transport.dial(listener.address, ignore))
      // They are on their way.
      await new Promise((resolve) => setImmediate(resolve))
      await listener[Symbol.asyncDispose]()
      await Promise.all(dials)
      await until(`${transport.name} has let all in`, () => letIn === dials.length)
      await assert.rejects(transport.dial(listener.address, ignore), { code: 'unavailable' })
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a header that is malformed ends the connection with protocol', async () => {
  await using tcp = tcpTransport(undefined, context)
  for (const head of [
    [2, 1, 97, 1, 98],
    [1, 200, 1, 97],
    [0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    [0x80, 0x00],
    [1, 1, 0xff, 0],
    [1, 9, ...Buffer.from('__proto__'), 0],
    [0x81, 0x02],
  ]) {
    const seen = await listen(tcp, '')
    using peer = await RawPeer.dial(seen.address)
    const message = Buffer.from(head)
    peer.socket.write(Buffer.concat([Buffer.from([0, 0, 0, message.length]), message]))
    await until('the connection ends', () => peer.closed)
    assert.deepEqual(
      seen.errors.map((error) => error?.code),
      ['protocol'],
      String(head),
    )
  }
})

test('a message of no bytes ends the connection, and nothing after it is handed over', async () => {
  await using tcp = tcpTransport(undefined, context)
  const seen = await listen(tcp, '')
  using peer = await RawPeer.dial(seen.address)
  peer.socket.write(Buffer.concat([Buffer.alloc(4), framed(Buffer.from('x'))]))
  await until('the connection ends', () => peer.closed && seen.errors.length === 1)
  assert.equal(seen.errors[0]?.code, 'protocol')
  assert.deepEqual(seen.bodies, [])
})

test('a connection that ends inside a message is told as protocol', async () => {
  await using tcp = tcpTransport(undefined, context)
  const seen = await listen(tcp, '')
  using peer = await RawPeer.dial(seen.address)
  peer.socket.end(framed(Buffer.from('half')).subarray(0, 6))
  await until('it is told', () => seen.errors.length === 1)
  assert.equal(seen.errors[0]?.code, 'protocol')
})

test('a thousand connections that send nothing or half a message cost a few kilobytes each', async () => {
  await using tcp = tcpTransport({ maxMessageBytes: 4_000_000 }, context)
  const seen = await listen(tcp, '')
  const child = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `import { connect } from 'node:net'
     const [host, port] = ${JSON.stringify(seen.address)}.split(':')
     for (let i = 0; i < 1000; i++) {
       const socket = connect(Number(port), host)
       if (i % 2) socket.write(Buffer.concat([Buffer.from([0, 0x30, 0, 0, 0]), Buffer.alloc(i % 4 === 1 ? 0 : 100)]))
     }
     setInterval(() => {}, 1000)`,
  ])
  try {
    globalThis.gc?.()
    const before = process.memoryUsage()
    await until('all are there', () => seen.connections.length === 1000, 20_000)
    await new Promise((resolve) => setTimeout(resolve, 100))
    globalThis.gc?.()
    const after = process.memoryUsage()
    const each = (after.heapUsed + after.external - before.heapUsed - before.external) / 1000
    assert.ok(each < 20_000, `each costs ${Math.round(each)} bytes`)
    const good = await tcp.dial(seen.address, ignore)
    good.send({ header: {}, body: Buffer.from('still served') })
    await until('a good one is served', () => seen.bodies.length === 1)
  } finally {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await until('they are gone', () => seen.errors.length >= 1000)
})

test('messages of one tick leave together', async () => {
  await using tcp = tcpTransport(undefined, context)
  const seen = await listen(tcp, '')
  using peer = await RawPeer.dial(seen.address)
  await until('it is accepted', () => seen.connections.length === 1)
  let chunks = 0
  peer.socket.on('data', () => chunks++)
  for (let i = 0; i < 100; i++) seen.connections[0]?.send({ header: {}, body: Buffer.from('x') })
  await until('all have come', () => peer.frames.length === 100)
  assert.equal(chunks, 1)
})

test('tcp listens on loopback unless another host is named, and says what to dial', async () => {
  await using tcp = tcpTransport(undefined, context)
  for (const address of ['', ':0', '127.0.0.1', '127.0.0.1:0']) {
    const listener = await tcp.listen(address, () => ignore)
    assert.match(listener.address, /^127\.0\.0\.1:\d+$/)
  }
  const everywhere = await tcp.listen('0.0.0.0:0', () => ignore)
  assert.doesNotMatch(everywhere.address, /^0\.0\.0\.0/)
  await (await tcp.dial(everywhere.address, ignore)).close()
  for (const address of ['a:b', '1:2:3', '127.0.0.1:99999', 'host name:1']) {
    await assert.rejects(
      tcp.listen(address, () => ignore),
      code('invalid-option'),
    )
  }
  await assert.rejects(tcp.dial('127.0.0.1', ignore), code('invalid-option'))
})

test(
  'a dial that is not answered is unavailable in time',
  { skip: process.platform !== 'linux' && 'only Linux leaves it unanswered when the backlog is full' },
  async () => {
    await using tcp = tcpTransport(undefined, context)
    const child = spawn(process.execPath, [
      '-e',
      `const server = require('node:net').createServer()
     server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port))`,
    ])
    try {
      const [port] = (await once(child.stdout, 'data')) as [Buffer]
      // It accepts nothing any more, and the system's queue for it is short.
      child.kill('SIGSTOP')
      const address = `127.0.0.1:${String(port).trim()}`
      const dials = Array.from({ length: 8 }, () => tcp.dial(address, ignore, { timeoutMs: 60 }))
      const failed = (await Promise.allSettled(dials)).filter((each) => each.status === 'rejected')
      assert.ok(failed.length > 0 && failed.every(({ reason }) => code('unavailable')(reason)))
      assert.match(String(failed[0]?.reason), /no connection within 60 ms/)
    } finally {
      child.kill('SIGKILL')
    }
  },
)

test("unix sockets that the transport places are the user's own, and go away with the listener", async () => {
  const base = mkdtempSync(join(tmpdir(), 'mg-own-'))
  try {
    const directory = join(base, 'sockets')
    await using unix = unixTransport({ directory }, context)
    const listener = await unix.listen('', () => ignore)
    const path = listener.address.slice('unix:'.length)
    assert.match(listener.address, /^unix:\//)
    assert.equal(statSync(directory).mode & 0o777, 0o700)
    assert.equal(statSync(path).mode & 0o777, 0o600)
    chmodSync(directory, 0o755)
    await unix.listen(':0', () => ignore)
    assert.equal(statSync(directory).mode & 0o777, 0o700)
    await listener[Symbol.asyncDispose]()
    assert.equal(existsSync(path), false)
    await unix[Symbol.asyncDispose]()
    assert.deepEqual(readdirSync(directory), [])
  } finally {
    rmSync(base, { recursive: true })
  }
})

test('a socket file of a dead process is replaced, one that is served is a conflict, and another file is left alone', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mg-stale-'))
  try {
    const path = join(directory, 'x.sock')
    const child = spawn(process.execPath, [
      '-e',
      `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`,
    ])
    await once(child.stdout, 'data')
    await using unix = unixTransport({ directory }, context)
    await assert.rejects(
      unix.listen(`unix:${path}`, () => ignore),
      code('conflict'),
    )
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.equal(existsSync(path), true)
    await assert.rejects(unix.dial(`unix:${path}`, ignore), code('unavailable'))
    const listener = await unix.listen(`unix:${path}`, () => ignore)
    assert.equal(statSync(path).mode & 0o777, 0o600)
    await (await unix.dial(listener.address, ignore)).close()
    const file = join(directory, 'precious')
    writeFileSync(file, 'data')
    await assert.rejects(
      unix.listen(`unix:${file}`, () => ignore),
      code('conflict'),
    )
    assert.equal(statSync(file).isFile(), true)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('unix addresses that are none are refused', async () => {
  await using unix = unixTransport(undefined, context)
  for (const address of ['unix:relative', `unix:/${'x'.repeat(200)}`, '127.0.0.1:80']) {
    await assert.rejects(
      unix.listen(address, () => ignore),
      code('invalid-option'),
    )
  }
  await assert.rejects(
    unix.listen('unix:/no/such/directory/x.sock', () => ignore),
    code('invalid-option'),
  )
})

test('memory transports of one process meet, unless they have hubs of their own', async () => {
  await using one = memoryTransport(undefined, context)
  await using two = memoryTransport(undefined, context)
  await using apart = memoryTransport({ hub: memoryHub() }, context)
  const seen = await listen(one, '')
  const connection = await two.dial(seen.address, ignore)
  connection.send({ header: { a: '1' }, body: Buffer.from('met') })
  await until('it has come', () => seen.bodies.length === 1)
  await assert.rejects(apart.dial(seen.address, ignore), code('unavailable'))
})

test('memory addresses without a host are where a door without one is', async () => {
  await using memory = memoryTransport({ hub: memoryHub() }, context)
  const seen = await listen(memory, ':7')
  const connection = await memory.dial(':7', ignore)
  connection.send({ header: {}, body: Buffer.from('met') })
  await until('it has come', () => seen.bodies.length === 1)
})

test('close of a memory connection does not wait for ever for a peer that is paused', async () => {
  await using memory = memoryTransport({ hub: memoryHub() }, context)
  const seen = await listen(memory, '')
  const connection = await memory.dial(seen.address, ignore)
  seen.connections[0]?.pause()
  connection.send({ header: {}, body: Buffer.from('a') })
  const before = performance.now()
  await connection.close()
  assert.ok(performance.now() - before < 8000)
  await until('the peer is told', () => seen.errors.length === 1)
})

test('a raw connection that is destroyed while it is written to ends, and leaves the transport as it was', async () => {
  await using tcp = tcpTransport(undefined, context)
  const seen = await listen(tcp, '')
  const [host, port] = seen.address.split(':')
  const socket = connect(Number(port), host)
  await until('it is accepted', () => seen.connections.length === 1)
  socket.resetAndDestroy()
  await until('the end is told', () => {
    try {
      seen.connections[0]?.send({ header: {}, body: Buffer.alloc(1000) })
    } catch {
      // It has ended.
    }
    return seen.errors.length === 1
  })
  assert.equal(seen.errors[0]?.code, 'unavailable')
})

test('a peer that ends its side and does not read what is queued is given up in time', async () => {
  await using tcp = tcpTransport(undefined, context)
  const seen = await listen(tcp, '')
  const [host, port] = seen.address.split(':')
  const socket = connect({ host, port: Number(port), allowHalfOpen: true }).on('error', () => undefined)
  await until('it is accepted', () => seen.connections.length === 1)
  const [connection] = seen.connections as [Connection]
  for (let i = 0; i < 12; i++) connection.send({ header: {}, body: Buffer.alloc(1_000_000) })
  socket.end()
  await until('its end is known', () => {
    try {
      connection.send({ header: {}, body: Buffer.alloc(0) })
      return false
    } catch (error) {
      return code('closed')(error)
    }
  })
  const before = performance.now()
  await connection.close()
  assert.ok(performance.now() - before < 8000)
  assert.equal(seen.errors.length, 1)
  socket.destroy()
})

test('a message larger than what may wait passes where nothing waits', async () => {
  const limits = { maxMessageBytes: 2_000_000, maxQueuedBytes: 100_000 }
  for (const [make, address] of [
    [() => tcpTransport(limits, context), ''],
    [() => unixTransport(limits, context), ''],
    [() => memoryTransport({ ...limits, hub: memoryHub() }, context), ''],
  ] as const) {
    await using transport = make()
    const seen = await listen(transport, address)
    const connection = await transport.dial(seen.address, ignore)
    for (let i = 1; i <= 3; i++) {
      assert.equal(connection.send({ header: {}, body: Buffer.alloc(1_500_000) }), false)
      await connection.drained()
      await until('it has come', () => seen.bodies.length === i)
    }
  }
})

test('limits and times that cannot be are refused with their names, and those without end are taken', async () => {
  const makes = { tcp: tcpTransport, unix: unixTransport, memory: memoryTransport, http: httpTransport }
  for (const [transport, make] of Object.entries(makes)) {
    for (const name of ['maxMessageBytes', 'maxQueuedBytes', 'maxConnections']) {
      for (const value of [0, -1, NaN, '1000', null]) {
        assert.throws(
          () => make({ [name]: value }, context),
          (error) =>
            error instanceof ServiceError &&
            error.code === 'invalid-option' &&
            error.message.includes(`${name} of the options of the ${transport} transport`),
          `${transport} ${name} ${String(value)}`,
        )
      }
    }
  }
  for (const options of [{ maxHeaderBytes: 0 }, { messageTimeoutMs: -1 }, { messageTimeoutMs: NaN }]) {
    assert.throws(() => httpTransport(options, context), code('invalid-option'))
  }
  assert.throws(() => tcpTransport({ tls: { handshakeTimeoutMs: NaN } }, context), code('invalid-option'))
  await using tcp = tcpTransport({ maxQueuedBytes: Infinity, maxConnections: Infinity }, context)
  const seen = await listen(tcp, '')
  const connection = await tcp.dial(seen.address, ignore, { timeoutMs: Infinity })
  connection.send({ header: {}, body: Buffer.from('a') })
  await until('it has come', () => seen.bodies.length === 1)
})
