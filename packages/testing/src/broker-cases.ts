import assert from 'node:assert/strict'
import type { Broker, BrokerMessage, Delivery } from '@micrograft/contracts'
import type { Case } from './case.js'
import { pause, until } from './wait.js'

/** A broker, and others that hear what it publishes; disposing disposes all. */
export interface BrokerSubject extends AsyncDisposable {
  readonly broker: Broker
  /** Another instance on the same backend, as another process would have it. */
  another(): Promise<Broker>
}

const message = (body: string, header: Record<string, string> = {}): BrokerMessage => ({
  header,
  body: new TextEncoder().encode(body),
})
const bodyOf = ({ message: { body } }: Delivery) => new TextDecoder().decode(body)
const closed = { code: 'closed' }

function collector(): { readonly got: string[]; readonly handle: (delivery: Delivery) => Promise<void> } {
  const got: string[] = []
  return { got, handle: async (delivery) => void got.push(bodyOf(delivery)) }
}

/** What every broker promises. */
export const brokerCases: readonly Case<BrokerSubject>[] = [
  {
    name: 'delivers what is published, with its headers and bytes as they were',
    async run({ broker }) {
      const deliveries: Delivery[] = []
      await broker.subscribe('orders.new', async (delivery) => void deliveries.push(delivery))
      const body = Uint8Array.from({ length: 256 }, (_, i) => i)
      const header = { 'content-type': 'application/json', 'x-note': 'ü and "quotes"' }
      await broker.publish('orders.new', { header, body })
      await until('it is delivered', () => deliveries.length === 1)
      const [delivery] = deliveries as [Delivery]
      assert.equal(delivery.topic, 'orders.new')
      assert.deepEqual([...delivery.message.body], [...body])
      for (const [name, value] of Object.entries(header)) assert.equal(delivery.message.header[name], value)
      assert.equal(delivery.redelivered, 0)
    },
  },
  {
    name: 'delivers to every subscription without a queue, also of another instance, and of that topic alone',
    async run({ broker, another }) {
      const other = await another()
      const [a, b, c, elsewhere] = [collector(), collector(), collector(), collector()]
      await broker.subscribe('t', a.handle)
      await broker.subscribe('t', b.handle)
      await other.subscribe('t', c.handle)
      await other.subscribe('u', elsewhere.handle)
      await broker.publish('t', message('1'))
      await other.publish('t', message('2'))
      await until('all have both', () => [a, b, c].every(({ got }) => got.length === 2))
      for (const { got } of [a, b, c]) assert.deepEqual([...got].sort(), ['1', '2'])
      assert.deepEqual(elsewhere.got, [])
    },
  },
  {
    name: 'delivers to one of a queue, and to one of each queue',
    async run({ broker, another }) {
      const other = await another()
      const [a1, a2, b, all] = [collector(), collector(), collector(), collector()]
      await broker.subscribe('t', a1.handle, { queue: 'a' })
      await other.subscribe('t', a2.handle, { queue: 'a' })
      await other.subscribe('t', b.handle, { queue: 'b' })
      await other.subscribe('t', all.handle)
      const sent = Array.from({ length: 40 }, (_, i) => String(i).padStart(2, '0'))
      for (const each of sent) await broker.publish('t', message(each))
      await until(
        'all are delivered',
        () => a1.got.length + a2.got.length >= 40 && b.got.length >= 40 && all.got.length >= 40,
      )
      assert.deepEqual([...a1.got, ...a2.got].sort(), sent)
      assert.deepEqual([...b.got].sort(), sent)
      assert.deepEqual([...all.got].sort(), sent)
    },
  },
  {
    name: 'keeps the order of one publisher, and hands over one message at a time',
    async run({ broker }) {
      if (!broker.capabilities.ordered) return
      const got: string[] = []
      let running = 0
      let most = 0
      await broker.subscribe('t', async (delivery) => {
        most = Math.max(most, ++running)
        await pause(1)
        got.push(bodyOf(delivery))
        running--
      })
      const sent = Array.from({ length: 50 }, (_, i) => String(i))
      for (const each of sent) await broker.publish('t', message(each))
      await until('all are delivered', () => got.length === 50)
      assert.deepEqual(got, sent)
      assert.equal(most, 1)
    },
  },
  {
    name: 'hands over as many at a time as concurrency says',
    async run({ broker }) {
      let running = 0
      let most = 0
      const done: number[] = []
      const release: (() => void)[] = []
      await broker.subscribe(
        't',
        async () => {
          most = Math.max(most, ++running)
          await new Promise<void>((resolve) => release.push(resolve))
          running--
          done.push(running)
        },
        { concurrency: 3 },
      )
      for (let i = 0; i < 7; i++) await broker.publish('t', message(String(i)))
      while (done.length < 7) {
        await until('three run, or what is left', () => running === Math.min(3, 7 - done.length))
        for (const each of release.splice(0)) each()
        await pause(1)
      }
      assert.equal(most, 3)
    },
  },
  {
    name: 'tells onError what a handler rejects with, and goes on with the next message',
    async run({ broker }) {
      const failed: [string, string][] = []
      const got: string[] = []
      await broker.subscribe(
        't',
        async (delivery) => {
          const body = bodyOf(delivery)
          if (body === 'bad' && delivery.redelivered === 0) throw new Error('cannot')
          // Anything can be thrown, even what has no text.
          if (body === 'odd' && delivery.redelivered === 0) throw Object.create(null)
          got.push(body)
        },
        {
          onError: (error, delivery) =>
            failed.push([error.message, delivery === undefined ? '' : bodyOf(delivery)]),
        },
      )
      for (const body of ['bad', 'odd', 'good']) await broker.publish('t', message(body))
      await until('the next is handled', () => got.includes('good'))
      assert.deepEqual(failed[0], ['cannot', 'bad'])
      assert.equal(failed[1]?.[1], 'odd')
      if (broker.capabilities.redelivery)
        await until('the bad ones are delivered again', () => got.includes('bad') && got.includes('odd'))
    },
  },
  {
    name: 'delivers nothing more once a subscription is disposed, which waits for what is under way',
    async run({ broker }) {
      let release = () => undefined as void
      let started = 0
      let ended = 0
      const subscription = await broker.subscribe('t', async () => {
        started++
        await new Promise<void>((resolve) => (release = resolve))
        ended++
      })
      assert.equal(subscription.topic, 't')
      await broker.publish('t', message('1'))
      await until('it is under way', () => started === 1)
      const disposed = subscription[Symbol.asyncDispose]()
      release()
      await disposed
      assert.equal(ended, 1)
      await broker.publish('t', message('2'))
      await subscription[Symbol.asyncDispose]()
      await pause(20)
      assert.equal(started, 1)
    },
  },
  {
    name: 'takes a message that nobody subscribes to',
    async run({ broker }) {
      await broker.publish('nobody', message('1'))
    },
  },
  {
    name: 'gives each subscriber bytes of its own, and leaves the publisher’s alone',
    async run({ broker }) {
      const seen: string[] = []
      const spoil = async (delivery: Delivery) => {
        seen.push(bodyOf(delivery))
        delivery.message.body.fill(0)
      }
      await broker.subscribe('t', spoil)
      await broker.subscribe('t', spoil)
      const body = new TextEncoder().encode('mine')
      await broker.publish('t', { header: {}, body })
      await until('both are told', () => seen.length === 2)
      assert.deepEqual(seen, ['mine', 'mine'])
      assert.equal(new TextDecoder().decode(body), 'mine')
    },
  },
  {
    name: 'refuses a topic or a queue that is none with bad-request, and a concurrency with invalid-option',
    async run({ broker }) {
      const nothing = async () => undefined
      for (const topic of ['', 'a b', 'a*', 'a#', 'x'.repeat(256), 'ü']) {
        await assert.rejects(broker.publish(topic, message('1')), { code: 'bad-request' }, topic)
        await assert.rejects(broker.subscribe(topic, nothing), { code: 'bad-request' }, topic)
      }
      await assert.rejects(broker.subscribe('t', nothing, { queue: 'a b' }), { code: 'bad-request' })
      for (const concurrency of [0, -1, 1.5])
        await assert.rejects(broker.subscribe('t', nothing, { concurrency }), { code: 'invalid-option' })
    },
  },
  {
    name: 'rejects with the reason of a signal that is aborted',
    async run({ broker }) {
      const reason = new Error('enough')
      const signal = AbortSignal.abort(reason)
      await assert.rejects(broker.publish('t', message('1'), { signal }), reason)
      await assert.rejects(
        broker.subscribe('t', async () => undefined, { signal }),
        reason,
      )
    },
  },
  {
    name: 'rejects with closed after it was disposed, which is safe twice, at the same time, and with subscriptions',
    async run({ broker }) {
      await broker.subscribe('t', async () => undefined)
      await Promise.all([broker[Symbol.asyncDispose](), broker[Symbol.asyncDispose]()])
      await broker[Symbol.asyncDispose]()
      await assert.rejects(broker.publish('t', message('1')), closed)
      await assert.rejects(
        broker.subscribe('t', async () => undefined),
        closed,
      )
    },
  },
]
