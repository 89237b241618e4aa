import { randomUUID } from 'node:crypto'
import { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Broker } from '@micrograft/contracts'
import { Plugin, type MqttBrokerOptions } from '@micrograft/broker-mqtt'
import { complyPlugin, mosquitto, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { brokerCases, componentContext, type BrokerSubject } from '@micrograft/testing'

const reason = unusable(mosquitto)
let server: TestServer | undefined
before(async () => {
  if (reason === undefined) server = await usableServer(mosquitto)
})
after(() => server?.[Symbol.asyncDispose]())

const open = Plugin.newFunc as unknown as (
  options: MqttBrokerOptions,
  context: ReturnType<typeof componentContext>,
) => Promise<Broker>

let options: MqttBrokerOptions = {}
complyPlugin('mqtt broker', brokerCases, {
  plugin: Plugin,
  entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
  // A prefix each: what one case publishes, no other hears.
  options: () => (options = { addresses: [server?.address ?? ''], prefix: `case-${randomUUID()}` }),
  subject: (broker): BrokerSubject => {
    const others: Broker[] = []
    const mine = options
    return {
      broker,
      another: async () => {
        const other = await open(mine, componentContext())
        others.push(other)
        return other
      },
      [Symbol.asyncDispose]: async () => {
        for (const each of [...others, broker]) await each[Symbol.asyncDispose]()
      },
    }
  },
  skip: reason === undefined ? {} : Object.fromEntries(brokerCases.map(({ name }) => [name, reason])),
})
