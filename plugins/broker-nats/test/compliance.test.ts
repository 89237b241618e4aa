import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Broker, ComponentContext } from '@micrograft/contracts'
import { Plugin, type NatsBrokerOptions } from '@micrograft/broker-nats'
import { complyPlugin, natsServer, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { brokerCases, componentContext, type BrokerSubject } from '@micrograft/testing'
import { forget } from './support/nats.js'

type Make = (options: NatsBrokerOptions, context: ComponentContext) => Promise<Broker>

const reason = unusable(natsServer())
if (reason !== undefined) {
  test('nats broker', { skip: reason }, () => undefined)
} else {
  let server: TestServer
  before(async () => (server = await usableServer(natsServer())))
  const streams: string[] = []
  after(async () => {
    await forget(server, streams)
    await server[Symbol.asyncDispose]()
  })

  let options: NatsBrokerOptions
  const subject = (broker: Broker): BrokerSubject => {
    const others: Broker[] = []
    const same = options
    return {
      broker,
      async another() {
        const other = await (Plugin.newFunc as unknown as Make)(same, componentContext())
        others.push(other)
        return other
      },
      async [Symbol.asyncDispose]() {
        for (const each of [broker, ...others]) await each[Symbol.asyncDispose]()
      },
    }
  }
  const entry = fileURLToPath(new URL('../src/index.ts', import.meta.url))
  const addresses = () => [server.address]

  complyPlugin('nats broker', brokerCases, {
    plugin: Plugin,
    entry,
    options: () => (options = { addresses: addresses(), prefix: randomUUID() }),
    subject,
  })
  complyPlugin('nats broker with JetStream', brokerCases, {
    plugin: Plugin,
    entry,
    options: () => {
      const name = randomUUID()
      streams.push(name)
      options = {
        addresses: addresses(),
        prefix: name,
        jetstream: { stream: name, storage: 'memory', maxBytes: 1_000_000 },
      }
      return options
    },
    subject,
  })
}
