import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { createService } from 'micrograft'
import {
  ServiceError,
  type Connection,
  type ErrorCode,
  type Message,
  type Transport,
} from '@micrograft/contracts'
import { comply, componentContext, transportCases, until } from '@micrograft/testing'
import { memoryRegistryHub } from '../dist/registry/memory-registry.js'
import { httpTransport } from '../dist/transport/http-transport.js'
import { memoryTransport } from '../dist/transport/memory-transport.js'
import { tcpTransport } from '../dist/transport/tcp-transport.js'
import type { TlsOptions } from '../dist/transport/tls-options.js'
import { unixTransport } from '../dist/transport/unix-transport.js'
import { FrameType } from '../dist/rpc/frame.js'
import * as write from './support/frames.js'
import { pair } from './support/pair.js'
import { RawPeer } from './support/raw-peer.js'
import { RpcSubject } from './support/rpc-subject.js'
import { Authority, noOpenssl } from './support/tls-files.js'

const context = componentContext()
const code = (expected: ErrorCode, message = /./) => {
  return (error: unknown) =>
    error instanceof ServiceError && error.code === expected && message.test(error.message)
}

/** What a transport tells of the connections that it accepted or dialled. */
class Seen {
  readonly bodies: string[] = []
  readonly connections: Connection[] = []
  readonly errors: (ServiceError | undefined)[] = []

  readonly accept = (connection: Connection) => {
    this.connections.push(connection)
    return this
  }

  readonly message = ({ body }: Message) => void this.bodies.push(Buffer.from(body).toString())
  readonly closed = (error: ServiceError | undefined) => void this.errors.push(error)
}

const kinds = {
  tcp: (tls?: TlsOptions) => tcpTransport({ tls }, context),
  http: (tls?: TlsOptions) => httpTransport({ tls }, context),
}

describe('TLS', { skip: noOpenssl }, () => {
  if (noOpenssl) return
  const authority = new Authority()
  const other = new Authority()
  test.after(() => {
    authority[Symbol.dispose]()
    other[Symbol.dispose]()
  })
  const { ca } = authority
  const node = authority.sign()
  const stranger = other.sign()

  /** Whether a client with `options` gets a message to a door with `door`; what it fails with otherwise. */
  async function passes(
    make: (tls?: TlsOptions) => Transport,
    door: TlsOptions,
    options: TlsOptions | undefined,
    host = '127.0.0.1',
  ): Promise<void> {
    await using server = make(door)
    await using client = make(options)
    const seen = new Seen()
    const listener = await server.listen(`${host}:0`, seen.accept)
    const own = new Seen()
    const connection = await client.dial(listener.address, own)
    connection.send({ header: {}, body: Buffer.from('hello') })
    await until('it came, or the connection ended', () => seen.bodies.length + own.errors.length > 0)
    if (own.errors.length > 0)
      throw own.errors[0] ?? new ServiceError('closed', 'the peer ended the connection')
    assert.deepEqual(seen.bodies, ['hello'])
  }

  for (const [name, make] of Object.entries(kinds)) {
    const limits = { maxMessageBytes: 100_000, maxQueuedBytes: 1_000_000, maxConnections: 3 }
    comply(test, `${name} with TLS`, transportCases, {
      create: () => {
        const tls = { ...node, ca, handshakeTimeoutMs: 500 }
        const transport =
          name === 'tcp'
            ? tcpTransport({ ...limits, tls }, context)
            : httpTransport({ ...limits, tls }, context)
        return {
          transport,
          address: '127.0.0.1:0',
          nobody: '127.0.0.1:1',
          limits,
          [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
        }
      },
    })

    test(`${name}: certificates are files, text, bytes, and what a JSON file holds of them`, async () => {
      const text = { cert: Authority.text(node.cert), key: Authority.text(node.key), ca: Authority.text(ca) }
      const bytes = { cert: Buffer.from(text.cert), key: Buffer.from(text.key), ca: [Buffer.from(text.ca)] }
      for (const tls of [{ ...node, ca }, text, bytes, JSON.parse(JSON.stringify(text)) as TlsOptions]) {
        await passes(make, tls, { ca: tls.ca })
      }
      await passes(make, { ...node, ca }, { ca: [stranger.cert, ca] }, 'localhost')
    })

    test(`${name}: a server of an unknown authority is refused, unless that is asked for`, async () => {
      const refused = code('unavailable', /authority that is not known here.*tls\.ca/)
      await assert.rejects(passes(make, stranger, { ca }), refused)
      await assert.rejects(passes(make, node, {}), refused)
      await passes(make, stranger, { rejectUnauthorized: false })
    })

    test(`${name}: a certificate for another host is refused, unless that is the one meant`, async () => {
      const elsewhere = authority.sign('DNS:elsewhere.example')
      await assert.rejects(
        passes(make, elsewhere, { ca }),
        code('unavailable', /for another host.*tls\.servername/),
      )
      await assert.rejects(passes(make, elsewhere, { ca }, 'localhost'), code('unavailable', /another host/))
      await passes(make, elsewhere, { ca, servername: 'elsewhere.example' })
    })

    test(`${name}: a certificate that has expired is refused`, async () => {
      const expired = authority.sign(undefined, ['-days', '-1'])
      await assert.rejects(passes(make, expired, { ca }), code('unavailable', /has expired/))
    })

    test(`${name}: a door that requires a certificate takes those of its authority alone`, async () => {
      const door: TlsOptions = { ...node, ca, clientCert: 'require' }
      await passes(make, door, { ...authority.sign(), ca })
      await assert.rejects(
        passes(make, door, { ca }),
        code('unauthenticated', /does not take this side's certificate.*tls\.cert/),
      )
      // Node's servers do not say why they refuse a certificate that they were shown.
      await assert.rejects(passes(make, door, { ...stranger, ca }), code('closed'))
      await passes(make, { ...door, clientCert: 'request' }, { ca })
      await passes(make, { ...door, clientCert: 'request' }, { ...stranger, ca })
    })

    test(`${name}: plain bytes at a TLS door, and silence, cost one connection`, async () => {
      await using transport = make({ ...node, ca, handshakeTimeoutMs: 100 })
      const seen = new Seen()
      const { address, secure } = await transport.listen('', seen.accept)
      assert.equal(secure, true)
      for (const bytes of [
        'POST / HTTP/1.1\r\n\r\n',
        '\0\0\0\u0001\0',
        'x'.repeat(100_000),
        '',
        '\u0016\u0003\u0001',
      ]) {
        using peer = await RawPeer.dial(address)
        peer.socket.write(bytes)
        await until('the connection ends', () => peer.closed)
      }
      await using plain = make()
      const dialled = new Seen()
      await plain.dial(address, dialled).then(
        (connection) => connection.send({ header: {}, body: Buffer.from('plain') }),
        () => dialled.closed(undefined),
      )
      await until('the plain client is told', () => dialled.errors.length > 0)
      assert.deepEqual([seen.connections.length, seen.bodies.length], [0, 0])
      const connection = await transport.dial(address, new Seen())
      connection.send({ header: {}, body: Buffer.from('still served') })
      await until('a good one is served', () => seen.bodies.length === 1)
    })

    test(`${name}: a TLS client at a plain door is refused in time, and costs one connection`, async () => {
      await using plain = make()
      await using client = make({ ca })
      const seen = new Seen()
      const { address, secure } = await plain.listen('', seen.accept)
      assert.equal(secure, false)
      await assert.rejects(client.dial(address, new Seen()), code('unavailable'))
      await assert.rejects(plain.dial(address, new Seen(), { secure: true }), code('unavailable'))
      await until('both are told', () => seen.errors.length === 2)
      assert.deepEqual(
        seen.errors.map((error) => error?.code),
        ['protocol', 'protocol'],
      )
      const connection = await plain.dial(address, new Seen())
      connection.send({ header: {}, body: Buffer.from('still served') })
      await until('a good one is served', () => seen.bodies.length === 1)
    })

    test(`${name}: a transport that was made without TLS dials with it where it is asked to, and verifies`, async () => {
      await using server = make(node)
      await using client = make()
      const { address } = await server.listen('', new Seen().accept)
      await assert.rejects(
        client.dial(address, new Seen(), { secure: true }),
        code('unavailable', /authority that is not known/),
      )
    })

    test(`${name}: a dial that gets no answer to its handshake ends in time`, async () => {
      await using client = make({ ca })
      await using silent = make()
      const { address } = await silent.listen('', (connection) => {
        connection.pause()
        return new Seen()
      })
      await assert.rejects(
        client.dial(address, new Seen(), { timeoutMs: 60 }),
        code('unavailable', /no connection within 60 ms/),
      )
      const aborting = new AbortController()
      const dialled = client.dial(address, new Seen(), { signal: aborting.signal })
      aborting.abort(new Error('given up'))
      await assert.rejects(dialled, /given up/)
    })

    test(`${name}: two services talk over TLS, and one that knows nothing of it is told of it by the node`, async (t) => {
      const transport = { use: name, options: { tls: { ...node, ca } } }
      const registry = { use: 'memory', options: { hub: memoryRegistryHub() } }
      const { service, caller } = await pair(
        t,
        (greeter) =>
          greeter.handle('Say', { Hello: async (request: { name: string }) => `Hello ${request.name}` }),
        { service: { transport, registry }, caller: { transport, registry } },
      )
      assert.equal(await caller.client.call('greeter', 'Say.Hello', { name: 'John' }), 'Hello John')
      const socket = await handshake(service.address ?? '', {})
      assert.equal(socket.getPeerCertificate().subject.CN, 'node')
      socket.destroy()
      assert.equal(service.record.nodes[0]?.metadata['secure'], 'true')
      const unaware = createService({ name: 'unaware', registry, broker: 'memory', logger: 'noop' })
      t.after(() => unaware.stop())
      await unaware.start()
      await assert.rejects(
        unaware.client.call('greeter', 'Say.Hello', {}, { retries: 0 }),
        code('unavailable', /authority that is not known here/),
      )
    })

    test(`${name}: disposing ends handshakes that are under way`, async () => {
      const transport = make(node)
      const { address } = await transport.listen('', new Seen().accept)
      using peer = await RawPeer.dial(address)
      await transport[Symbol.asyncDispose]()
      await until('the connection ends', () => peer.closed)
    })
  }

  /** A bare TLS client, as far as the end of its handshake. */
  function handshake(address: string, options: ConnectionOptions) {
    const [host, port] = address.split(':')
    const socket = connectTls({ host, port: Number(port), ca: Authority.text(ca), ...options })
    return new Promise<typeof socket>((resolve, reject) => {
      socket.once('secureConnect', () => resolve(socket)).once('error', reject)
    })
  }

  test('a server that has stopped serves nobody whose handshake ends later', async () => {
    await using subject = new RpcSubject(tcpTransport({ tls: node }, context), '127.0.0.1:0', '')
    let calls = 0
    const { server, node: served } = await subject.start({
      kind: () => 'unary',
      unary: async ({ metadata, contentType }, body) => (calls++, { metadata, contentType, body }),
      stream: async () => ({}),
    })
    const [host, port] = served.address.split(':')
    const socket = connect(Number(port), host)
    await once(socket, 'connect')
    // Another has its handshake behind it, so that this one was accepted.
    ;(await handshake(served.address, {})).destroy()
    await server.stop()
    const peer = new RawPeer(connectTls({ socket, host: '127.0.0.1', ca: Authority.text(ca) }))
    const target = { service: 'a', endpoint: 'A.b', contentType: 'c' }
    const sizes = { maxFrameBytes: 1000, maxCalls: 0, maxTargets: 0, windowBytes: 1, windowMessages: 1 }
    peer.send(
      write.helloFrame({ lowest: 1, highest: 1, ...sizes }),
      write.callFrame(FrameType.call, 0, 0, { target, reference: 0 }, {}, Buffer.alloc(0)),
    )
    await until('the connection ends', () => peer.closed)
    assert.equal(calls, 0)
  })

  test('nothing below TLS 1.2 is spoken, and 1.3 alone where that is asked for', async () => {
    await using door = tcpTransport({ tls: node }, context)
    const { address } = await door.listen('', new Seen().accept)
    const old: ConnectionOptions = {
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    }
    await assert.rejects(
      handshake(address, old),
      /alert protocol version|no protocols available|unsupported protocol/i,
    )
    const socket = await handshake(address, { maxVersion: 'TLSv1.2' })
    assert.equal(socket.getProtocol(), 'TLSv1.2')
    socket.destroy()
    await using strict = tcpTransport({ tls: { ...node, minVersion: 'TLSv1.3' } }, context)
    const { address: strictAddress } = await strict.listen('', new Seen().accept)
    await assert.rejects(handshake(strictAddress, { maxVersion: 'TLSv1.2' }))
    ;(await handshake(strictAddress, {})).destroy()
  })

  test("a server that says that it does not believe this side's certificate is told as unauthenticated", async () => {
    const args = ['-accept', '127.0.0.1:0', '-cert', node.cert, '-key', node.key, '-CAfile', ca]
    const server = spawn('openssl', ['s_server', ...args, '-Verify', '1', '-verify_return_error'])
    try {
      let said = ''
      server.stdout.on('data', (chunk) => (said += String(chunk)))
      await until('it listens', () => /ACCEPT 127\.0\.0\.1:\d+/.test(said))
      await using client = tcpTransport({ tls: { ...stranger, ca } }, context)
      const seen = new Seen()
      await client.dial(/ACCEPT (.*)/.exec(said)?.[1] ?? '', seen)
      await until('the end is told', () => seen.errors.length === 1)
      assert.ok(code('unauthenticated', /does not take this side's certificate/)(seen.errors[0]))
    } finally {
      server.kill()
    }
  })

  test('an http door agrees on http/1.1, and on nothing with who speaks HTTP/2 alone', async () => {
    await using door = httpTransport({ tls: node }, context)
    const { address } = await door.listen('', new Seen().accept)
    const socket = await handshake(address, { ALPNProtocols: ['h2', 'http/1.1'] })
    assert.equal(socket.alpnProtocol, 'http/1.1')
    socket.destroy()
    await assert.rejects(handshake(address, { ALPNProtocols: ['h2'] }))
  })

  test('options that cannot be are refused when the transport is made, and a door without a certificate when it opens', async () => {
    const key = Authority.text(node.key)
    for (const [tls, message] of [
      [{ cert: node.cert }, /only one of cert and key/],
      [{ cert: node.cert, key: stranger.key }, /do not fit together/],
      [{ cert: 'no/such/file.pem', key }, /cannot read cert of the tls options.*no\/such\/file\.pem/],
      [{ cert: key, key }, /do not fit together or are no PEM/],
      [{ ca: 7 }, /ca of .* is neither PEM nor the path/],
      [{ ca: '' }, /ca of .* is neither PEM nor the path/],
      [{ clientCert: 'always' }, /clientCert .* "always"; it is one of "none", "request", "require"/],
      [{ clientCert: 'require', ...node }, /say with ca who issues them/],
      [{ minVersion: 'TLSv1.1' }, /minVersion/],
      [{ rejectUnauthorized: 'no' }, /rejectUnauthorized/],
      [{ insecure: true }, /the tls options of the tcp transport have no "insecure"/],
      [true, /are no object/],
    ] as [TlsOptions, RegExp][]) {
      assert.throws(() => tcpTransport({ tls }, context), code('invalid-option', message))
    }
    await using dialling = tcpTransport({ tls: {} }, context)
    await assert.rejects(
      dialling.listen('', new Seen().accept),
      code('invalid-option', /no certificate to listen with; give cert and key/),
    )
  })
})

test('transports without TLS say so when a node asks for it', async () => {
  await using unix = unixTransport(undefined, context)
  await using memory = memoryTransport(undefined, context)
  for (const [transport, address] of [
    [unix, 'unix:/nobody'],
    [memory, 'memory:9'],
  ] as const) {
    await assert.rejects(
      transport.dial(address, new Seen(), { secure: true }),
      code('unsupported', new RegExp(`${transport.name} transport has no TLS`)),
    )
  }
})
