import assert from 'node:assert/strict'
import {
  ServiceError,
  type Connection,
  type ConnectionHandler,
  type Listener,
  type Message,
  type Transport,
  type TransportLimits,
} from '@micrograft/contracts'
import type { Case } from './case.js'
import { stillPending, until } from './wait.js'

/** What the cases of a transport are run on. Disposing it disposes the transport. */
export interface TransportSubject extends AsyncDisposable {
  readonly transport: Transport
  /** What it listens on where any address will do. */
  readonly address: string
  /** An address that it can dial, where nobody listens. */
  readonly nobody: string
  /** What it was made with. Small ones make the cases quick: 100 KB, 1 MB and 3 connections are enough. */
  readonly limits: Required<{ [K in keyof TransportLimits]: number }>
}

/** One end of a connection with what it was told. */
interface End {
  readonly connection: Connection
  readonly messages: Message[]
  closed: boolean
  error: ServiceError | undefined
}

interface Pair extends AsyncDisposable {
  readonly listener: Listener
  readonly near: End
  readonly far: End
}

function endOf(): { handler: ConnectionHandler; end: Omit<End, 'connection'> & { connection?: Connection } } {
  const end: Omit<End, 'connection'> & { connection?: Connection } = {
    messages: [],
    closed: false,
    error: undefined,
  }
  const handler = {
    message: (message: Message) => void end.messages.push(message),
    closed: (error: ServiceError | undefined) => {
      assert.equal(end.closed, false, 'closed is told once')
      end.closed = true
      end.error = error
    },
  }
  return { handler, end }
}

async function pair({ transport, address }: TransportSubject): Promise<Pair> {
  const far = endOf()
  const listener = await transport.listen(address, (connection) => {
    if (far.end.connection) return endOf().handler
    far.end.connection = connection
    return far.handler
  })
  const near = endOf()
  near.end.connection = await transport.dial(listener.address, near.handler)
  await until('the connection is accepted', () => far.end.connection)
  return {
    listener,
    near: near.end as End,
    far: far.end as End,
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  }
}

const text = (body: Uint8Array) => new TextDecoder().decode(body)
const bytes = (value: string) => new TextEncoder().encode(value)
const message = (value: string, header: Message['header'] = {}): Message => ({ header, body: bytes(value) })
const code = (expected: string) => (error: unknown) =>
  error instanceof ServiceError && error.code === expected

/** What every transport keeps. */
export const transportCases: readonly Case<TransportSubject>[] = [
  {
    name: 'messages arrive whole and in order, both ways',
    async run(subject) {
      const { near, far } = await pair(subject)
      for (let i = 0; i < 200; i++) {
        near.connection.send(message(`to ${i}`, i % 2 ? { 'x-number': String(i), text: 'grüße' } : {}))
        far.connection.send(message(`fro ${i}`))
      }
      await until('all have come', () => far.messages.length === 200 && near.messages.length === 200)
      assert.deepEqual(
        far.messages.map(({ body }) => text(body)),
        Array.from({ length: 200 }, (_, i) => `to ${i}`),
      )
      assert.deepEqual(
        near.messages.map(({ body }) => text(body)),
        Array.from({ length: 200 }, (_, i) => `fro ${i}`),
      )
      assert.deepEqual({ ...far.messages[7]?.header }, { 'x-number': '7', text: 'grüße' })
      assert.deepEqual({ ...far.messages[8]?.header }, {})
    },
  },
  {
    name: 'a message is not handed over in the turn in which it is sent',
    async run(subject) {
      const { near, far } = await pair(subject)
      near.connection.send(message('a'))
      assert.equal(far.messages.length, 0)
      await until('it has come', () => far.messages.length === 1)
    },
  },
  {
    name: 'an empty body and one of the largest size pass',
    async run(subject) {
      const { near, far } = await pair(subject)
      const largest = new Uint8Array(subject.limits.maxMessageBytes).map((_, i) => i)
      near.connection.send({ header: {}, body: new Uint8Array(0) })
      near.connection.send({ header: {}, body: largest })
      near.connection.send(message('after'))
      await until('all have come', () => far.messages.length === 3)
      assert.equal(far.messages[0]?.body.length, 0)
      assert.ok(Buffer.from(far.messages[1]?.body ?? []).equals(largest), 'the largest message is as it was')
      assert.equal(text(far.messages[2]?.body as Uint8Array), 'after')
    },
  },
  {
    name: 'a message above the limit is refused with too-large and costs nothing else',
    async run(subject) {
      const { near, far } = await pair(subject)
      const body = new Uint8Array(subject.limits.maxMessageBytes + 1)
      assert.throws(() => near.connection.send({ header: {}, body }), code('too-large'))
      const header = { long: 'x'.repeat(subject.limits.maxMessageBytes) }
      assert.throws(() => near.connection.send({ header, body: new Uint8Array(1) }), code('too-large'))
      near.connection.send(message('still there'))
      await until('the next one has come', () => far.messages.length === 1)
    },
  },
  {
    name: 'send says when there is no room, and drained when there is again',
    async run(subject) {
      const { near, far } = await pair(subject)
      far.connection.pause()
      const body = new Uint8Array(Math.min(65_536, subject.limits.maxMessageBytes))
      let sent = 1
      while (near.connection.send({ header: {}, body })) {
        assert.ok(sent++ * body.length < 1e9, 'send never says that there is no room')
        if (sent % 4 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      const drained = near.connection.drained()
      assert.ok(await stillPending(drained), 'drained waits while the peer does not read')
      far.connection.resume()
      await drained
      await until('all have come', () => far.messages.length === sent)
    },
  },
  {
    name: 'messages that waited for the peer arrive as they were',
    async run(subject) {
      const { near, far } = await pair(subject)
      far.connection.pause()
      let sent = 0
      let room = true
      const number = () => {
        const body = new Uint8Array(1000)
        new DataView(body.buffer).setUint32(0, sent)
        body.fill(sent++, 4)
        return { header: {}, body }
      }
      while (room) {
        for (let i = 0; i < 20; i++) room = near.connection.send(number())
        await new Promise((resolve) => setImmediate(resolve))
      }
      far.connection.resume()
      for (let i = 0; i < 200; i++) {
        near.connection.send(number())
        await new Promise((resolve) => setImmediate(resolve))
      }
      await until('all have come', () => far.messages.length === sent)
      far.messages.forEach(({ body }, i) => {
        assert.equal(new DataView(body.buffer, body.byteOffset).getUint32(0), i)
        assert.ok(
          body.subarray(4).every((byte) => byte === i % 256),
          `message ${i} is not as it was`,
        )
      })
    },
  },
  {
    name: 'drained resolves at once where there is room',
    async run(subject) {
      const { near } = await pair(subject)
      await near.connection.drained()
    },
  },
  {
    name: 'a peer that never reads ends the connection with overloaded at the limit',
    async run(subject) {
      const { near, far } = await pair(subject)
      far.connection.pause()
      const body = new Uint8Array(Math.min(65_536, subject.limits.maxMessageBytes))
      const end = Date.now() + 10_000
      await assert.rejects(async () => {
        for (;;) {
          near.connection.send({ header: {}, body })
          assert.ok(Date.now() < end, 'the limit is never met')
          await new Promise((resolve) => setImmediate(resolve))
        }
      }, code('closed'))
      await until('the end is told', () => near.closed)
      assert.equal(near.error?.code, 'overloaded')
    },
  },
  {
    name: 'a connection that ends rejects whoever waits for room',
    async run(subject) {
      const { near, far } = await pair(subject)
      far.connection.pause()
      const body = new Uint8Array(Math.min(65_536, subject.limits.maxMessageBytes))
      while (near.connection.send({ header: {}, body })) await new Promise((resolve) => setImmediate(resolve))
      const drained = assert.rejects(near.connection.drained(), code('internal'))
      near.connection.destroy(new ServiceError('internal', 'on purpose'))
      await drained
    },
  },
  {
    name: 'close sends what is queued, and both ends are told once, without an error',
    async run(subject) {
      const { near, far } = await pair(subject)
      for (let i = 0; i < 50; i++) near.connection.send({ header: {}, body: new Uint8Array(5000) })
      far.connection.send(message('from the other side'))
      await Promise.all([near.connection.close(), near.connection.close()])
      await until('both are told', () => near.closed && far.closed)
      assert.equal(far.messages.length, 50)
      assert.equal(near.messages.length, 1)
      assert.deepEqual([near.error, far.error], [undefined, undefined])
      assert.throws(() => near.connection.send(message('late')), code('closed'))
      await assert.rejects(near.connection.drained(), code('closed'))
    },
  },
  {
    name: 'both ends may close at the same time',
    async run(subject) {
      const { near, far } = await pair(subject)
      await Promise.all([near.connection.close(), far.connection.close()])
      await until('both are told', () => near.closed && far.closed)
    },
  },
  {
    name: 'destroy tells its own end the error, ends the other, and hands nothing more over',
    async run(subject) {
      const { near, far } = await pair(subject)
      far.connection.send(message('a'))
      near.connection.destroy(new ServiceError('internal', 'on purpose'))
      near.connection.destroy()
      await until('both are told', () => near.closed && far.closed)
      assert.equal(near.error?.message, 'on purpose')
      assert.equal(near.messages.length, 0)
      await near.connection.close()
    },
  },
  {
    name: 'pause keeps messages back, and resume lets them go on',
    async run(subject) {
      const { near, far } = await pair(subject)
      far.connection.pause()
      near.connection.send(message('a'))
      await new Promise((resolve) => setTimeout(resolve, 30))
      const early = far.messages.length
      far.connection.resume()
      await until('it has come', () => far.messages.length === 1)
      assert.equal(early, 0)
    },
  },
  {
    name: "the sender's message is as it was",
    async run(subject) {
      const { near, far } = await pair(subject)
      const header = Object.freeze({ a: '1' })
      const body = bytes('unchanged')
      near.connection.send(Object.freeze({ header, body }))
      await until('it has come', () => far.messages.length === 1)
      assert.equal(text(body), 'unchanged')
    },
  },
  {
    name: 'dialling where nobody listens rejects with unavailable',
    async run({ transport, nobody }) {
      await assert.rejects(transport.dial(nobody, endOf().handler), code('unavailable'))
    },
  },
  {
    name: 'an address that is taken rejects with conflict and stays served',
    async run(subject) {
      const { listener, near, far } = await pair(subject)
      await assert.rejects(
        subject.transport.listen(listener.address, () => endOf().handler),
        code('conflict'),
      )
      near.connection.send(message('a'))
      await until('the first one is served', () => far.messages.length === 1)
    },
  },
  {
    name: 'addresses that are none reject with invalid-option',
    async run({ transport }) {
      await assert.rejects(
        transport.listen('no:address:at all', () => endOf().handler),
        code('invalid-option'),
      )
      await assert.rejects(transport.dial('no:address:at all', endOf().handler), code('invalid-option'))
    },
  },
  {
    name: 'a listener that is disposed refuses new connections, keeps those there are, and frees its address',
    async run(subject) {
      const { listener, near, far } = await pair(subject)
      await Promise.all([listener[Symbol.asyncDispose](), listener[Symbol.asyncDispose]()])
      await assert.rejects(subject.transport.dial(listener.address, endOf().handler), code('unavailable'))
      near.connection.send(message('a'))
      await until('the old connection works', () => far.messages.length === 1)
      const again = await subject.transport.listen(listener.address, () => endOf().handler)
      await again[Symbol.asyncDispose]()
    },
  },
  {
    name: 'connections above the limit are refused, and those there are go on',
    async run(subject) {
      const { listener, near, far } = await pair(subject)
      for (let i = 1; i < subject.limits.maxConnections; i++)
        await subject.transport.dial(listener.address, endOf().handler)
      const { handler, end } = endOf()
      await subject.transport.dial(listener.address, handler).then(
        () => until('the connection above the limit ends', () => end.closed),
        (error: unknown) => assert.ok(code('unavailable')(error)),
      )
      near.connection.send(message('a'))
      await until('the first one is served', () => far.messages.length === 1)
    },
  },
  {
    name: 'connections that have ended do not count',
    async run(subject) {
      const { listener, near } = await pair(subject)
      for (let i = 0; i < subject.limits.maxConnections * 3; i++) {
        const connection = await subject.transport.dial(listener.address, endOf().handler)
        await connection.close()
      }
      assert.equal(near.closed, false)
    },
  },
  {
    name: 'many connections carry messages at the same time',
    async run(subject) {
      const { transport, address, limits } = subject
      const listener = await transport.listen(address, (connection) => ({
        message: (each) => void connection.send(each),
        closed: () => undefined,
      }))
      await Promise.all(
        Array.from({ length: Math.min(20, limits.maxConnections) }, async (_, i) => {
          const { handler, end } = endOf()
          const connection = await transport.dial(listener.address, handler)
          for (let each = 0; each < 20; each++) connection.send(message(`${i} ${each}`))
          await until('all echoes are there', () => end.messages.length === 20)
          assert.ok(end.messages.every(({ body }, each) => text(body) === `${i} ${each}`))
        }),
      )
    },
  },
  {
    name: 'an abort before or during listening and dialling rejects with its reason',
    async run(subject) {
      const { listener } = await pair(subject)
      const { transport, address } = subject
      const signal = AbortSignal.abort(new Error('given up'))
      await assert.rejects(
        transport.listen(address, () => endOf().handler, { signal }),
        /given up/,
      )
      await assert.rejects(transport.dial(listener.address, endOf().handler, { signal }), /given up/)
      const during = new AbortController()
      const dialled = transport.dial(listener.address, endOf().handler, { signal: during.signal })
      during.abort(new Error('given up'))
      // A transport that connects at once may have done so already.
      await dialled.then(
        (connection) => connection.close(),
        (error: Error) => assert.equal(error.message, 'given up'),
      )
    },
  },
  {
    name: 'disposing ends every connection and listener, twice and at the same time',
    async run(subject) {
      const { listener, near, far } = await pair(subject)
      await Promise.all([subject.transport[Symbol.asyncDispose](), subject.transport[Symbol.asyncDispose]()])
      await until('both are told', () => near.closed && far.closed)
      await subject.transport[Symbol.asyncDispose]()
      await listener[Symbol.asyncDispose]()
      await assert.rejects(
        subject.transport.listen(subject.address, () => endOf().handler),
        code('closed'),
      )
      await assert.rejects(subject.transport.dial(listener.address, endOf().handler), code('closed'))
      assert.throws(() => near.connection.send(message('late')), code('closed'))
    },
  },
  {
    name: 'disposing what was never used is no work',
    async run({ transport }) {
      await transport[Symbol.asyncDispose]()
    },
  },
]
