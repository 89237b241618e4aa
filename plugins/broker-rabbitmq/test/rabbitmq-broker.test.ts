import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import type { Broker, BrokerMessage, Delivery, Subscription } from '@micrograft/contracts'
import { Plugin, type RabbitmqBrokerOptions } from '@micrograft/broker-rabbitmq'
import {
  FaultyLink,
  freePort,
  missing,
  rabbitmq,
  rabbitmqctl,
  ServerProcess,
  TlsFront,
  unusable,
  usableServer,
  type TestServer,
} from '@micrograft/test-support'
import { componentContext, pause, until } from '@micrograft/testing'
import { Connection } from 'rabbitmq-client'

const make = Plugin.newFunc as unknown as (
  options: RabbitmqBrokerOptions,
  context: ReturnType<typeof componentContext>,
) => Promise<Broker>

const reason = unusable(rabbitmq)
const ownReason = missing(rabbitmq)
let used: TestServer
let own: ServerProcess
/** That of the two which is tested on. */
let place: TestServer
const brokers: Broker[] = []
let names = 0

before(async () => {
  if (reason === undefined) place = used = await usableServer(rabbitmq)
})
after(async () => {
  await Promise.all(brokers.map((each) => each[Symbol.asyncDispose]()))
  await used?.[Symbol.asyncDispose]()
})

const run = randomUUID()
const fresh = () => `test-${run}-${names++}`
const address = () => place.address
const login = () => ({ username: place.user, password: place.password })

async function open(options: RabbitmqBrokerOptions = {}): Promise<Broker> {
  const broker = await make(
    { addresses: [`${place.host}:${place.port}`], ...login(), exchange: fresh(), ...options },
    componentContext(),
  )
  brokers.push(broker)
  return broker
}

const message = (body: string, header: Record<string, string> = {}): BrokerMessage => ({
  header,
  body: new TextEncoder().encode(body),
})
const bodyOf = ({ message: { body } }: Delivery) => new TextDecoder().decode(body)

/** The server's queues with their numbers of messages. */
async function queues(): Promise<Map<string, number>> {
  const text = await rabbitmqctl(own, '-q', 'list_queues', 'name', 'messages', '--no-table-headers')
  return new Map(
    text
      .trim()
      .split('\n')
      .map((line) => line.split('\t'))
      .map(([name, count]) => [name as string, Number(count)]),
  )
}

/** A modest load: publishes numbers until it is stopped, and knows which of them were taken and which refused. */
function publishing(broker: Broker, topic: string) {
  const taken: string[] = []
  const refused: { readonly code: string; readonly afterMs: number }[] = []
  const stopped = new AbortController()
  let next = 0
  const worker = async () => {
    while (!stopped.signal.aborted) {
      const body = String(next++)
      const started = performance.now()
      await broker.publish(topic, message(body)).then(
        () => void taken.push(body),
        (error: { code: string }) =>
          void refused.push({ code: error.code, afterMs: performance.now() - started }),
      )
      await pause(1)
    }
  }
  const workers = Promise.all([worker(), worker(), worker()])
  return {
    taken,
    refused,
    stop: () => {
      stopped.abort()
      return workers
    },
  }
}

async function collect(broker: Broker, topic: string, queue?: string) {
  const got = new Map<string, number>()
  const errors: Error[] = []
  const subscription: Subscription = await broker.subscribe(
    topic,
    async (delivery) => {
      const body = bodyOf(delivery)
      got.set(body, (got.get(body) ?? 0) + 1)
    },
    { queue, onError: (error) => void errors.push(error) },
  )
  const hasAll = (bodies: readonly string[]) => bodies.every((body) => got.has(body))
  return { got, errors, subscription, hasAll }
}

describe('the rabbitmq broker', { skip: reason ?? false }, () => {
  test('keeps messages for a queue that nobody subscribes to', async () => {
    const exchange = fresh()
    const broker = await open({ exchange })
    const first = await collect(broker, 't', 'billing')
    await first.subscription[Symbol.asyncDispose]()
    await broker.publish('t', message('meanwhile'))
    const second = await collect(await open({ exchange }), 't', 'billing')
    await until('it is there', () => second.hasAll(['meanwhile']))
    assert.equal(first.got.size, 0)
  })

  test('waits for a handler for longer than it would for a server', async () => {
    const broker = await open()
    let handled = 0
    let started = 0
    const subscription = await broker.subscribe('t', async () => {
      started++
      await pause(1300)
      handled++
    })
    await broker.publish('t', message('1'))
    await until('it is under way', () => started === 1)
    await subscription[Symbol.asyncDispose]()
    assert.equal(handled, 1)
  })

  test('gives two topics of one queue name handlers of their own, and takes names of any length', async () => {
    const broker = await open()
    const long = 'x'.repeat(255)
    const a = await collect(broker, 'a', 'billing')
    const b = await collect(broker, long, 'q'.repeat(128))
    await broker.publish('a', message('to a'))
    await broker.publish(long, message('to b'))
    await until('both are there', () => a.got.size === 1 && b.got.size === 1)
    assert.deepEqual([...a.got.keys(), ...b.got.keys()], ['to a', 'to b'])
  })

  test('shares a queue with another that takes over: nothing is lost, and nothing handled twice', async () => {
    const exchange = fresh()
    const [old, next, publisher] = [
      await open({ exchange }),
      await open({ exchange }),
      await open({ exchange }),
    ]
    const load = publishing(publisher, 't')
    const before = await collect(old, 't', 'billing')
    const began = load.taken.length
    await until('the old one works', () => before.got.size > 50)
    const behind = await collect(next, 't', 'billing')
    await until('both work', () => behind.got.size > 20)
    await old[Symbol.asyncDispose]()
    const count = load.taken.length
    await until('the next works alone', () => load.taken.length > count + 50)
    await load.stop()
    const since = load.taken.slice(began)
    await until('all are handled', () => since.every((each) => before.got.has(each) || behind.got.has(each)))
    const twice = [...before.got].filter(([body, times]) => times + (behind.got.get(body) ?? 0) !== 1)
    assert.deepEqual(twice, [])
    assert.deepEqual(
      [...behind.got.values()].filter((times) => times !== 1),
      [],
    )
    assert.deepEqual(load.refused, [])
  })

  test('writes and reads what go-micro does: headers in title case, the body as it is', async () => {
    const exchange = fresh()
    const broker = await open({ exchange })
    const got: Delivery[] = []
    await broker.subscribe('from.go', async (delivery) => void got.push(delivery))
    const raw = new Connection(address())
    const seen: { headers: unknown; body: string }[] = []
    const consumer = raw.createConsumer(
      {
        queueOptions: { exclusive: true },
        queueBindings: [{ exchange, routingKey: 'to.go' }],
        noAck: true,
      },
      (each) => void seen.push({ headers: each.headers, body: String(each.body) }),
    )
    await new Promise<void>((resolve) => consumer.on('ready', resolve))
    const publisher = raw.createPublisher({ confirm: true })
    await publisher.send(
      {
        exchange,
        routingKey: 'from.go',
        headers: { 'Content-Type': 'application/json', 'Micro-Topic': 'from.go', 'Micro-Id': '7' },
        contentType: 'application/json',
      },
      Buffer.from('{"a": 1}'),
    )
    await broker.publish('to.go', message('{"b":2}', { 'content-type': 'application/json', 'micro-id': '8' }))
    await until('both are there', () => got.length === 1 && seen.length === 1)
    assert.deepEqual({ ...got[0]?.message.header }, { 'content-type': 'application/json', 'micro-id': '7' })
    assert.deepEqual(JSON.parse(bodyOf(got[0] as Delivery)), { a: 1 })
    assert.deepEqual(seen[0], {
      headers: { 'Content-Type': 'application/json', 'Micro-Id': '8', 'Micro-Topic': 'to.go' },
      body: '{"b":2}',
    })
    await publisher.close()
    await consumer.close()
    await raw.close()
  })

  test('refuses what is too large with too-large, and takes what is just not', async () => {
    const broker = await open({ maxMessageBytes: 2_000_000 })
    const sizes: number[] = []
    await broker.subscribe('t', async (delivery) => void sizes.push(delivery.message.body.byteLength))
    const large = { code: 'too-large' }
    await assert.rejects(broker.publish('t', { header: {}, body: new Uint8Array(2_000_001) }), large)
    await assert.rejects(broker.publish('t', message('', { big: 'x'.repeat(200_000) })), large)
    await broker.publish('t', { header: { big: 'x'.repeat(100_000) }, body: new Uint8Array(2_000_000) })
    await until('the last is there', () => sizes.length === 1)
    assert.deepEqual(sizes, [2_000_000])
    const above = await open({ maxMessageBytes: 20_000_000 })
    await assert.rejects(above.publish('t', { header: {}, body: new Uint8Array(9_000_000) }), large)
    await above.publish('t', message('the channel is there again'))
  })

  test('refuses options that cannot be, and says nothing of passwords', async () => {
    for (const options of [
      { addresses: [] },
      { addresses: ['http://guest:hidden@x'] },
      { addresses: ['[::1]:1', 'b:2'] },
      { exchange: 'a b' },
      { retryMs: 0 },
      { maxRedeliveries: -1 },
      { queueType: 'stream' as 'quorum' },
      { prefetch: 1 } as RabbitmqBrokerOptions,
    ])
      await assert.rejects(make(options, componentContext()), (error: { code: string; message: string }) => {
        assert.equal(error.code, 'invalid-option')
        assert.doesNotMatch(error.message, /hidden/)
        return true
      })
  })

  test('takes the next address where one is out of reach', async () => {
    const broker = await open({ addresses: [`127.0.0.1:${await freePort()}`, address()], ...login() })
    await broker.publish('t', message('1'))
  })

  test('speaks TLS, and holds the certificate against its authorities', async () => {
    await using front = await TlsFront.to(place.port, place.host)
    const addresses = [`amqps://127.0.0.1:${front.port}`]
    const broker = await make(
      { addresses, ...login(), exchange: fresh(), tls: { ca: front.ca } },
      componentContext(),
    )
    const heard = await collect(broker, 't')
    await broker.publish('t', message('1'))
    await until('it is there', () => heard.got.has('1'))
    await broker[Symbol.asyncDispose]()
    await assert.rejects(open({ addresses }), { code: 'unavailable', message: /self-signed/ })
  })
})

describe('the rabbitmq broker on a server of its own', { skip: ownReason ?? false }, () => {
  before(async () => {
    own = used instanceof ServerProcess ? used : await ServerProcess.start(rabbitmq)
    place = own
  })
  after(() => own[Symbol.asyncDispose]())

  for (const queue of ['billing', undefined]) {
    test(`delivers again after pauses that grow, then to the dead letters (${queue ?? 'no queue'})`, async () => {
      const exchange = fresh()
      const broker = await open({ exchange, retryMs: 50, maxRedeliveries: 2 })
      const at: number[] = []
      const redelivered: number[] = []
      await broker.subscribe(
        't',
        async (delivery) => {
          assert.equal(delivery.topic, 't')
          assert.deepEqual({ ...delivery.message.header }, { 'x-note': 'n' })
          at.push(performance.now())
          redelivered.push(delivery.redelivered)
          throw new Error('never')
        },
        { queue, onError: () => undefined },
      )
      await broker.publish('t', message('bad', { 'x-note': 'n' }))
      await until('it is dead', async () => (await queues()).get(`${exchange}.dead`) === 1)
      assert.deepEqual(redelivered, [0, 1, 2])
      const [first, second, third] = at as [number, number, number]
      assert.ok(second - first >= 49, `paused ${second - first} ms`)
      assert.ok(third - second >= 99, `paused ${third - second} ms`)
      const raw = new Connection({ hostname: '127.0.0.1', port: own.port })
      const dead = await raw.basicGet(`${exchange}.dead`)
      await raw.close()
      assert.equal(String(dead?.body), 'bad')
      assert.equal(dead?.headers?.['micrograft-error'], 'never')
      assert.equal(dead?.headers?.['micrograft-topic'], 't')
    })
  }

  test('logs in, and is told unauthenticated, forbidden or unavailable where it cannot be', async () => {
    await rabbitmqctl(own, 'add_user', 'tester', 's/cret')
    await rabbitmqctl(own, 'set_permissions', 'tester', '.*', '.*', '.*')
    await open({ addresses: [`amqp://tester:s%2Fcret@127.0.0.1:${own.port}`] })
    await open({ username: 'tester', password: 's/cret' })
    await assert.rejects(open({ username: 'tester', password: 'no' }), { code: 'unauthenticated' })
    await assert.rejects(open({ vhost: 'none' }), { code: 'forbidden' })
    await assert.rejects(open({ addresses: [`127.0.0.1:${await freePort()}`] }), { code: 'unavailable' })
    const started = performance.now()
    await assert.rejects(
      open({
        addresses: [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`],
        connectTimeoutMs: 300,
      }),
      { code: 'unavailable' },
    )
    assert.ok(performance.now() - started < 3000)
    await assert.rejects(
      make(
        { addresses: [address()] },
        { ...componentContext(), signal: AbortSignal.abort(new Error('enough')) },
      ),
      /enough/,
    )
    await rabbitmqctl(own, 'set_permissions', 'tester', '.*', '^$', '^$')
    const reader = await open({ username: 'tester', password: 's/cret' })
    await assert.rejects(reader.publish('t', message('1')), { code: 'forbidden' })
    await assert.rejects(
      reader.subscribe('t', async () => undefined),
      { code: 'forbidden' },
    )
  })

  test('loses nothing that was taken when its connections are reset and slow', async () => {
    await using link = await FaultyLink.to(own.port)
    const broker = await open({ addresses: [`127.0.0.1:${link.port}`] })
    const heard = await collect(broker, 't', 'billing')
    const load = publishing(broker, 't')
    for (let i = 0; i < 3; i++) {
      const count = load.taken.length
      await until('it goes on', () => load.taken.length > count + 20)
      link.reset()
    }
    const count = load.taken.length
    await until('it goes on', () => load.taken.length > count + 20)
    link.delayMs = 50
    await until('it goes on slowly', () => load.taken.length > count + 40)
    link.delayMs = 0
    await load.stop()
    await until('all that was taken is handled', () => heard.hasAll(load.taken))
    assert.ok(load.refused.length > 0)
    assert.deepEqual([...new Set(load.refused.map(({ code }) => code))], ['unavailable'])
    assert.ok(heard.errors.every((error) => (error as { code?: string }).code !== undefined))
    await broker[Symbol.asyncDispose]()
  })

  test('tells timeout while the server stands still, ends subscriptions meanwhile, and goes on', async () => {
    const broker = await open({ publishTimeoutMs: 300, heartbeatMs: 1000 })
    const heard = await collect(broker, 't', 'billing')
    const unneeded = await collect(broker, 'u')
    const load = publishing(broker, 't')
    await until('it works', () => load.taken.length > 20)
    own.pause()
    try {
      await until('publishers are told', () => load.refused.length > 3)
      await unneeded.subscription[Symbol.asyncDispose]()
      await until('the connection is given up', () => load.refused.some(({ code }) => code === 'unavailable'))
    } finally {
      own.resume()
    }
    const count = load.taken.length
    await until('it works again', () => load.taken.length > count + 20, 10_000)
    await load.stop()
    await until('all that was taken is handled', () => heard.hasAll(load.taken))
    assert.ok(load.refused.every(({ afterMs }) => afterMs < 2000))
  })

  test('lets the process end while the server stands still', { timeout: 20_000 }, async () => {
    // It subscribes, says so, and disposes when its standard input ends.
    const program = `
      import { Plugin } from '@micrograft/broker-rabbitmq'
      const log = { info() {}, warn() {}, error() {} }
      const signal = new AbortController().signal
      const broker = await Plugin.newFunc({ addresses: ['${address()}'] }, { service: 'test', log, signal })
      await broker.subscribe('t', async () => undefined, { queue: 'billing' })
      console.log('subscribed')
      for await (const _ of process.stdin);
      await broker[Symbol.asyncDispose]()
    `
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      cwd: import.meta.dirname,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const ended = once(child, 'exit')
    await Promise.race([once(child.stdout, 'data'), ended])
    own.pause()
    try {
      const started = performance.now()
      child.stdin.end()
      assert.deepEqual(await ended, [0, null])
      const tookMs = performance.now() - started
      assert.ok(tookMs < 8000, `it took ${tookMs} ms`)
    } finally {
      own.resume()
      child.kill()
    }
  })

  test('refuses more than may wait with overloaded', async () => {
    const broker = await open({ maxPending: 5, publishTimeoutMs: 200 })
    await broker.publish('t', message('0'))
    own.pause()
    try {
      const all = await Promise.allSettled(
        Array.from({ length: 8 }, (_, i) => broker.publish('t', message(String(i)))),
      )
      const codes = all.map((each) => (each.status === 'rejected' ? each.reason.code : 'taken'))
      assert.deepEqual(codes, [...Array(5).fill('timeout'), ...Array(3).fill('overloaded')])
    } finally {
      own.resume()
    }
    await until('there is room again', () =>
      broker.publish('t', message('1')).then(
        () => true,
        () => false,
      ),
    )
  })

  test('tells overloaded while the disk of the server is full, and handles what is there', async () => {
    const exchange = fresh()
    const broker = await open({ exchange, publishTimeoutMs: 300 })
    const waiting = await collect(broker, 't', 'billing')
    await waiting.subscription[Symbol.asyncDispose]()
    for (let i = 0; i < 20; i++) await broker.publish('t', message(`before ${i}`))
    await rabbitmqctl(own, 'set_disk_free_limit', '1000000000000000')
    const codes = new Set<string>()
    await until('publishers are told', async () => {
      await broker.publish('t', message('refused')).catch((error: { code: string }) => codes.add(error.code))
      return codes.has('overloaded')
    })
    const heard = await collect(broker, 't', 'billing')
    await until('what is there is handled', () => heard.got.size >= 20)
    await until('and acknowledged', async () => (await queues()).get(`${exchange}/billing/t`) === 0)
    await rabbitmqctl(own, 'set_disk_free_limit', '1MB')
    await until('messages are taken again', () =>
      broker.publish('t', message('after')).then(
        () => true,
        () => false,
      ),
    )
    await until('and handled', () => heard.got.has('after'))
    assert.deepEqual([...codes].sort(), ['overloaded', 'timeout'])
  })

  test('tells unavailable while its password is wrong, and comes back when it is right', async () => {
    await rabbitmqctl(own, 'add_user', 'changing', 'right')
    await rabbitmqctl(own, 'set_permissions', 'changing', '.*', '.*', '.*')
    const broker = await open({ username: 'changing', password: 'right', publishTimeoutMs: 300 })
    const heard = await collect(broker, 't', 'billing')
    const load = publishing(broker, 't')
    await until('it works', () => load.taken.length > 20)
    await rabbitmqctl(own, 'change_password', 'changing', 'other')
    await rabbitmqctl(own, 'close_all_user_connections', 'changing', 'the test says so')
    const before = load.refused.length
    await until('publishers are told', () => load.refused.slice(before).some(({ afterMs }) => afterMs > 290))
    await assert.rejects(
      broker.subscribe('u', async () => undefined, { signal: AbortSignal.timeout(100) }),
      { name: 'TimeoutError' },
    )
    const told = new Set(load.refused.slice(before).map(({ code }) => code))
    await rabbitmqctl(own, 'change_password', 'changing', 'right')
    const count = load.taken.length
    await until('it works again', () => load.taken.length > count + 20, 10_000)
    await load.stop()
    await until('all that was taken is handled', () => heard.hasAll(load.taken))
    assert.deepEqual([...told], ['unavailable'])
  })

  test('has all that was taken after the server was killed, and subscriptions come back', async () => {
    const exchange = fresh()
    const broker = await open({ exchange, publishTimeoutMs: 1000 })
    const late = await collect(broker, 't', 'late')
    await late.subscription[Symbol.asyncDispose]()
    const heard = await collect(broker, 't', 'billing')
    const everybody = await collect(broker, 't')
    const load = publishing(broker, 't')
    await until('it works', () => load.taken.length > 100)
    await own.kill()
    await until('publishers are told', () => load.refused.some(({ afterMs }) => afterMs > 990))
    await own.start()
    const count = load.taken.length
    await until('it works again', () => load.taken.length > count + 20, 10_000)
    await load.stop()
    await until('all that was taken is handled', () => heard.hasAll(load.taken))
    await until('those without a queue hear again', async () => {
      await broker.publish('t', message('again'))
      return everybody.got.has('again')
    })
    const afterwards = await collect(broker, 't', 'late')
    await until('all that was taken is kept', () => afterwards.hasAll(load.taken), 10_000)
    assert.ok(load.refused.every(({ afterMs }) => afterMs < 3000))
  })
})
