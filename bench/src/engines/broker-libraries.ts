import { AckPolicy, jetstream, jetstreamManager, RetentionPolicy } from '@nats-io/jetstream'
import { connect as connectNats } from '@nats-io/transport-node'
import { connectAsync } from 'mqtt'
import { Connection } from 'rabbitmq-client'
import { createClient } from 'redis'
import { concurrency, queue, topic, type BrokerSide } from './broker-side.js'

// Each engine as its client library's documentation uses it, with the promises that the plugin gives: what
// is published is at the server when its promise resolves, and each message is acknowledged by itself.

async function nats(address: string): Promise<BrokerSide> {
  const connection = await connectNats({ servers: address })
  return {
    async publish(body) {
      connection.publish(topic, body)
      await connection.flush()
    },
    async subscribe(take) {
      connection.subscribe(topic, { queue, callback: take })
      await connection.flush()
    },
  }
}

async function natsJetStream(address: string): Promise<BrokerSide> {
  const connection = await connectNats({ servers: address })
  const client = jetstream(connection)
  const subject = `library.${topic}`
  const stream = `library-${topic}`
  return {
    publish: (body) => client.publish(subject, body),
    async subscribe(take) {
      const manager = await jetstreamManager(connection)
      await manager.streams.add({
        name: stream,
        subjects: [subject],
        retention: RetentionPolicy.Interest,
      })
      await manager.consumers.add(stream, { durable_name: queue, ack_policy: AckPolicy.Explicit })
      const consumer = await client.consumers.get(stream, queue)
      await consumer.consume({
        callback: (message) => {
          take()
          message.ack()
        },
      })
    },
  }
}

async function redis(address: string): Promise<BrokerSide> {
  const client = createClient({ url: address })
  const reader = createClient({ url: address })
  await Promise.all([client.connect(), reader.connect()])
  const key = `library:${topic}`
  return {
    publish: (body) => client.xAdd(key, '*', { body: Buffer.from(body) }),
    async subscribe(take) {
      await client.xGroupCreate(key, queue, '$', { MKSTREAM: true })
      void (async () => {
        for (;;) {
          const read = await reader.xReadGroup(
            queue,
            'one',
            { key, id: '>' },
            { COUNT: concurrency, BLOCK: 1000 },
          )
          const [stream] = (read ?? []) as { readonly messages: readonly { readonly id: string }[] }[]
          for (const { id } of stream?.messages ?? []) {
            take()
            void client.xAck(key, queue, id)
          }
        }
      })()
    },
  }
}

async function rabbitmq(address: string): Promise<BrokerSide> {
  const exchange = 'library'
  const exchanges = [{ exchange, type: 'topic', durable: true }]
  // One to publish and one to consume, as RabbitMQ advises.
  const [publishing, consuming] = [new Connection(address), new Connection(address)]
  const publisher = publishing.createPublisher({ confirm: true, exchanges })
  return {
    publish: (body) =>
      publisher.send({ exchange, routingKey: topic, durable: true }, Buffer.from(body)) as Promise<void>,
    async subscribe(take) {
      const consumer = consuming.createConsumer(
        {
          queue: `library-${topic}`,
          queueOptions: { durable: true },
          exchanges,
          queueBindings: [{ exchange, routingKey: topic }],
          concurrency,
          qos: { prefetchCount: concurrency },
        },
        async () => take(),
      )
      await new Promise<void>((resolve) => consumer.once('ready', resolve))
    },
  }
}

async function mqtt(address: string): Promise<BrokerSide> {
  const options = { protocolVersion: 5 } as const
  const [publisher, subscriber] = await Promise.all([
    connectAsync(address, options),
    connectAsync(address, options),
  ])
  // A client has no more under way than the server says (MQTT 5 §4.9), which the library leaves to its user.
  const atMost = limited(publisher.serverProperties?.receiveMaximum ?? 65_535)
  return {
    publish: (body) =>
      atMost(() => publisher.publishAsync(`library/${topic}`, Buffer.from(body), { qos: 1 })),
    async subscribe(take) {
      subscriber.on('message', take)
      await subscriber.subscribeAsync(`$share/${queue}/library/${topic}`, { qos: 1 })
    },
  }
}

/** Runs calls in the order in which it is given them, so many at a time. */
function limited(most: number): <T>(call: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async (call) => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await call()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}

export const brokerLibraries: Readonly<Record<string, (address: string) => Promise<BrokerSide>>> = {
  nats,
  jetstream: natsJetStream,
  redis,
  rabbitmq,
  mqtt,
}
