import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  ServiceError,
  type Connection,
  type ConnectionHandler,
  type Dispatcher,
  type Message,
  type Transport,
} from '@micrograft/contracts'
import { ClientCall } from '../dist/rpc/client-call.js'
import { ClientConnection } from '../dist/rpc/client-connection.js'
import { StreamExchange } from '../dist/rpc/client-stream.js'
import { DeadlineWheel } from '../dist/deadlines/deadline-wheel.js'
import { FrameType } from '../dist/rpc/frame.js'
import * as write from './support/frames.js'
import { ServerConnection } from '../dist/rpc/server-connection.js'
import { headerBytes, MessageReader, prefixBytes, writeHead } from '../dist/transport/message-frame.js'
import { mutate, seeded, shareOf, told } from './support/random.js'

// Most inputs end in an error: its stack would take most of the time.
Error.stackTraceLimit = 0
setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

const limits = {
  maxFrameBytes: 4096,
  maxQueuedBytes: 65_536,
  windowBytes: 1000,
  windowMessages: 4,
  maxCalls: 16,
  maxStreams: 4,
  maxTargets: 4,
}
const hello = write.helloFrame({ ...limits, lowest: 1, highest: 1 })
/** Of a client that takes hardly anything. */
const smallHello = write.helloFrame({
  ...limits,
  maxFrameBytes: 1,
  windowBytes: 1,
  windowMessages: 1,
  lowest: 1,
  highest: 1,
})
const body = Buffer.from('{"name":"John"}')
const metadata = { traceparent: '00-1-2-01', 'x-text': 'grüße' }
const target = { service: 'greeter', endpoint: 'Say.Hello', contentType: 'application/json' }

function fromClient(slot: number): Buffer[] {
  const refer = (reference: number) => ({ target, reference })
  return [
    write.callFrame(FrameType.call, slot, 5000, refer(1), metadata, body),
    write.callFrame(FrameType.call, slot, 0, refer(2), {}, body),
    write.callFrame(FrameType.call, slot, 1, refer(0), {}, body),
    write.openFrame(slot, 200, refer(1), metadata),
    write.openFrame(slot, 0, { target: { ...target, endpoint: 'Stream.Echo' }, reference: 0 }, {}),
    write.dataFrame(slot, body),
    write.windowFrame(slot, 1000, 3),
    write.endFrame(slot),
    write.cancelFrame(slot, 'canceled', 'given up'),
  ]
}

function fromServer(slot: number): Buffer[] {
  return [
    write.replyFrame(slot, '', {}, body),
    write.replyFrame(slot, 'text/plain', metadata, body),
    write.errorFrame(slot, new ServiceError('not-found', 'nothing', { id: 'greeter' })),
    write.dataFrame(slot, body),
    write.windowFrame(slot, 500, 2),
    write.endFrame(slot, metadata),
  ]
}

const either = [
  write.pingFrame(FrameType.ping, 7),
  write.pingFrame(FrameType.pong, 7),
  write.goAwayFrame('unavailable', 'bye'),
]
const clientFrames = [hello, ...either, ...[0, 1, 2, 200].flatMap(fromClient)]
const serverFrames = [hello, ...either, ...[0, 1, 2, 200].flatMap(fromServer)]

class FakeConnection implements Connection {
  readonly remote = 'fuzz'
  ended = false
  sent = 0
  readonly handler: ConnectionHandler | undefined
  send({ body }: Message): boolean {
    this.sent += body.length
    return this.sent % 7 !== 0
  }
  async drained(): Promise<void> {}
  pause(): void {}
  resume(): void {}
  async close(): Promise<void> {
    this.ended = true
  }
  destroy(): void {
    this.ended = true
  }
}

const dispatcher: Dispatcher = {
  kind: (endpoint) =>
    endpoint === 'Say.Hello' ? 'unary' : endpoint === 'Stream.Echo' ? 'stream' : undefined,
  async unary({ contentType, metadata }, body) {
    return { contentType, metadata, body }
  },
  async stream({ metadata, signal }, stream) {
    for await (const each of stream.messages) await stream.send(each)
    signal.throwIfAborted()
    return metadata
  },
}

/** Feeds a server's end of a connection; it gives a fresh one where the last was ended. */
class ServerTarget {
  readonly wheel = new DeadlineWheel(false)
  #connection = new FakeConnection()
  #made = 0
  #server = this.#fresh()

  feed(frame: Buffer): void {
    this.#server.message({ header: {}, body: frame })
    if (!this.#connection.ended) return
    this.renew()
  }

  renew(): void {
    this.#server.closed()
    this.#server = this.#fresh()
  }

  #fresh(): ServerConnection {
    this.#connection = new FakeConnection()
    this.#made++
    const owner = { dispatcher, wheel: this.wheel, changed: () => undefined }
    const server = new ServerConnection(this.#connection, owner, limits)
    server.message({ header: {}, body: this.#made % 4 === 0 ? smallHello : hello })
    return server
  }
}

async function clientTarget(): Promise<{ client: ClientConnection; connection: FakeConnection }> {
  const connection = new FakeConnection()
  const transport = {
    async dial(_: string, handler: ConnectionHandler) {
      queueMicrotask(() => queueMicrotask(() => handler.message({ header: {}, body: hello })))
      return connection
    },
  } as unknown as Transport
  const times = { dialTimeoutMs: 5000, pingIntervalMs: 1000, pingTimeoutMs: 1000, idleMs: 1000 }
  const options = { ...limits, ...times, secure: false }
  const watcher = { draining: () => undefined, ended: () => undefined }
  const client = await ClientConnection.dial(
    transport,
    'fuzz',
    options,
    new AbortController().signal,
    watcher,
  )
  const owner = { settled: () => undefined }
  const request = { ...target, metadata: {}, timeoutMs: undefined }
  for (let i = 0; i < 2; i++) {
    const call = new ClientCall(
      { ...request, body },
      owner,
      () => undefined,
      () => undefined,
    )
    client.start(call, 0)
    const stream = new StreamExchange({
      request,
      owner,
      window: limits,
      opened: () => undefined,
      refused: () => undefined,
    })
    client.start(stream, 0)
    if (i === 1) stream.messages.next().catch(() => undefined)
    if (i === 1) stream.cancel(new Error('given up'), 'canceled')
  }
  return { client, connection }
}

/** The heap after collection, in MB. */
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

const toServer = shareOf(500_000)
test(`a server takes ${told(toServer)} mutated frames without crash, hang or growth`, async () => {
  const random = seeded(0x5eed_0001)
  const server = new ServerTarget()
  await run(toServer, (i) => {
    server.feed(mutate(clientFrames[random(clientFrames.length)] as Buffer, random, clientFrames))
    if (i % 64 === 63) server.renew()
  })
  server.renew()
  server.wheel.stop()
})

const toClient = shareOf(200_000)
test(`a client takes ${told(toClient)} mutated frames without crash, hang or growth`, async () => {
  const random = seeded(0x5eed_0002)
  let { client, connection } = await clientTarget()
  await run(toClient, async (i) => {
    const frame = mutate(serverFrames[random(serverFrames.length)] as Buffer, random, serverFrames)
    client.message({ header: {}, body: frame })
    if (!connection.ended && i % 64 !== 63) return
    client.closed(undefined)
    ;({ client, connection } = await clientTarget())
  })
  client.closed(undefined)
})

const toReader = shareOf(300_000)
test(`a message reader takes ${told(toReader)} mutated streams in chunks of any size without crash, hang or growth`, async () => {
  const random = seeded(0x5eed_0003)
  const headers = [{}, {}, {}, { a: '1' }, { 'content-type': 'text/plain', text: 'grüße' }]
  const messages = clientFrames.map((body, i) => {
    const message = { header: headers[i % headers.length] as Message['header'], body }
    const size = headerBytes(message.header)
    const bytes = Buffer.alloc(prefixBytes + size + body.length)
    body.copy(bytes, writeHead(bytes, 0, message, size))
    return bytes
  })
  const server = new ServerTarget()
  let delivered = 0
  let refused = 0
  await run(toReader, (i) => {
    const parts = Array.from({ length: 1 + random(3) }, () => messages[random(messages.length)] as Buffer)
    const stream = mutate(Buffer.concat(parts), random, messages)
    const reader = new MessageReader(2000, ({ body }) => {
      delivered++
      server.feed(body as Buffer)
    })
    try {
      for (let at = 0; at < stream.length;) {
        const size = 1 + random(random(4) === 0 ? 64 : 8)
        reader.push(stream.subarray(at, at + size))
        at += size
      }
    } catch (error) {
      assert.ok(error instanceof ServiceError && error.code === 'protocol', String(error))
      refused++
    }
    if (i % 64 === 63) server.renew()
  })
  server.renew()
  server.wheel.stop()
  assert.ok(delivered > toReader / 3 && refused > toReader / 30, `${delivered} messages, ${refused} refused`)
})
