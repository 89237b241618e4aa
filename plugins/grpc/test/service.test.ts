import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { create, createRegistry, fromBinary, toBinary } from '@bufbuild/protobuf'
import { credentials, makeGenericClientConstructor, Metadata, status } from '@grpc/grpc-js'
import { clientStream, definePlugin, serverStream, twoWay, unary, type Codec } from '@micrograft/contracts'
import { clientPlugin, serverPlugin } from '@micrograft/grpc'
import { build } from '@micrograft/plugin/build'
import { createService, type Service } from 'micrograft'
import {
  HelloReplySchema,
  HelloRequestSchema,
  messageSchema,
  type Greeting,
  type Hello,
} from './support/greeter-proto.js'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'micrograft-grpc-'))
})
const disposables: AsyncDisposable[] = []
after(async () => {
  for (const each of disposables.reverse()) await each[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const local = () => ({
  registry: { use: 'local', options: { directory: join(folder, 'registry') } },
  logger: 'noop',
})

async function started(service: Service): Promise<Service> {
  disposables.push(service)
  await service.start()
  return service
}

const plugins = [clientPlugin, serverPlugin]

test('a service without a .proto answers JSON in every shape of call', async () => {
  const greeter = createService({ name: 'json', plugins, server: 'grpc', ...local() })
  greeter.handle('Say', {
    Hello: async (request: { name: string }, context) => {
      context.replyMetadata['x-cost'] = '7'
      return { msg: `Hello ${request.name}`, tenant: context.metadata['x-tenant'] }
    },
    Count: serverStream({
      async *handle({ to }: { to: number }) {
        for (let i = 1; i <= to; i++) yield i
      },
    }),
    Sum: clientStream({
      async handle(numbers: AsyncIterable<number>) {
        let sum = 0
        for await (const each of numbers) sum += each
        return sum
      },
    }),
    Double: twoWay({
      async *handle(numbers: AsyncIterable<number>) {
        for await (const each of numbers) yield each * 2
      },
    }),
  })
  await started(greeter)
  const { client } = await started(createService({ name: 'caller', plugins, client: 'grpc', ...local() }))
  const metadata: Record<string, string>[] = []
  assert.deepEqual(
    await client.call(
      'json',
      'Say.Hello',
      { name: 'John' },
      {
        metadata: { 'x-tenant': 'acme' },
        onMetadata: (each) => metadata.push({ ...each }),
      },
    ),
    { msg: 'Hello John', tenant: 'acme' },
  )
  assert.deepEqual(metadata, [{ 'x-cost': '7' }])
  const counted: number[] = []
  for await (const each of client.stream<number>('json', 'Say.Count', { to: 3 })) counted.push(each)
  assert.deepEqual(counted, [1, 2, 3])
  assert.equal(await client.send('json', 'Say.Sum', [1, 2, 3]), 6)
  const stream = client.open<number, number>('json', 'Say.Double')
  await stream.send(4)
  await stream.end()
  const doubled: number[] = []
  for await (const each of stream) doubled.push(each)
  assert.deepEqual(doubled, [8])
  await assert.rejects(client.call('json', 'Say.Nothing', {}), { code: 'not-found' })
})

test('a protobuf service answers its own client and a plain one', async () => {
  const registry = createRegistry(HelloReplySchema)
  // The protobuf codec with the descriptors of what is written.
  const codec: Codec = {
    name: 'protobuf',
    contentTypes: ['application/protobuf'],
    text: false,
    encode: (value) => {
      if (value instanceof Uint8Array) return value
      const name = (value as { $typeName: string }).$typeName
      return toBinary(registry.getMessage(name) as typeof HelloReplySchema, value as Greeting)
    },
    decode: (bytes) => bytes.slice(),
  }
  const withMessages = definePlugin<'codec'>({
    name: 'protobuf',
    type: 'codec',
    version: '1.0.0',
    newFunc: () => codec,
  })
  const greeter = createService({
    name: 'proto',
    plugins: [...plugins, withMessages],
    server: 'grpc',
    ...local(),
  })
  const input = messageSchema<Hello>(HelloRequestSchema)
  greeter.handle('Say', {
    Hello: unary({
      input,
      handle: async ({ name }) => create(HelloReplySchema, { msg: `Hello ${name}` }),
    }),
    // With the codec in the box a handler gives bytes.
    Count: serverStream({
      input,
      async *handle({ name }) {
        for (let i = 1n; i <= 3n; i++)
          yield toBinary(HelloReplySchema, create(HelloReplySchema, { msg: name, times: i }))
      },
    }),
  })
  await started(greeter)
  const request = toBinary(HelloRequestSchema, create(HelloRequestSchema, { name: 'John' }))
  const { client } = await started(createService({ name: 'caller', plugins, client: 'grpc', ...local() }))
  const contentType = 'application/protobuf'
  const reply = await client.call<Uint8Array>('proto', 'Say.Hello', request, { contentType })
  assert.equal((fromBinary(HelloReplySchema, reply) as Greeting).msg, 'Hello John')
  const times: bigint[] = []
  for await (const each of client.stream<Uint8Array>('proto', 'Say.Count', request, { contentType }))
    times.push((fromBinary(HelloReplySchema, each) as Greeting).times)
  assert.deepEqual(times, [1n, 2n, 3n])
  await assert.rejects(client.call('proto', 'Say.Hello', Buffer.from([255]), { contentType }), {
    code: 'bad-request',
  })

  const Stub = makeGenericClientConstructor(
    {
      Hello: {
        path: '/acme.v1.Say/Hello',
        requestStream: false,
        responseStream: false,
        requestSerialize: (value: Hello) => Buffer.from(toBinary(HelloRequestSchema, value)),
        requestDeserialize: (bytes: Buffer) => fromBinary(HelloRequestSchema, bytes),
        responseSerialize: (value: Greeting) => Buffer.from(toBinary(HelloReplySchema, value)),
        responseDeserialize: (bytes: Buffer) => fromBinary(HelloReplySchema, bytes),
      },
    },
    'Say',
  )
  const stub = new Stub(greeter.address as string, credentials.createInsecure())
  const answer = await new Promise<Greeting>((resolve, reject) =>
    (stub['Hello'] as unknown as (...args: unknown[]) => void).call(
      stub,
      create(HelloRequestSchema, { name: 'Jane' }),
      new Metadata(),
      (error: Error | null, reply: Greeting) => (error ? reject(error) : resolve(reply)),
    ),
  )
  assert.equal(answer.msg, 'Hello Jane')
  // The server finds in the registry what its service has: the type `Say`, and no other.
  const health = (service: string) =>
    new Promise<number>((resolve) =>
      stub.makeUnaryRequest(
        '/grpc.health.v1.Health/Check',
        (name: string) => Buffer.from([10, name.length, ...Buffer.from(name)]),
        (bytes: Buffer) => bytes,
        service,
        (error) => resolve(error?.code ?? 0),
      ),
    )
  assert.equal(await health('proto.Say'), status.OK)
  assert.equal(await health('proto.Other'), status.NOT_FOUND)
  stub.close()
})

test('a flag switches client and server to plugin files, and back, with the same code', async () => {
  const outDir = folder
  const files: string[] = []
  for (const type of ['client', 'server'] as const) {
    const entry = fileURLToPath(new URL(`../src/${type}.ts`, import.meta.url))
    files.push((await build(entry, { name: `${type}-grpc`, type, version: '0.1.0', outDir })).path)
  }
  const program = async (argv: string[], env: Record<string, string>) => {
    const greeter = createService({ name: 'flags', ...local() })
    greeter.handle('Say', { Hello: async ({ name }: { name: string }) => ({ msg: `Hello ${name}` }) })
    const caller = createService({ name: 'caller', ...local() })
    for (const each of [greeter, caller]) {
      await each.init(argv, env)
      await each.start()
    }
    try {
      const reply = await caller.client.call('flags', 'Say.Hello', { name: 'John' })
      return [reply, greeter.record.nodes[0]?.metadata['protocol'], caller.use('client').protocol]
    } finally {
      await caller.stop()
      await greeter.stop()
    }
  }
  const hello = { msg: 'Hello John' }
  assert.deepEqual(await program([], {}), [hello, 'rpc', 'rpc'])
  const env = { MICRO_PLUGIN: files.join(',') }
  assert.deepEqual(await program(['--client=grpc', '--server=grpc'], env), [hello, 'grpc', 'grpc'])
  assert.deepEqual(await program([], { ...env, MICRO_CLIENT: 'grpc', MICRO_SERVER: 'grpc' }), [
    hello,
    'grpc',
    'grpc',
  ])
})

test('flags or variables alone take a program that was written for grpc to another client and server', async () => {
  const program = async (mine: string[], theirs: string[] = mine, env: Record<string, string> = {}) => {
    const code = { plugins, client: 'grpc', server: 'grpc', ...local() }
    const greeter = createService({ name: 'switched', ...code })
    greeter.handle('Say', { Hello: async ({ name }: { name: string }) => ({ msg: `Hello ${name}` }) })
    const caller = createService({ name: 'caller', ...code })
    try {
      await greeter.init(mine, env)
      await greeter.start()
      await caller.init(theirs, env)
      await caller.start()
      const reply = await caller.client.call('switched', 'Say.Hello', { name: 'John' })
      return [reply, greeter.record.nodes[0]?.metadata['protocol'], caller.use('client').protocol]
    } finally {
      await caller.stop()
      await greeter.stop()
    }
  }
  const hello = { msg: 'Hello John' }
  assert.deepEqual(await program([]), [hello, 'grpc', 'grpc'])
  for (const other of ['rpc', 'mucp']) {
    assert.deepEqual(await program([`--client=${other}`, `--server=${other}`]), [hello, other, other])
    assert.deepEqual(await program([], [], { MICRO_CLIENT: other, MICRO_SERVER: other }), [
      hello,
      other,
      other,
    ])
    // Only one side is switched: the node says how it is called.
    assert.deepEqual(await program([], [`--client=${other}`]), [hello, 'grpc', other])
    assert.deepEqual(await program([`--server=${other}`], []), [hello, other, 'grpc'])
  }
})

test('no call is lost while client and server are swapped', async () => {
  const greeter = createService({ name: 'swapped', plugins, server: 'grpc', ...local() })
  greeter.handle('Say', { Hello: async ({ name }: { name: string }) => ({ msg: `Hello ${name}` }) })
  await started(greeter)
  const caller = await started(createService({ name: 'caller', plugins, client: 'grpc', ...local() }))
  const load = { over: false }
  let answered = 0
  const callers = Array.from({ length: 8 }, async () => {
    while (!load.over) {
      assert.deepEqual(await caller.client.call('swapped', 'Say.Hello', { name: 'John' }), {
        msg: 'Hello John',
      })
      answered++
    }
  })
  for (let i = 0; i < 10; i++) {
    await caller.swap('client', 'grpc', { watchMs: 0 })
    await greeter.swap('server', 'grpc', { watchMs: 0 })
  }
  load.over = true
  await Promise.all(callers)
  assert.ok(answered > 10, `${answered} calls were answered`)
})
