import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  ServiceError,
  type ClientReply,
  type Connection,
  type ConnectionHandler,
  type Dispatcher,
  type Message,
  type Transport,
} from '@micrograft/contracts'
import { componentContext } from '@micrograft/testing'
import { envelopeOf, type Envelope } from '../dist/mucp/envelope.js'
import { mucpClient } from '../dist/mucp/mucp-client.js'
import { readError, writeError } from '../dist/mucp/mucp-error.js'
import { MucpServerConnection } from '../dist/mucp/server-connection.js'
import { DeadlineWheel } from '../dist/deadlines/deadline-wheel.js'
import { mutate, seeded, shareOf, told } from './support/random.js'

// Most inputs end in an error: its stack would take most of the time.
Error.stackTraceLimit = 0
setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

async function heap(): Promise<number> {
  await new Promise((resolve) => setImmediate(resolve))
  gc()
  return process.memoryUsage().heapUsed / 1e6
}

/** Runs `inputs` of `step` and holds that the heap does not grow after the first tenth. */
async function run(inputs: number, step: (i: number) => void | Promise<void>): Promise<void> {
  let early = 0
  for (let i = 0; i < inputs; i++) {
    const pending = step(i)
    if (pending) await pending
    if (i % 500 === 0) await new Promise((resolve) => setImmediate(resolve))
    if (i === Math.floor(inputs / 10)) early = await heap()
  }
  const late = await heap()
  assert.ok(late < early + 8, `the heap grew from ${early.toFixed(1)} to ${late.toFixed(1)} MB`)
}

class FakeConnection implements Connection {
  readonly remote = 'fuzz'
  ended = false
  sent: Message[] = []
  pauses = 0
  send(message: Message): boolean {
    this.sent.push(message)
    return this.sent.length % 5 !== 0
  }
  async drained(): Promise<void> {}
  pause(): void {
    this.pauses++
  }
  resume(): void {
    this.pauses--
  }
  async close(): Promise<void> {
    this.ended = true
  }
  destroy(): void {
    this.ended = true
  }
}

const json = envelopeOf('application/json-rpc') as Envelope
const proto = envelopeOf('application/proto-rpc') as Envelope
const head = { method: 'Say.Hello', id: '7', error: '' }
const body = Buffer.from('{"a":[1,{"b":"\\"}]"}],"c":-1.5e3}')
const error = writeError(new ServiceError('bad-request', 'bad\nname', { id: 'greeter' }))
const requests = [json.request(head, body), json.request(head, Buffer.alloc(0)), proto.request(head, body)]
const replies = [
  json.reply(head, body),
  json.reply({ ...head, error }, Buffer.alloc(0)),
  proto.reply(head, body),
  proto.reply({ ...head, error }, Buffer.alloc(0)),
]

const toEnvelopes = shareOf(400_000)
test(`envelopes take ${told(toEnvelopes)} mutated inputs: each is opened or refused`, async () => {
  const random = seeded(0x5eed_0011)
  let opened = 0
  let refused = 0
  await run(toEnvelopes, () => {
    const pool = random(2) === 0 ? requests : replies
    const bytes = mutate(pool[random(pool.length)] as Buffer, random, pool)
    const envelope = random(2) === 0 ? json : proto
    try {
      const { body } = pool === requests ? envelope.openRequest(bytes) : envelope.openReply(bytes)
      assert.ok(body.length <= bytes.length || body.toString() === 'null')
      opened++
    } catch (cause) {
      assert.ok(cause instanceof ServiceError && cause.code === 'bad-request', String(cause))
      refused++
    }
  })
  assert.ok(opened > toEnvelopes / 20 && refused > toEnvelopes / 20, `${opened} opened, ${refused} refused`)
})

test('a deep envelope costs no stack', () => {
  const deep = `{"id":"1","result":${'['.repeat(2_000_000)}${']'.repeat(2_000_000)},"error":null}`
  assert.equal(json.openReply(Buffer.from(deep)).body.length, 4_000_000)
})

const toErrors = shareOf(200_000)
test(`errors take ${told(toErrors)} mutated texts`, async () => {
  const random = seeded(0x5eed_0012)
  const texts = [
    Buffer.from(error),
    Buffer.from("rpc: can't find service X"),
    Buffer.from('{"id":"a","code":-5}'),
  ]
  await run(toErrors, () => {
    const text = mutate(texts[random(texts.length)] as Buffer, random, texts).toString('latin1')
    const read = readError(text, 'greeter')
    assert.ok(read.message.length <= 4096 && read.id.length <= 4096)
  })
})

const names = [
  'micro-id',
  'micro-service',
  'micro-endpoint',
  'micro-method',
  'micro-stream',
  'micro-error',
  'micro-topic',
  'micro-target',
  'micro-protocol',
  'content-type',
  'timeout',
  'connection',
  'accept',
  ':status',
  'x-tenant',
]
const values = [
  '',
  '0',
  '1',
  '2',
  'Say.Hello',
  'Stream.Echo',
  'EOS',
  error,
  'application/json',
  'application/json-rpc',
  'application/proto-rpc',
  '5000000',
  '-1',
  'close',
  '404 Not Found',
  '__proto__',
  'x'.repeat(300),
  'grüße',
]

function header(random: (below: number) => number): Record<string, string> {
  const made: Record<string, string> = {}
  for (let i = random(9); i >= 0; i--) {
    const name = names[random(names.length)] as string
    made[name.startsWith('micro') && random(4) === 0 ? `x-${name}` : name] = values[
      random(values.length)
    ] as string
  }
  // Half of them are calls that go through.
  if (random(2) === 0)
    Object.assign(made, { 'micro-service': 'greeter', 'micro-endpoint': values[4 + random(2)] })
  return made
}

const dispatcher: Dispatcher = {
  kind: (endpoint) =>
    endpoint === 'Say.Hello' ? 'unary' : endpoint === 'Stream.Echo' ? 'stream' : undefined,
  unary: async ({ contentType, metadata }, body) => ({ contentType, metadata, body }),
  async stream({ metadata }, stream) {
    for await (const each of stream.messages) await stream.send(each)
    return metadata
  },
}

const toServer = shareOf(200_000)
test(`a server takes ${told(toServer)} messages of any header: it answers, and its connection is read on`, async () => {
  const random = seeded(0x5eed_0013)
  const wheel = new DeadlineWheel(false)
  const owner = { dispatcher, wheel, changed: () => undefined }
  const options = { maxCalls: 8, maxCallBytes: 4096, maxStreams: 4 }
  let connection = new FakeConnection()
  let server = new MucpServerConnection(connection, owner, options)
  let answers = 0
  await run(toServer, async (i) => {
    server.message({ header: header(random), body: mutate(requests[random(3)] as Buffer, random, requests) })
    if (i % 32 !== 31 && !connection.ended) return
    await new Promise((resolve) => setImmediate(resolve))
    answers += connection.sent.length
    server.closed()
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(connection.pauses, 0)
    assert.equal(server.running, 0)
    connection = new FakeConnection()
    server = new MucpServerConnection(connection, owner, options)
  })
  server.closed()
  wheel.stop()
  assert.ok(answers > toServer / 2, `${answers} answers`)
})

const toClient = shareOf(60_000)
test(`a client takes ${told(toClient)} replies of any header: each settles its call`, async () => {
  const random = seeded(0x5eed_0014)
  /** Of the connection that was sent on last. */
  let handler: ConnectionHandler | undefined
  let requestsSent = 0
  const transport = {
    name: 'fake',
    async dial(_: string, each: ConnectionHandler) {
      const made = new FakeConnection()
      made.send = () => {
        requestsSent++
        handler = each
        return true
      }
      made.close = async () => {
        if (!made.ended) queueMicrotask(() => each.closed(undefined))
        made.ended = true
      }
      made.destroy = () => void made.close()
      return made
    },
  } as unknown as Transport
  const client = mucpClient(undefined, componentContext({ transport }))
  const node = { id: 'n', address: 'fuzz', metadata: {} }
  const types = ['application/json', 'application/json-rpc', 'application/proto-rpc']
  let answered = 0
  await run(toClient, async () => {
    const contentType = types[random(3)] as string
    const request = {
      service: 's',
      endpoint: 'Say.Hello',
      contentType,
      metadata: {},
      timeoutMs: 60_000,
      body,
    }
    const before = requestsSent
    const call: Promise<ClientReply> = client.call(node, request)
    const settled = call.then(
      () => void answered++,
      (cause: unknown) => assert.ok(cause instanceof ServiceError, String(cause)),
    )
    const isSent = () => requestsSent > before
    while (!isSent()) await new Promise((resolve) => setImmediate(resolve))
    handler?.message({ header: header(random), body: mutate(replies[random(4)] as Buffer, random, replies) })
    await settled
  })
  await client[Symbol.asyncDispose]()
  assert.ok(answered > toClient / 60, `${answered} answered`)
})
