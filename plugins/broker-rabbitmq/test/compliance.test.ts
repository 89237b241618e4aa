import { randomUUID } from 'node:crypto'
import { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Broker } from '@micrograft/contracts'
import { Plugin, type RabbitmqBrokerOptions } from '@micrograft/broker-rabbitmq'
import { complyPlugin, rabbitmq, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { brokerCases, componentContext, type BrokerSubject } from '@micrograft/testing'

const reason = unusable(rabbitmq)
let server: TestServer | undefined
before(async () => {
  if (reason === undefined) server = await usableServer(rabbitmq)
})
after(() => server?.[Symbol.asyncDispose]())

const open = Plugin.newFunc as unknown as (
  options: RabbitmqBrokerOptions,
  context: ReturnType<typeof componentContext>,
) => Promise<Broker>

let options: RabbitmqBrokerOptions = {}
complyPlugin('rabbitmq broker', brokerCases, {
  plugin: Plugin,
  entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
  // An exchange each: what one case publishes, no other hears.
  options: () =>
    (options = { addresses: [server?.address ?? ''], exchange: `case-${randomUUID()}`, retryMs: 20 }),
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
