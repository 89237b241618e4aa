import { randomUUID } from 'node:crypto'
import { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Plugin } from '@micrograft/broker-redis'
import type { Broker } from '@micrograft/contracts'
import { complyPlugin, redisServer, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { brokerCases, componentContext, type BrokerSubject } from '@micrograft/testing'

const kind = redisServer()
const reason = unusable(kind)
let server: TestServer | undefined
before(async () => {
  if (reason === undefined) server = await usableServer(kind)
})
after(() => server?.[Symbol.asyncDispose]())

const run = randomUUID()
let cases = 0
const options = () => ({
  addresses: [server?.address],
  prefix: `case-${run}-${cases}:`,
  redeliveryDelayMs: 50,
  redeliveryCheckMs: 50,
})

function subject(broker: Broker): BrokerSubject {
  const all = [broker]
  return {
    broker,
    async another() {
      const other = await Plugin.newFunc(options() as never, componentContext())
      all.push(other)
      return other
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(all.map((each) => each[Symbol.asyncDispose]()))
    },
  }
}

complyPlugin('redis broker', brokerCases, {
  plugin: Plugin,
  entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
  // A prefix each: what one case leaves behind is not there for the next.
  options: () => {
    cases++
    return options()
  },
  subject,
  skip: reason === undefined ? {} : Object.fromEntries(brokerCases.map(({ name }) => [name, reason])),
})
