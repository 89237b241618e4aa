import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Delivery } from '@micrograft/contracts'
import { natsLogin, natsServer, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { pause, until } from '@micrograft/testing'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { forget, message, openBroker, text } from './support/nats.js'

const reason = unusable(natsServer())
const options = { skip: reason ?? false }
let server: TestServer
let raw: NatsConnection
const at = () => ({ addresses: [server.address] })
const streams: string[] = []
const kept = (more: object = {}) => {
  const name = randomUUID()
  streams.push(name)
  return {
    ...at(),
    prefix: name,
    jetstream: { stream: name, ackWaitMs: 1000, backoffMs: [20], maxBytes: 10_000_000, ...more },
  }
}

before(async () => {
  if (reason !== undefined) return
  server = await usableServer(natsServer())
  raw = await connect(natsLogin(server))
})
after(async () => {
  if (server) await forget(server, streams)
  await raw?.close()
  await server?.[Symbol.asyncDispose]()
})

test('says what holds in each mode', options, async () => {
  await using core = await openBroker(at())
  const always = { ordered: true, crossProcess: true, deliversLater: true }
  assert.deepEqual(core.capabilities, { redelivery: false, durable: false, ...always })
  await using queues = await openBroker(kept())
  assert.deepEqual(queues.capabilities, { redelivery: true, durable: true, ...always })
})

test(
  'a client of go-micro hears the envelope that it knows, on the subject that is the topic',
  options,
  async () => {
    const heard: string[] = []
    raw.subscribe('go.events', { callback: (_, { data }) => void heard.push(text(data)) })
    await raw.flush()
    await using broker = await openBroker(at())
    await broker.publish('go.events', {
      header: { 'content-type': 'a/b', 'micro-id': '7' },
      body: Buffer.from('{}\n'),
    })
    await until('it is heard', () => heard.length === 1)
    assert.equal(
      heard[0],
      '{"Header":{"Content-Type":"a/b","Micro-Id":"7","Micro-Topic":"go.events"},"Body":"e30K"}',
    )
    await broker.publish('go.events', {
      header: { 'z-last': 'grün\n', 'a"b': '"\\', 'micro-topic': 'forged', 'micro-x': '' },
      body: new Uint8Array([255, 0, 254, 62]),
    })
    await until('the next is heard', () => heard.length === 2)
    assert.equal(
      heard[1],
      '{"Header":{"A\\"b":"\\"\\\\","Micro-Topic":"go.events","Micro-X":"","Z-Last":"grün\\n"},"Body":"/wD+Pg=="}',
    )
  },
)

test('hears what go-micro publishes, and passes over what is no message', options, async () => {
  await using broker = await openBroker(at())
  const got: Delivery[] = []
  const errors: Error[] = []
  const onError = (error: Error) => void errors.push(error)
  await broker.subscribe('go/news', async (delivery) => void got.push(delivery), { onError })
  const malformed = ['no json', '{"Header":{"A":1},"Body":""}', '{"Header":["a"],"Body":""}', '{"Body":1}']
  for (const each of [...malformed, '[]', '{"Header":null,"Body":null}']) raw.publish('go/news', each)
  raw.publish('go/news', '{"Header":{"Micro-Topic":"go/news","X-Trace":"ü"},"Body":"aGk="}')
  await until('both are there', () => got.length === 3)
  // An array has neither header nor body, as an envelope of nothing.
  assert.equal(got[1]?.message.body.length, 0)
  assert.deepEqual({ ...got[2]?.message.header }, { 'x-trace': 'ü' })
  assert.equal(text(got[2]?.message.body as Uint8Array), 'hi')
  assert.deepEqual(
    errors.map((error) => (error as { code?: string }).code),
    malformed.map(() => 'protocol'),
  )
})

test('topics that differ in dots and slashes alone are different topics', options, async () => {
  for (const each of [at(), kept()]) {
    await using broker = await openBroker(each)
    const topics = ['a.b', 'a..b', 'a...b', '.a.b', 'a.b.', 'a/b', '/a/b', 'a//b', '...', '.', '/']
    const got: string[] = []
    for (const topic of topics) {
      await broker.subscribe(
        topic,
        async ({ topic: by, message: { body } }) => void got.push(`${by} ${text(body)}`),
      )
    }
    for (const topic of topics) await broker.publish(topic, message(topic))
    await until('all are there', () => got.length >= topics.length)
    assert.deepEqual(got.sort(), topics.map((topic) => `${topic} ${topic}`).sort())
  }
})

test(
  'a queue loses nothing and doubles nothing when one of its members leaves under load',
  options,
  async () => {
    for (const each of [{ ...at(), prefix: randomUUID() }, kept()]) {
      await using publisher = await openBroker(each)
      await using stays = await openBroker(each)
      const got: string[] = []
      const handle = async ({ message: { body } }: Delivery) => void got.push(text(body))
      await stays.subscribe('jobs', handle, { queue: 'q' })
      const sent: string[] = []
      const over = new AbortController()
      const publishing = (async () => {
        while (!over.signal.aborted) {
          const some = Array.from({ length: 200 }, (_, i) => String(sent.length + i))
          sent.push(...some)
          await Promise.all(some.map((body) => publisher.publish('jobs', message(body))))
        }
      })()
      for (let i = 0; i < 3; i++) {
        await using leaves = await openBroker(each)
        const before = got.length
        const member = await leaves.subscribe('jobs', handle, { queue: 'q' })
        await until('more is handled', () => got.length > before + 200, 20_000)
        await member[Symbol.asyncDispose]()
      }
      over.abort()
      await publishing
      await until('all are handled', () => got.length >= sent.length, 20_000)
      assert.deepEqual(got.toSorted(), sent.toSorted())
    }
  },
)

test('drops what is above the limit in core mode, says so once, and goes on', options, async () => {
  await using broker = await openBroker({ ...at(), maxPendingMessages: 3 })
  const errors: Error[] = []
  let release = (): void => undefined
  const open = new Promise<void>((resolve) => (release = resolve))
  const got: string[] = []
  await broker.subscribe(
    'crowd',
    async ({ message: { body } }) => {
      await open
      got.push(text(body))
    },
    { onError: (error) => void errors.push(error) },
  )
  for (let i = 0; i < 10; i++) await broker.publish('crowd', message(String(i)))
  await until('it is told', () => errors.length > 0)
  release()
  await until('what was there is handled', () => got.length === 4)
  await broker.publish('crowd', message('later'))
  await until('it goes on', () => got.length === 5)
  assert.deepEqual(got, ['0', '1', '2', '3', 'later'])
  assert.deepEqual(
    errors.map((error) => (error as { code?: string }).code),
    ['overloaded'],
  )
})

test('a message that need not wait is handled, however large it is', options, async () => {
  await using publisher = await openBroker(at())
  await using broker = await openBroker({ ...at(), maxPendingBytes: 1000 })
  const topic = randomUUID()
  const got: number[] = []
  const errors: Error[] = []
  const onError = (error: Error) => void errors.push(error)
  await broker.subscribe(topic, async ({ message: { body } }) => void got.push(body.length), { onError })
  await publisher.publish(topic, message('x'.repeat(2000)))
  await until('it is handled', () => got.length + errors.length > 0)
  assert.deepEqual([got, errors], [[2000], []])
})

test('a queue keeps messages while nobody subscribes to it', options, async () => {
  const same = kept()
  const got: string[] = []
  const handle = async ({ message: { body } }: Delivery) => void got.push(text(body))
  {
    await using first = await openBroker(same)
    await first.subscribe('jobs', handle, { queue: 'workers' })
    await first.publish('jobs', message('1'))
    await until('it is handled', () => got.length === 1)
  }
  {
    await using publisher = await openBroker(same)
    for (const each of ['2', '3']) await publisher.publish('jobs', message(each))
  }
  await using second = await openBroker(same)
  await second.subscribe('jobs', handle, { queue: 'workers' })
  await until('all are handled', () => got.length === 3)
  await pause(50)
  assert.deepEqual(got, ['1', '2', '3'])
})

test('takes no more from a queue than its prefetch, and loses nothing of the rest', options, async () => {
  const same = kept({ prefetch: 10 })
  await using broker = await openBroker(same)
  let release = (): void => undefined
  const open = new Promise<void>((resolve) => (release = resolve))
  const got: string[] = []
  const subscription = await broker.subscribe(
    'slow',
    async ({ message: { body } }) => {
      await open
      got.push(text(body))
    },
    { queue: 'q', concurrency: 2 },
  )
  const sent = Array.from({ length: 300 }, (_, i) => String(i))
  await Promise.all(sent.map((each) => broker.publish('slow', message(each))))
  const manager = await jetstreamManager(raw)
  const [consumer] = await manager.consumers.list(same.jetstream.stream).next()
  assert.equal(consumer?.num_ack_pending, 10)
  assert.equal(consumer?.num_pending, 290)
  release()
  await until('all are handled', () => got.length === 300)
  assert.equal(new Set(got).size, 300)
  await subscription[Symbol.asyncDispose]()
  await until(
    'the stream is empty',
    async () => (await manager.streams.info(same.jetstream.stream)).state.messages === 0,
  )
})

test(
  'a message whose handler takes longer than the server waits is not delivered again',
  options,
  async () => {
    await using broker = await openBroker(kept({ ackWaitMs: 300 }))
    let deliveries = 0
    let done = 0
    await broker.subscribe(
      'long',
      async () => {
        deliveries++
        await pause(1000)
        done++
      },
      { queue: 'q' },
    )
    await broker.publish('long', message('1'))
    await broker.publish('long', message('2'))
    await until('both are done', () => done === 2)
    assert.equal(deliveries, 2)
  },
)

test('counts deliveries, and gives a message up after the last', options, async () => {
  const same = kept({ maxDeliver: 3 })
  await using broker = await openBroker(same)
  const seen: number[] = []
  const onError = () => undefined
  await broker.subscribe(
    'poison',
    async ({ redelivered }) => {
      seen.push(redelivered)
      throw new Error('never')
    },
    { queue: 'q', onError },
  )
  await broker.publish('poison', message('1'))
  const manager = await jetstreamManager(raw)
  const left = async () => (await manager.streams.info(same.jetstream.stream)).state.messages
  await until('it is given up', async () => seen.length === 3 && (await left()) === 0)
  await pause(100)
  assert.deepEqual(seen, [0, 1, 2])
})

test('refuses a topic that the stream does not hold, and a publish above its bytes', options, async () => {
  const stream = randomUUID()
  streams.push(stream)
  const subjects = [`${stream}.orders.>`]
  const prefix = stream
  await using broker = await openBroker({ ...at(), prefix, jetstream: { stream, subjects, maxBytes: 5000 } })
  await assert.rejects(broker.publish('news', message('1')), { code: 'bad-request' })
  await assert.rejects(
    broker.subscribe('news', async () => undefined),
    { code: 'bad-request' },
  )
  let release = (): void => undefined
  const open = new Promise<void>((resolve) => (release = resolve))
  let handled = 0
  const handle = async () => {
    await open
    handled++
  }
  await broker.subscribe('orders.new', handle, { queue: 'q' })
  let accepted = 0
  await assert.rejects(
    async () => {
      for (; accepted < 100; accepted++) await broker.publish('orders.new', message('x'.repeat(500)))
    },
    { code: 'overloaded' },
  )
  release()
  await until('what was taken is handled', () => handled === accepted)
  await until('there is room again', async () =>
    broker.publish('orders.new', message('y')).then(
      () => true,
      () => false,
    ),
  )
})

test('refuses a message above what the server takes, and stays connected', options, async () => {
  for (const each of [at(), kept()]) {
    await using broker = await openBroker(each)
    await assert.rejects(broker.publish('t', message('x'.repeat(1_048_576))), { code: 'too-large' })
    await broker.publish('t', message('small'))
  }
})

test('options that are none are refused before a connection is tried', options, async () => {
  for (const each of [
    { addresses: [] },
    { prefix: 'a b' },
    { jetstream: { prefetch: 0 } },
    { jetstream: { stream: 'a.b' } },
    { jetstream: { backoffMs: [] } },
    { jetstream: { unknown: 1 } },
    // The server would take none of a request for such a number, or keep in memory what is to be on the disk.
    { jetstream: { prefetch: 2.5 } },
    { jetstream: { storage: 'disk' } },
    { jetstream: { maxAgeMs: 1e300 } },
    { maxPendingMessages: 0 },
    { maxPendingMessages: Number.NaN },
  ]) {
    await assert.rejects(
      openBroker({ ...at(), ...each } as never),
      { code: 'invalid-option' },
      JSON.stringify(each),
    )
  }
})
