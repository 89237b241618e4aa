import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, test, type TestContext } from 'node:test'
import { Client as PlainClient, credentials } from '@grpc/grpc-js'
import type { Client, Node } from '@micrograft/contracts'
import { grpcClient, grpcServer, type GrpcClientOptions, type GrpcServerOptions } from '@micrograft/grpc'
import { certificate, type Certificate } from '@micrograft/test-support'
import { componentContext } from '@micrograft/testing'
import { dispatcherOf, TestDoor } from './support/grpc-subject.js'

let own: Certificate | undefined
let other: Certificate | undefined
before(async () => {
  own = await certificate()
  other = await certificate()
})
const disposables: AsyncDisposable[] = []
after(async () => {
  for (const each of disposables.reverse()) await each[Symbol.asyncDispose]()
})

async function serverWith(options: GrpcServerOptions): Promise<Node> {
  const server = grpcServer(options, componentContext())
  disposables.push(server)
  const dispatcher = dispatcherOf({ 'Say.Hello': async (_, body) => body })
  const { address, metadata } = await server.start(new TestDoor().context(dispatcher))
  return { id: address, address, metadata }
}

function clientWith(options: GrpcClientOptions): Client {
  const client = grpcClient(options, componentContext())
  disposables.push(client)
  return client
}

async function hello(client: Client, node: Node): Promise<string> {
  const { body } = await client.call(node, {
    service: 'echo',
    endpoint: 'Say.Hello',
    contentType: 'application/octet-stream',
    metadata: {},
    timeoutMs: 5000,
    body: Buffer.from('John'),
  })
  return Buffer.from(body).toString()
}

function certificates(t: TestContext): { own: Certificate; other: Certificate } | undefined {
  if (own && other) return { own, other }
  t.skip('openssl is not installed, and makes the certificates')
  return undefined
}

test('a client that trusts the authority calls over TLS', async (t) => {
  const made = certificates(t)
  if (!made) return
  const node = await serverWith(made.own)
  assert.equal(node.metadata['secure'], 'true')
  assert.equal(await hello(clientWith({ ca: made.own.cert }), node), 'John')
  const { port } = new URL(`http://${node.address}`)
  assert.equal(
    await hello(clientWith({ ca: made.own.cert, servername: 'localhost' }), { ...node, metadata: {} }),
    'John',
  )
  assert.equal(
    await hello(clientWith({ ca: made.own.cert }), { ...node, address: `localhost:${port}` }),
    'John',
  )
})

test('a client believes no certificate of another authority, or for another name', async (t) => {
  const made = certificates(t)
  if (!made) return
  const node = await serverWith(made.own)
  await assert.rejects(hello(clientWith({}), node), {
    code: 'unavailable',
    message: /self-signed certificate/,
  })
  await assert.rejects(hello(clientWith({ ca: made.other.cert }), node), { code: 'unavailable' })
  const wrongName = clientWith({ ca: made.own.cert, servername: 'example.org' })
  await assert.rejects(hello(wrongName, node), { code: 'unavailable', message: /altnames/ })
})

test('a server with an authority takes only clients with a certificate of it', async (t) => {
  const made = certificates(t)
  if (!made) return
  const node = await serverWith({ ...made.own, ca: made.other.cert })
  const ca = made.own.cert
  await assert.rejects(hello(clientWith({ ca }), node), { code: 'unavailable' })
  await assert.rejects(hello(clientWith({ ca, ...made.own }), node), { code: 'unavailable' })
  assert.equal(await hello(clientWith({ ca, ...made.other }), node), 'John')
})

test('plain text to a TLS server, and TLS to a plain one, cost one connection', async (t) => {
  const made = certificates(t)
  if (!made) return
  const secure = await serverWith({ ...made.own, helloTimeoutMs: 100 })
  const plain = await serverWith({})
  await assert.rejects(hello(clientWith({ secure: false }), secure), { code: 'unavailable' })
  await assert.rejects(hello(clientWith({ ca: made.own.cert }), plain), { code: 'unavailable' })
  const [host, port] = secure.address.split(':') as [string, string]
  const silent = connect(Number(port), host)
  silent.on('error', () => undefined)
  await new Promise((resolve) => silent.once('close', resolve))
  assert.equal(await hello(clientWith({ ca: made.own.cert }), secure), 'John')
  assert.equal(await hello(clientWith({}), plain), 'John')
})

test('a plain gRPC client calls over TLS', async (t) => {
  const made = certificates(t)
  if (!made) return
  const node = await serverWith(made.own)
  const { port } = new URL(`http://${node.address}`)
  const plain = new PlainClient(`localhost:${port}`, credentials.createSsl(Buffer.from(made.own.cert)))
  const raw = (bytes: Buffer) => bytes
  const reply = await new Promise<Buffer | undefined>((resolve, reject) =>
    plain.makeUnaryRequest('/echo.Say/Hello', raw, raw, Buffer.from('Jane'), (error, value) =>
      error ? reject(error) : resolve(value),
    ),
  )
  plain.close()
  assert.equal(String(reply), 'Jane')
})

test('certificates that are none are refused when the component is made', (t) => {
  const made = certificates(t)
  if (!made) return
  assert.throws(() => grpcServer({ cert: 'no', key: 'no' }, componentContext()), { code: 'invalid-option' })
  assert.throws(() => grpcServer({ cert: made.own.cert }, componentContext()), { code: 'invalid-option' })
  assert.throws(() => grpcClient({ cert: made.own.cert, key: 'no' }, componentContext()), {
    code: 'invalid-option',
  })
})
