import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { fromBinary } from '@bufbuild/protobuf'
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { Client as PlainClient, credentials, status, type ServiceError as GrpcError } from '@grpc/grpc-js'
import type { ComponentContext, Endpoint, Registry, Server } from '@micrograft/contracts'
import { grpcServer, type GrpcServerOptions } from '@micrograft/grpc'
import { componentContext, until } from '@micrograft/testing'
import { SayService } from './support/greeter-proto.js'
import { dispatcherOf, TestDoor } from './support/grpc-subject.js'

const disposables: (() => unknown)[] = []
after(async () => {
  for (const each of disposables.reverse()) await each()
})

/** A server whose endpoints the registry knows. */
async function start(options: GrpcServerOptions = {}): Promise<{
  readonly server: Server
  readonly client: PlainClient
  /** What the registry has of it, changed at will. */
  readonly endpoints: Endpoint[]
  /** How often the registry was asked. */
  readonly asked: () => number
}> {
  let address = ''
  let asked = 0
  const endpoints: Endpoint[] = ['Say.Hello', 'Other.Thing', 'Other.Stuff'].map((name) => ({
    name,
    metadata: {},
  }))
  const registry = {
    async get(name: string) {
      asked++
      // The answer takes a while, as that of a real one does.
      await new Promise((resolve) => setImmediate(resolve))
      return [
        { name, version: '1', metadata: {}, endpoints, nodes: [{ id: 'a', address, metadata: {} }] },
        {
          name,
          version: '2',
          metadata: {},
          endpoints: [{ name: 'Foreign.Call', metadata: {} }],
          nodes: [{ id: 'b', address: 'elsewhere:1', metadata: {} }],
        },
      ]
    },
  } as unknown as Registry
  const context: ComponentContext = { ...componentContext({ registry }), service: 'greeter' }
  const server = grpcServer(options, context)
  disposables.push(() => server[Symbol.asyncDispose]())
  ;({ address } = await server.start(
    new TestDoor().context(dispatcherOf({ 'Say.Hello': async (_, body) => body })),
  ))
  const client = new PlainClient(address, credentials.createInsecure())
  disposables.push(() => client.close())
  return { server, client, endpoints, asked: () => asked }
}

const raw = (bytes: Buffer) => bytes
const text = (field: number, value: string) =>
  Buffer.from(new BinaryWriter().tag(field, 2).string(value).finish())

function check(client: PlainClient, service: string): Promise<number> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest('/grpc.health.v1.Health/Check', raw, raw, text(1, service), (error, reply) => {
      if (error) reject(error)
      else resolve(statusIn(reply as Buffer))
    })
  })
}

function statusIn(reply: Buffer): number {
  const reader = new BinaryReader(reply)
  reader.tag()
  return reader.int32()
}

test('health tells of the server, the service and its types', async () => {
  const { client } = await start({ services: [SayService] })
  for (const known of ['', 'greeter', 'acme.v1.Say', 'greeter.Other', 'greeter.Say'])
    assert.equal(await check(client, known), 1, known)
  await assert.rejects(check(client, 'nobody'), { code: status.NOT_FOUND })
  await assert.rejects(check(client, 'greeter.Foreign'), { code: status.NOT_FOUND })
})

test('who watches a service that is not known yet is told once it is, and many ask the registry once', async () => {
  const { client, endpoints, asked } = await start()
  const seen: number[][] = []
  const watches = Array.from({ length: 50 }, (_, i) => {
    const each: number[] = (seen[i] = [])
    const watch = client.makeServerStreamRequest(
      '/grpc.health.v1.Health/Watch',
      raw,
      raw,
      text(1, 'greeter.Late'),
    )
    watch.on('data', (reply: Buffer) => each.push(statusIn(reply))).on('error', () => undefined)
    return watch
  })
  await until('all are answered', () => seen.every(({ length }) => length === 1))
  const before = asked()
  endpoints.push({ name: 'Late.Call', metadata: {} })
  await until('all are told', () => seen.every((each) => each.join() === '3,1'))
  assert.equal(asked(), before + 1)
  for (const each of watches) each.cancel()
})

test('who watches health is told when the server stops', async () => {
  const { server, client } = await start()
  const seen: number[] = []
  let failure: GrpcError | undefined
  const watch = client.makeServerStreamRequest('/grpc.health.v1.Health/Watch', raw, raw, text(1, ''))
  const unknown = client.makeServerStreamRequest('/grpc.health.v1.Health/Watch', raw, raw, text(1, 'nobody'))
  unknown.on('error', () => undefined)
  const first = await new Promise<Buffer>((resolve) => unknown.once('data', resolve))
  assert.equal(statusIn(first), 3)
  unknown.cancel()
  const ended = new Promise<void>((resolve) => {
    watch.on('data', (reply: Buffer) => {
      seen.push(statusIn(reply))
      // A watcher does not hold the server up.
      if (seen.length === 1) void server.stop({ graceMs: 60_000 })
    })
    watch.on('error', (error: GrpcError) => {
      failure = error
      resolve()
    })
  })
  await ended
  assert.deepEqual(seen, [1, 2])
  assert.equal(failure?.code, status.UNAVAILABLE)
})

interface Answer {
  field: number
  bytes: Uint8Array
}

/** Asks all `questions` on one stream. */
function reflect(client: PlainClient, version: string, questions: Buffer[]): Promise<Answer[]> {
  const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`
  const stream = client.makeBidiStreamRequest(path, raw, raw)
  const answers: Answer[] = []
  return new Promise((resolve, reject) => {
    stream.on('data', (reply: Buffer) => {
      const reader = new BinaryReader(reply)
      while (reader.pos < reader.len) {
        const [field, type] = reader.tag()
        if (field > 2) answers.push({ field, bytes: reader.bytes() })
        else reader.skip(type)
      }
    })
    stream.on('error', reject)
    stream.on('end', () => resolve(answers))
    for (const each of questions) stream.write(each)
    stream.end()
  })
}

/** All values of field 1 of a message, as bytes. */
function repeated(bytes: Uint8Array): Uint8Array[] {
  const reader = new BinaryReader(bytes)
  const all: Uint8Array[] = []
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (field === 1 && type === 2) all.push(reader.bytes())
    else reader.skip(type)
  }
  return all
}

const string = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString()

test('reflection lists services, in both versions of it', async () => {
  const { client } = await start({ services: [SayService] })
  for (const version of ['v1', 'v1alpha']) {
    const [list] = await reflect(client, version, [text(7, '')])
    assert.equal(list?.field, 6)
    const names = repeated(list.bytes).map((each) => string(repeated(each)[0]))
    assert.deepEqual(names, ['acme.v1.Say', 'greeter.Other'])
  }
})

test('reflection gives files of services that have descriptors, and says so of others', async () => {
  const { client } = await start({ services: [SayService] })
  const answers = await reflect(client, 'v1', [
    text(4, 'acme.v1.Say'),
    text(4, 'acme.v1.Say.Hello'),
    text(4, 'acme.v1.HelloReply.Mood'),
    text(3, 'acme/v1/messages.proto'),
    text(4, 'greeter.Other'),
    text(3, 'nothing.proto'),
    text(6, 'acme.v1.HelloReply'),
    text(6, 'nothing'),
    Buffer.alloc(0),
  ])
  assert.deepEqual(
    answers.map(({ field }) => field),
    [4, 4, 4, 4, 7, 7, 5, 7, 7],
  )
  const names = answers.slice(0, 4).map(({ bytes }) => {
    const [file] = repeated(bytes)
    return fromBinary(FileDescriptorProtoSchema, file as Uint8Array).name
  })
  const [say, messages] = ['acme/v1/say.proto', 'acme/v1/messages.proto']
  assert.deepEqual(names, [say, say, messages, messages])
  const reader = new BinaryReader(answers[4]?.bytes as Uint8Array)
  reader.tag()
  assert.equal(reader.int32(), status.NOT_FOUND)
  await assert.rejects(reflect(client, 'v1', [Buffer.from([0xff])]), { code: status.INVALID_ARGUMENT })
})

test('health and reflection can be left out', async () => {
  const { client } = await start({ health: false, reflection: false })
  await assert.rejects(check(client, ''), { code: status.UNIMPLEMENTED })
  await assert.rejects(reflect(client, 'v1', [text(7, '')]), { code: status.UNIMPLEMENTED })
})
