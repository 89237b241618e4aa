import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { connect as dial, createServer, type AddressInfo, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import type { Broker, Delivery } from '@micrograft/contracts'
import { missing, natsLogin, natsServer, ServerProcess } from '@micrograft/test-support'
import { until } from '@micrograft/testing'
import { connect } from '@nats-io/transport-node'
import { jetStream, message, openBroker, text } from './support/nats.js'

const kind = natsServer()
const options = { skip: missing(kind) ?? false }
let server: ServerProcess
before(async () => {
  if (options.skip === false) server = await ServerProcess.start(kind)
})
after(() => server?.[Symbol.asyncDispose]())

const kept = (storage: 'file' | 'memory') => {
  const name = randomUUID()
  return {
    addresses: [server.address],
    reconnectDelayMs: 50,
    prefix: name,
    jetstream: { stream: name, storage, ackWaitMs: 1000, backoffMs: [20], maxBytes: 10_000_000 },
  }
}

const published = (broker: Broker, body: string) =>
  broker.publish('jobs', message(body)).then(
    () => true,
    () => false,
  )

const losses: Readonly<Record<string, ReturnType<typeof kept>['jetstream']['storage']>> = {
  'was in the memory of a server that is started again': 'memory',
  'somebody has deleted': 'file',
}
for (const [name, storage] of Object.entries(losses)) {
  test(
    `publishers and queues go on by themselves after the loss of a stream that ${name}`,
    options,
    async () => {
      const same = kept(storage)
      await using publisher = await openBroker(same)
      await using subscriber = await openBroker(same)
      const got: string[] = []
      for (const queue of ['q', undefined]) {
        await subscriber.subscribe('jobs', async ({ message: { body } }) => void got.push(text(body)), {
          queue,
        })
      }
      await publisher.publish('jobs', message('before'))
      await until('both have it', () => got.length === 2)
      if (storage === 'memory') {
        await server.kill()
        await server.start()
      } else {
        await using all = await jetStream(server)
        await all.streams.delete(same.jetstream.stream)
      }
      let count = 0
      await until(
        'it is delivered to both',
        async () =>
          (await published(publisher, `after ${count++}`)) && new Set(got.slice(2)).size < got.length - 2,
        10_000,
      )
    },
  )
}

test('a publisher alone makes the stream again', options, async () => {
  const same = kept('memory')
  await using publisher = await openBroker(same)
  await using all = await jetStream(server)
  await all.streams.delete(same.jetstream.stream)
  // None of them waits for another one's try.
  const codes = await Promise.all(Array.from({ length: 20 }, () => published(publisher, '1')))
  assert.ok(codes.every(Boolean))
})

test('brokers of other options make one stream at the same time', options, async () => {
  const same = kept('memory')
  const other = { ...same, jetstream: { ...same.jetstream, maxBytes: 5_000_000 } }
  for (let i = 0; i < 5; i++) {
    await using all = await jetStream(server)
    const brokers = await Promise.all([same, other, same, other].map((each) => openBroker(each)))
    await all.streams.delete(same.jetstream.stream)
    await Promise.all(brokers.map((each) => each.publish('jobs', message('1'))))
    await Promise.all(brokers.map((each) => each[Symbol.asyncDispose]()))
    await all.streams.delete(same.jetstream.stream)
  }
})

test(
  'subjects that somebody writes over are added again by who subscribes or publishes',
  options,
  async () => {
    const { jetstream, prefix, ...same } = kept('memory')
    const own = (subject: string) =>
      openBroker({ ...same, jetstream: { ...jetstream, subjects: [`${prefix}.${subject}.>`] } })
    await using subscriber = await own('a')
    await using publisher = await own('b')
    await using all = await jetStream(server)
    // As another does that had read them before these two had written theirs.
    const writeOver = () => all.streams.update(jetstream.stream, { subjects: [`${prefix}.c.>`] })
    await writeOver()
    const got: string[] = []
    const handle = async ({ message: { body } }: Delivery) => void got.push(text(body))
    await subscriber.subscribe(`${prefix}.a.t`, handle, { queue: 'q' })
    await subscriber.publish(`${prefix}.a.t`, message('1'))
    await until('it is delivered', () => got.length === 1)
    await writeOver()
    await publisher.publish(`${prefix}.b.t`, message('2'))
    const { config } = await all.streams.info(jetstream.stream)
    assert.deepEqual(config.subjects, [`${prefix}.c.>`, `${prefix}.b.>`])
  },
)

test('what its handlers never answered is out of the stream after the last delivery', options, async () => {
  const same = kept('file')
  const some = { ...same, jetstream: { ...same.jetstream, ackWaitMs: 200, maxDeliver: 2 } }
  await using broker = await openBroker(some)
  await using all = await jetStream(server)
  // As a process has that dies with each message it gets: it takes it, and never answers.
  const other = await connect(natsLogin(server))
  const subscription = await broker.subscribe('jobs', async () => undefined, { queue: 'q' })
  await subscription[Symbol.asyncDispose]()
  await broker.publish('jobs', message('poison'))
  const [consumer] = await all.consumers.list(same.jetstream.stream).next()
  const next = `$JS.API.CONSUMER.MSG.NEXT.${same.jetstream.stream}.${consumer?.name}`
  for (let i = 0; i < 2; i++) await other.request(next, '', { timeout: 5000, noMux: true })
  await other.close()
  const seen: number[] = []
  await broker.subscribe('jobs', async ({ redelivered }) => void seen.push(redelivered), { queue: 'q' })
  const left = async () => (await all.streams.info(same.jetstream.stream)).state.messages
  await until('it is given up', async () => (await left()) === 0)
  assert.deepEqual(seen, [])
})

/** A link over which the server is never asked for `subject`: as if others took it away each time. */
async function without(subject: string): Promise<{ address: string } & AsyncDisposable> {
  const [alone, further] = [`"${subject}"`, `,"${subject}"`]
  const other = `"${randomUUID()}.>"`
  assert.equal(other.length, alone.length)
  const sockets: Socket[] = []
  const link = createServer((near) => {
    const far = dial(server.port, server.host)
    sockets.push(near, far)
    far.pipe(near)
    near.on('data', (bytes: Buffer) => {
      const asked = bytes.toString('latin1').replaceAll(further, ' '.repeat(further.length))
      far.write(Buffer.from(asked.replaceAll(alone, other), 'latin1'))
    })
    for (const each of [near, far]) each.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => link.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(link.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const each of sockets) each.destroy()
      await new Promise((resolve) => link.close(resolve))
    },
  }
}

test('a stream that others take the subjects away from each time is a conflict', options, async () => {
  const same = kept('memory')
  await using link = await without(`${same.prefix}.>`)
  await assert.rejects(openBroker({ ...same, addresses: [link.address] }), {
    code: 'conflict',
    message: /name another stream/,
  })
})
