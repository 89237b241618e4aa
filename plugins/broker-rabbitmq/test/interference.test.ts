import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Broker, BrokerMessage, Delivery, SubscribeOptions } from '@micrograft/contracts'
import { Plugin, type RabbitmqBrokerOptions } from '@micrograft/broker-rabbitmq'
import {
  FaultyLink,
  missing,
  rabbitmq,
  rabbitmqctl,
  ServerProcess,
  type ServerKind,
} from '@micrograft/test-support'
import { componentContext, until } from '@micrograft/testing'
import { Connection, type Envelope } from 'rabbitmq-client'

const make = Plugin.newFunc as unknown as (
  options: RabbitmqBrokerOptions,
  context: ReturnType<typeof componentContext>,
) => Promise<Broker>

/** RabbitMQ whose frames are smaller than the broker would have them. */
const kind = Object.create(rabbitmq, {
  arguments: {
    value: async (place: { folder: string; port: number }) => {
      const given = await rabbitmq.arguments(place)
      await appendFile(join(place.folder, 'rabbitmq.conf'), 'frame_max = 16384\n')
      return given
    },
  },
}) as ServerKind

describe('the rabbitmq broker, while others meddle', { skip: missing(rabbitmq) ?? false }, () => {
  let server: ServerProcess
  let raw: Connection
  const brokers: Broker[] = []
  let names = 0
  before(async () => {
    server = await ServerProcess.start(kind)
    raw = new Connection(server.address)
    raw.on('error', () => undefined)
  })
  after(async () => {
    await Promise.all(brokers.map((each) => each[Symbol.asyncDispose]()))
    await raw.close()
    await server[Symbol.asyncDispose]()
  })

  const fresh = () => `test-${names++}`
  async function open(options: RabbitmqBrokerOptions = {}): Promise<Broker> {
    const broker = await make(
      { addresses: [server.address], exchange: fresh(), ...options },
      componentContext(),
    )
    brokers.push(broker)
    return broker
  }
  const message = (body: string | Uint8Array, header: Record<string, string> = {}): BrokerMessage => ({
    header,
    body: typeof body === 'string' ? new TextEncoder().encode(body) : body,
  })
  const text = ({ message: { body } }: Delivery) => new TextDecoder().decode(body)
  const codeOf = (publishing: Promise<void>) =>
    publishing.then(
      () => 'taken',
      ({ code }: { code: string }) => code,
    )

  /** Subscribes to `t` and notes what comes. */
  async function collect(broker: Broker, options: SubscribeOptions = {}) {
    const got: Delivery[] = []
    const errors: string[] = []
    const onError = (error: Error) => void errors.push((error as { code?: string }).code ?? error.message)
    await broker.subscribe('t', async (delivery) => void got.push(delivery), { onError, ...options })
    return { got, errors }
  }

  /** Publishes as another program does. */
  async function publishRaw(envelope: Envelope, body: Buffer): Promise<void> {
    const publisher = raw.createPublisher({ confirm: true })
    await publisher.send(envelope, body)
    await publisher.close()
  }

  test('hands over whole what a server with smaller frames sends, and knows what is too large for one', async () => {
    const broker = await open()
    const { got } = await collect(broker)
    const body = randomBytes(100_000)
    await broker.publish('t', message(body))
    await until('it is there', () => got.length === 1)
    assert.deepEqual(Buffer.from(got[0]!.message.body), body)
    await assert.rejects(broker.publish('t', message('', { big: 'x'.repeat(20_000) })), { code: 'too-large' })
    await broker.publish('t', message('the connection is there still'))
  })

  test('hands over bodies as they were published, whatever they are said to be', async () => {
    const exchange = fresh()
    const broker = await open({ exchange })
    const { got } = await collect(broker)
    const bodies = ['{"id": 12345678901234567890}', '"text"', '{"a":1,"a":2}'].map((each) =>
      Buffer.from(each),
    )
    for (const body of bodies)
      await publishRaw({ exchange, routingKey: 't', contentType: 'application/json' }, body)
    const bytes = Buffer.from([0xff, 0xfe, 0])
    await publishRaw({ exchange, routingKey: 't', contentType: 'text/plain' }, bytes)
    await until('all are there', () => got.length === 4)
    assert.deepEqual(
      got.map((each) => Buffer.from(each.message.body)),
      [...bodies, bytes],
    )
  })

  test('delivers again what its handler rejected after somebody deleted its queue', async () => {
    const exchange = fresh()
    const broker = await open({ exchange, retryMs: 50 })
    const name = `${exchange}/billing/t`
    const redelivered: number[] = []
    let ready = false
    await broker.subscribe(
      't',
      async (delivery) => {
        // As long as one handler runs, the subscription that the server has ended is not made again.
        if (text(delivery) === 'slow')
          await until('what was rejected is back', async () => (await queues()).get(name) === 1, 10_000)
        else if (text(delivery) === 'there?') ready = true
        else {
          redelivered.push(delivery.redelivered)
          if (redelivered.length > 1) return
          await raw.queueDelete(name)
          await until('the queue is gone', async () => !(await queues()).has(name))
          throw new Error('not yet')
        }
      },
      { queue: 'billing', concurrency: 2, onError: () => undefined },
    )
    await broker.publish('t', message('slow'))
    await broker.publish('t', message('kept'))
    await until('it comes again', () => redelivered.length === 2, 20_000)
    assert.deepEqual(redelivered, [0, 1])
    await until('the queue is there again', async () => {
      await broker.publish('t', message('there?'))
      return ready
    })
  })

  test('keeps what its handler rejected where somebody deleted the queues that it would wait in', async () => {
    const exchange = fresh()
    const broker = await open({ exchange, retryMs: 50, maxRedeliveries: 1 })
    const got: string[] = []
    await broker.subscribe(
      't',
      async (delivery) => {
        got.push(text(delivery))
        if (text(delivery) === 'first') return
        throw new Error('never')
      },
      { queue: 'billing', onError: () => undefined },
    )
    const dead = async () => (await queues()).get(`${exchange}.dead`)
    await broker.publish('t', message('one'))
    await until('it is dead', async () => (await dead()) === 1)
    await raw.queueDelete(`${exchange}.retry.50`)
    await raw.queueDelete(`${exchange}.dead`)
    await broker.publish('t', message('two'))
    await until('it is dead too', async () => (await dead()) === 1, 10_000)
    assert.ok(got.filter((each) => each === 'two').length >= 2)
  })

  test('tells conflict while somebody else has a queue of its name, and goes on when that is gone', async () => {
    const exchange = fresh()
    const broker = await open({ exchange })
    const queue = `${exchange}/billing/t`
    await raw.queueDeclare({ queue, durable: true, arguments: { 'x-max-length': 5 } })
    await assert.rejects(
      broker.subscribe('t', async () => undefined, { queue: 'billing' }),
      { code: 'conflict' },
    )
    await raw.queueDelete(queue)
    const { got, errors } = await collect(broker, { queue: 'billing' })
    await raw.queueDelete(queue)
    await raw.queueDeclare({ queue, durable: true, arguments: { 'x-max-length': 5 } })
    await until('it is told', () => errors.includes('conflict'))
    await raw.queueDelete(queue)
    await until('it hears again', async () => {
      await broker.publish('t', message('1'))
      return got.length > 0
    })
  })

  test('does not lose a message over counts that its publisher made up', async () => {
    const exchange = fresh()
    const broker = await open({ exchange, retryMs: 50 })
    const seen = new Map<string, number[]>()
    await broker.subscribe(
      't',
      async (delivery) => {
        const times = seen.get(text(delivery)) ?? []
        seen.set(text(delivery), [...times, delivery.redelivered])
        if (times.length === 0) throw new Error('not yet')
      },
      { queue: 'billing', concurrency: 10, onError: () => undefined },
    )
    const headers = [
      { 'micrograft-redelivered': 1.5 },
      { 'micrograft-redelivered': -3 },
      { 'micrograft-redelivered': 'many' },
      { 'x-delivery-count': 'abc' },
    ]
    for (const [index, each] of headers.entries())
      await publishRaw({ exchange, routingKey: 't', headers: each }, Buffer.from(String(index)))
    await until('all came again', () => [...seen.values()].filter((times) => times.length > 1).length === 4)
    for (const times of seen.values()) assert.deepEqual(times, [0, 1])
  })

  test('delivers again as often as it is told, without end in sight', async () => {
    const broker = await open({ retryMs: 1, maxRetryMs: 4, maxRedeliveries: Number.MAX_SAFE_INTEGER })
    const redelivered: number[] = []
    await broker.subscribe(
      't',
      async (delivery) => {
        redelivered.push(delivery.redelivered)
        if (redelivered.length < 8) throw new Error('not yet')
      },
      { queue: 'billing', onError: () => undefined },
    )
    await broker.publish('t', message('1'))
    await until('it is handled', () => redelivered.length === 8)
    assert.deepEqual(redelivered, [0, 1, 2, 3, 4, 5, 6, 7])
  })

  test('takes no more than may wait while the server confirms none, also of those that were given up', async () => {
    const broker = await open({ maxPending: 5, publishTimeoutMs: 100, heartbeatMs: 60_000 })
    await broker.publish('t', message('0'))
    server.pause()
    try {
      const five = Array.from({ length: 5 }, () => codeOf(broker.publish('t', message('1'))))
      assert.deepEqual(await Promise.all(five), Array(5).fill('timeout'))
      assert.equal(await codeOf(broker.publish('t', message('2'))), 'overloaded')
    } finally {
      server.resume()
    }
    await until('there is room', async () => (await codeOf(broker.publish('t', message('3')))) === 'taken')
  })

  test('ends what waits for a connection when it is disposed', async () => {
    await using link = await FaultyLink.to(server.port)
    const broker = await open({ addresses: [`127.0.0.1:${link.port}`], publishTimeoutMs: 60_000 })
    await broker.publish('t', message('1'))
    await link[Symbol.asyncDispose]()
    // What was sent already is told so; the next one waits.
    await codeOf(broker.publish('t', message('2'), { signal: AbortSignal.timeout(300) }))
    const told = codeOf(broker.publish('t', message('3')))
    await broker[Symbol.asyncDispose]()
    const started = performance.now()
    assert.equal(await told, 'closed')
    assert.ok(performance.now() - started < 1000)
  })

  test('tells forbidden once its rights are withdrawn, and goes on when it has them again', async () => {
    await rabbitmqctl(server, 'add_user', 'moved', 'right')
    await rabbitmqctl(server, 'set_permissions', 'moved', '.*', '.*', '.*')
    const broker = await open({
      username: 'moved',
      password: 'right',
      addresses: [`127.0.0.1:${server.port}`],
    })
    const { got, errors } = await collect(broker, { queue: 'billing' })
    await broker.publish('t', message('before'))
    await rabbitmqctl(server, 'set_permissions', 'moved', '^$', '^$', '^$')
    // The server looks at rights again on a new connection.
    await rabbitmqctl(server, 'close_all_user_connections', 'moved', 'the test says so')
    await until(
      'it is told',
      async () => (await codeOf(broker.publish('t', message('none')))) === 'forbidden',
    )
    await until('the subscriber is told', () => errors.includes('forbidden'))
    await rabbitmqctl(server, 'set_permissions', 'moved', '.*', '.*', '.*')
    await until('it is taken', async () => (await codeOf(broker.publish('t', message('after')))) === 'taken')
    await until('it is handled', () => got.some((each) => text(each) === 'after'))
  })

  test('refuses a header whose name the server would cut off', async () => {
    const broker = await open()
    await assert.rejects(broker.publish('t', message('', { ['ü'.repeat(200)]: '1' })), { code: 'too-large' })
  })

  test('refuses numbers that no timer and no queue can have, and addresses that are no list', async () => {
    for (const options of [
      { publishTimeoutMs: 2 ** 31 },
      { connectTimeoutMs: 2 ** 31 },
      { maxRetryMs: 2 ** 32 },
      { maxPending: NaN },
      { heartbeatMs: Infinity },
      { addresses: '127.0.0.1' as never },
      { addresses: [5672] as never },
    ])
      await assert.rejects(open(options), { code: 'invalid-option' }, JSON.stringify(options))
  })

  /** The server's queues with their numbers of messages. */
  async function queues(): Promise<Map<string, number>> {
    const said = await rabbitmqctl(server, '-q', 'list_queues', 'name', 'messages', '--no-table-headers')
    const lines = said.trim().split('\n')
    return new Map(lines.map((line) => line.split('\t') as [string, string]).map(([a, b]) => [a, Number(b)]))
  }
})
