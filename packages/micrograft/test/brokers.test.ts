import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import type { Broker, ComponentContext } from '@micrograft/contracts'
import { brokerCases, componentContext, until, type BrokerSubject } from '@micrograft/testing'
import { httpBroker, type HttpBrokerOptions } from '../dist/broker/http-broker.js'
import { decodeEnvelope, encodeEnvelope } from '../dist/broker/http-envelope.js'
import { memoryBroker } from '../dist/broker/memory-broker.js'
import { memorySubscribers, type MemorySubscribers } from '../dist/broker/memory-subscribers.js'
import { memoryRegistry, memoryRegistryHub } from '../dist/registry/memory-registry.js'
import { complyEveryWay } from './support/comply-every-way.js'

function subjectOf(broker: Broker, another: () => Broker): BrokerSubject {
  const others: Broker[] = []
  return {
    broker,
    async another() {
      const other = another()
      others.push(other)
      return other
    },
    async [Symbol.asyncDispose]() {
      for (const each of [broker, ...others]) await each[Symbol.asyncDispose]()
    },
  }
}

let hub: MemorySubscribers
complyEveryWay('memory broker', brokerCases, {
  type: 'broker',
  name: 'memory',
  file: 'broker/memory-broker',
  factory: 'memoryBroker',
  options: () => ({ hub: (hub = memorySubscribers()) }),
  subject: (broker) => subjectOf(broker, () => memoryBroker({ hub }, componentContext())),
})

let context: ComponentContext
const withRegistry = () =>
  (context = componentContext({ registry: memoryRegistry({ hub: memoryRegistryHub() }, componentContext()) }))
complyEveryWay('http broker', brokerCases, {
  type: 'broker',
  name: 'http',
  file: 'broker/http-broker',
  factory: 'httpBroker',
  context: withRegistry,
  subject: (broker) => subjectOf(broker, () => httpBroker(undefined, context)),
})

test('an envelope is go-micro’s, with header names in title case and sorted', () => {
  const text = encodeEnvelope('events', {
    header: { 'micro-id': 'b2a3', 'content-type': 'application/json' },
    body: Buffer.from('{"a":1}'),
  })
  assert.equal(
    text,
    '{"Header":{"Content-Type":"application/json","Micro-Id":"b2a3","Micro-Topic":"events"},"Body":"eyJhIjoxfQ=="}',
  )
  const { topic, message } = decodeEnvelope(text)
  assert.equal(topic, 'events')
  assert.deepEqual(message.header, { 'content-type': 'application/json', 'micro-id': 'b2a3' })
  assert.equal(Buffer.from(message.body).toString(), '{"a":1}')
  assert.equal(decodeEnvelope('{"Header":null,"Body":null}').message.body.length, 0)
  for (const bad of ['', 'x', '[]', '7', '{"Header":{"a":1},"Body":""}', '{"Header":{},"Body":7}'])
    assert.throws(() => decodeEnvelope(bad), { code: 'bad-request' }, bad)
})

async function post(
  address: string,
  options: { method?: string; path?: string; body?: string },
): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(`http://${address}`)
  return new Promise((resolve, reject) => {
    const { method = 'POST', path = '/?id=none', body = '{}' } = options
    const sent = request({ host: hostname, port, method, path }, (response) => {
      let text = ''
      response.on('data', (chunk) => (text += String(chunk)))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

async function subscribed(
  options?: HttpBrokerOptions,
): Promise<{ broker: Broker; address: string; id: string; got: string[] }> {
  const broker = httpBroker(options, withRegistry())
  const got: string[] = []
  await broker.subscribe('t', async ({ message }) => void got.push(Buffer.from(message.body).toString()))
  const [record] = await context.use('registry').get('micro.http.broker')
  const node = record?.nodes[0]
  assert.ok(node)
  const { id, address, metadata } = node
  assert.deepEqual({ ...metadata }, { secure: 'false', broker: 'http', topic: 't', pipeline: '256' })
  assert.equal(record?.version, 'ff.http.broadcast')
  return { broker, address, id, got }
}

test('a subscription of the http broker stands in the registry as go-micro’s does, and takes its messages', async () => {
  const { broker, address, id, got } = await subscribed()
  await using _ = broker
  const path = `/?id=${encodeURIComponent(id)}`
  assert.deepEqual(
    await post(address, { path, body: encodeEnvelope('t', { header: {}, body: Buffer.from('hi') }) }),
    { status: 200, body: '' },
  )
  await until('it is delivered', () => got.length === 1)
  assert.deepEqual(got, ['hi'])
})

test('the http broker refuses what is no message, with go-micro’s error, and goes on', async () => {
  const { broker, address, id, got } = await subscribed({ maxMessageBytes: 1000 })
  await using _ = broker
  const path = `/?id=${encodeURIComponent(id)}`
  const cases: [Parameters<typeof post>[1], number][] = [
    [{ method: 'GET', path }, 405],
    [{ path, body: 'x' }, 400],
    [{ path: '/?id=other', body: '{}' }, 404],
    [{ path, body: encodeEnvelope('t', { header: {}, body: Buffer.alloc(50_000) }) }, 413],
  ]
  for (const [options, status] of cases) {
    const answer = await post(address, options)
    assert.equal(answer.status, status)
    assert.equal((JSON.parse(answer.body) as { id: string }).id, 'go.micro.broker')
  }
  await assert.rejects(broker.publish('t', { header: {}, body: new Uint8Array(1001) }), { code: 'too-large' })
  await broker.publish('t', { header: {}, body: Buffer.from('still here') })
  await until('it is delivered', () => got.length === 1)
})

test('a subscription that does not keep up tells the publisher so, and no more waits than its inbox holds', async () => {
  const broker = httpBroker({ inboxSize: 2 }, withRegistry())
  let release = () => undefined as void
  const held = new Promise<void>((resolve) => (release = resolve))
  let handled = 0
  await broker.subscribe('t', async () => {
    await held
    handled++
  })
  const publish = () => broker.publish('t', { header: {}, body: new Uint8Array() })
  for (let i = 0; i < 3; i++) await publish()
  await assert.rejects(publish(), { code: 'overloaded' })
  release()
  await broker[Symbol.asyncDispose]()
  assert.equal(handled, 3)
})

test('an address that is none, and one that is taken, are refused with the flag to change it', async () => {
  assert.throws(() => httpBroker({ addresses: ['a:b:c'] }, withRegistry()), {
    code: 'invalid-option',
    message: /"a:b:c"/,
  })
  const { broker, address } = await subscribed()
  await using _ = broker
  await using second = httpBroker({ addresses: [address] }, withRegistry())
  await assert.rejects(
    second.subscribe('t', async () => undefined),
    { code: 'conflict', message: /--broker_address/ },
  )
})

test('a message that only one of a queue can take goes to that one', async () => {
  await using broker = memoryBroker({ hub: memorySubscribers(), inboxSize: 1 }, componentContext())
  let release = () => undefined as void
  const held = new Promise<void>((resolve) => (release = resolve))
  let quick = 0
  await broker.subscribe('t', () => held, { queue: 'workers' })
  await broker.subscribe('t', async () => void quick++, { queue: 'workers' })
  for (let i = 0; i < 20; i++) {
    await broker.publish('t', { header: {}, body: new Uint8Array() })
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(quick, 18)
  release()
})
