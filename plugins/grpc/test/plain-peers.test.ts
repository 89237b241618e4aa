import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  credentials,
  makeGenericClientConstructor,
  Metadata,
  Server,
  ServerCredentials,
  status,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type ServiceError as GrpcError,
} from '@grpc/grpc-js'
import {
  ServiceError,
  type Client,
  type ClientRequest,
  type Node,
  type ServerRequest,
} from '@micrograft/contracts'
import { grpcClient, grpcServer } from '@micrograft/grpc'
import { componentContext, until } from '@micrograft/testing'
import { dispatcherOf, TestDoor } from './support/grpc-subject.js'

const raw = (bytes: Buffer) => bytes
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/acme.v1.Say/${name}`,
  requestStream,
  responseStream,
  requestSerialize: raw,
  requestDeserialize: raw,
  responseSerialize: raw,
  responseDeserialize: raw,
})
const definition = {
  Hello: method('Hello', false, false),
  Fail: method('Fail', false, false),
  Wait: method('Wait', false, false),
  Count: method('Count', false, true),
  Sum: method('Sum', true, false),
  Echo: method('Echo', true, true),
}
type Unary = (
  request: Buffer,
  metadata: Metadata,
  options: { deadline?: number },
  done: (error: GrpcError | null, reply: Buffer) => void,
) => { cancel(): void; on(event: 'metadata', hear: (metadata: Metadata) => void): void }

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const bytes = (value: string) => Buffer.from(value)

/** A plain gRPC client calls this server. */
const server = grpcServer({}, { ...componentContext(), service: 'greeter' })
const plain = new Server()
const disposables: (() => unknown)[] = [() => server[Symbol.asyncDispose](), () => plain.forceShutdown()]
after(async () => {
  for (const each of disposables.reverse()) await each()
})
let seen: ServerRequest | undefined
let stub: Record<string, (...args: never[]) => unknown>
let client: Client
let node: Node

before(async () => {
  const { address } = await server.start(
    new TestDoor().context(
      dispatcherOf(
        {
          'Say.Hello': async (request, body) => {
            seen = request
            return {
              metadata: { 'x-cost': '7' },
              contentType: request.contentType,
              body: bytes(`Hello ${text(body)}`),
            }
          },
          'Say.Fail': async () => {
            throw new ServiceError('not-found', 'no such name', { id: 'greeter' })
          },
          'Say.Wait': (request) => {
            seen = request
            return new Promise(() => undefined)
          },
        },
        {
          'Say.Count': async (_, stream) => {
            for await (const each of stream.messages) {
              for (let i = 1; i <= Number(text(each)); i++) await stream.send(bytes(`${i}`))
            }
          },
          'Say.Sum': async (_, stream) => {
            let sum = 0
            for await (const each of stream.messages) sum += Number(text(each))
            await stream.send(bytes(`${sum}`))
          },
          'Say.Echo': async (_, stream) => {
            for await (const each of stream.messages) await stream.send(each)
            return { 'x-last': 'yes' }
          },
        },
      ),
    ),
  )
  const Stub = makeGenericClientConstructor(definition, 'Say')
  const made = new Stub(address, credentials.createInsecure())
  disposables.push(() => made.close())
  stub = made as never

  plain.addService(definition, {
    Hello(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
      const leading = new Metadata()
      leading.set('x-seen', String(call.metadata.get('x-tenant')[0] ?? ''))
      call.sendMetadata(leading)
      const trailing = new Metadata()
      trailing.set('x-cost', '7')
      done(null, bytes(`Hello ${text(call.request)}`), trailing)
    },
    Fail(_: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
      done({ code: status.NOT_FOUND, details: 'no such name' })
    },
    Wait(call: ServerUnaryCall<Buffer, Buffer>) {
      call.on('cancelled', () => canceled++)
      waiting++
    },
    Count(call: ServerWritableStream<Buffer, Buffer>) {
      for (let i = 1; i <= Number(text(call.request)); i++) call.write(bytes(`${i}`))
      call.end()
    },
    Sum(call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
      let sum = 0
      call.on('data', (each: Buffer) => (sum += Number(text(each))))
      call.on('end', () => done(null, bytes(`${sum}`)))
    },
    Echo(call: ServerDuplexStream<Buffer, Buffer>) {
      call.on('data', (each: Buffer) => call.write(each))
      call.on('end', () => call.end())
    },
  })
  const port = await new Promise<number>((resolve, reject) =>
    plain.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  )
  client = grpcClient({}, componentContext())
  disposables.push(() => client[Symbol.asyncDispose]())
  node = { id: 'plain', address: `127.0.0.1:${port}`, metadata: { protocol: 'grpc' } }
})

let waiting = 0
let canceled = 0

const unary = (name: string, request: Buffer, options = {}, metadata = new Metadata()) => {
  let leading: Metadata | undefined
  let cancel: () => void = () => undefined
  const reply = new Promise<Buffer>((resolve, reject) => {
    const call = (stub[name] as unknown as Unary).call(stub, request, metadata, options, (error, reply) =>
      error ? reject(error) : resolve(reply),
    )
    call.on('metadata', (each) => (leading = each))
    cancel = () => call.cancel()
  })
  return { reply, cancel, leading: () => leading }
}

test('a plain client calls the server, and gets its metadata', async () => {
  const metadata = new Metadata()
  metadata.set('x-tenant', 'acme')
  metadata.add('x-many', '1')
  metadata.add('x-many', '2')
  metadata.set('key-bin', Buffer.from([0, 255]))
  const { reply, leading } = unary('Hello', bytes('John'), { deadline: Date.now() + 5000 }, metadata)
  assert.equal(text(await reply), 'Hello John')
  assert.deepEqual(leading()?.get('x-cost'), ['7'])
  assert.equal(seen?.service, 'acme.v1')
  assert.equal(seen.endpoint, 'Say.Hello')
  assert.equal(seen.contentType, 'application/protobuf')
  assert.deepEqual(seen.metadata, { 'x-tenant': 'acme', 'x-many': '1, 2', 'key-bin': 'AP8=' })
  assert.ok(seen.deadline && seen.deadline > Date.now() + 3000 && seen.deadline < Date.now() + 5100)
  assert.match(seen.remote, /^127\.0\.0\.1:\d+$/)
})

test('a plain client gets errors as statuses', async () => {
  await assert.rejects(unary('Fail', bytes('')).reply, (error: GrpcError) => {
    assert.equal(error.code, status.NOT_FOUND)
    assert.equal(error.details, '{"id":"greeter","code":404,"detail":"no such name","status":"Not Found"}')
    assert.ok(Buffer.isBuffer(error.metadata.get('grpc-status-details-bin')[0]))
    return true
  })
  const Other = makeGenericClientConstructor({ Nothing: method('Nothing', false, false) }, 'Say')
  const other = new Other(
    `${(stub as never as { getChannel(): { getTarget(): string } }).getChannel().getTarget()}`,
    credentials.createInsecure(),
  )
  disposables.push(() => other.close())
  await assert.rejects(
    new Promise((_, reject) =>
      (other['Nothing'] as unknown as Unary).call(other, bytes(''), new Metadata(), {}, reject),
    ),
    { code: status.UNIMPLEMENTED },
  )
})

test("a plain client's deadline and cancellation reach the handler", async () => {
  seen = undefined
  await assert.rejects(unary('Wait', bytes(''), { deadline: Date.now() + 40 }).reply, {
    code: status.DEADLINE_EXCEEDED,
  })
  await until('the handler is told', () => seen?.signal.aborted)
  seen = undefined
  const { reply, cancel } = unary('Wait', bytes(''))
  const refused = assert.rejects(reply, { code: status.CANCELLED })
  await until('the handler runs', () => seen)
  const reason = new Promise((resolve) => {
    const { signal } = seen as ServerRequest
    signal.addEventListener('abort', () => resolve((signal.reason as ServiceError).code))
  })
  cancel()
  await refused
  assert.equal(await reason, 'canceled')
})

test('a plain client streams in every shape', async () => {
  type Call = AsyncIterable<Buffer> & { write(each: Buffer): boolean; end(): void }
  const counted: string[] = []
  for await (const each of (stub['Count'] as unknown as (request: Buffer) => Call).call(stub, bytes('300')))
    counted.push(text(each))
  assert.deepEqual(
    counted,
    Array.from({ length: 300 }, (_, i) => `${i + 1}`),
  )
  const sum = await new Promise<Buffer>((resolve, reject) => {
    const call = (
      stub['Sum'] as unknown as (done: (error: GrpcError | null, reply: Buffer) => void) => Call
    ).call(stub, (error, reply) => (error ? reject(error) : resolve(reply)))
    for (let i = 1; i <= 100; i++) call.write(bytes(`${i}`))
    call.end()
  })
  assert.equal(text(sum), '5050')
  const call = (stub['Echo'] as unknown as () => Call).call(stub)
  const answers = call[Symbol.asyncIterator]()
  for (let i = 0; i < 20; i++) {
    call.write(bytes(`${i}`))
    assert.equal(text((await answers.next()).value as Buffer), `${i}`)
  }
  call.end()
  assert.equal((await answers.next()).done, true)
})

const request = (endpoint: string, more: Partial<ClientRequest> = {}): ClientRequest => ({
  service: 'acme.v1',
  endpoint,
  contentType: 'application/protobuf',
  metadata: { 'x-tenant': 'acme' },
  timeoutMs: 5000,
  ...more,
})

test('the client calls a plain server, and gets its metadata', async () => {
  const reply = await client.call(node, { ...request('Say.Hello'), body: bytes('John') })
  assert.equal(text(reply.body), 'Hello John')
  assert.equal(reply.contentType, 'application/protobuf')
  assert.equal(reply.metadata['x-seen'], 'acme')
  assert.equal(reply.metadata['x-cost'], '7')
  const byPath = await client.call(node, {
    ...request('/acme.v1.Say/Hello', { service: '' }),
    body: bytes('Jane'),
  })
  assert.equal(text(byPath.body), 'Hello Jane')
})

test('the client gets the errors of a plain server as codes', async () => {
  await assert.rejects(client.call(node, { ...request('Say.Fail'), body: bytes('') }), {
    name: 'ServiceError',
    code: 'not-found',
    id: 'acme.v1',
    message: 'no such name',
  })
  await assert.rejects(client.call(node, { ...request('Say.Nothing'), body: bytes('') }), {
    code: 'unsupported',
  })
})

test("the client's abort reaches a plain server", async () => {
  const controller = new AbortController()
  const call = client.call(node, { ...request('Say.Wait'), body: bytes('') }, { signal: controller.signal })
  await until('it runs', () => waiting === 1)
  controller.abort(new Error('given up'))
  await assert.rejects(call, /given up/)
  await until('it is told', () => canceled === 1)
  await assert.rejects(client.call(node, { ...request('Say.Wait', { timeoutMs: 40 }), body: bytes('') }), {
    code: 'timeout',
  })
})

test('the client streams in every shape with a plain server', async () => {
  const collect = async (messages: AsyncIterable<Uint8Array>) => {
    const all: string[] = []
    for await (const each of messages) all.push(text(each))
    return all
  }
  await using count = await client.stream(node, request('Say.Count'))
  await count.send(bytes('300'))
  await count.end()
  assert.equal((await collect(count.messages)).length, 300)
  await using sum = await client.stream(node, request('Say.Sum'))
  for (let i = 1; i <= 100; i++) await sum.send(bytes(`${i}`))
  await sum.end()
  assert.deepEqual(await collect(sum.messages), ['5050'])
  await using echo = await client.stream(node, request('Say.Echo'))
  const answers = echo.messages[Symbol.asyncIterator]()
  for (let i = 0; i < 20; i++) {
    await echo.send(bytes(`${i}`))
    assert.equal(text((await answers.next()).value as Uint8Array), `${i}`)
  }
  await echo.end()
  assert.equal((await answers.next()).done, true)
})
