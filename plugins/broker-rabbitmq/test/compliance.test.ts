import { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Broker } from '@micrograft/contracts'
import { Plugin, type RabbitmqBrokerOptions } from '@micrograft/broker-rabbitmq'
import { complyPlugin, missing, rabbitmq, ServerProcess } from '@micrograft/test-support'
import { brokerCases, componentContext, type BrokerSubject } from '@micrograft/testing'

const reason = missing(rabbitmq)
let server: ServerProcess | undefined
before(async () => {
  if (reason === undefined) server = await ServerProcess.start(rabbitmq)
})
after(() => server?.[Symbol.asyncDispose]())

const open = Plugin.newFunc as unknown as (
  options: RabbitmqBrokerOptions,
  context: ReturnType<typeof componentContext>,
) => Promise<Broker>

let cases = 0
let options: RabbitmqBrokerOptions = {}
complyPlugin('rabbitmq broker', brokerCases, {
  plugin: Plugin,
  entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
  // An exchange each: what one case publishes, no other hears.
  options: () =>
    (options = { addresses: [`127.0.0.1:${server?.port}`], exchange: `case-${cases++}`, retryMs: 20 }),
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
