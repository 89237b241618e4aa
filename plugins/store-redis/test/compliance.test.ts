import { randomUUID } from 'node:crypto'
import { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Plugin } from '@micrograft/store-redis'
import { complyPlugin, redisServer, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { storeCases } from '@micrograft/testing'

const kind = redisServer()
const reason = unusable(kind)
let server: TestServer | undefined
before(async () => {
  if (reason === undefined) server = await usableServer(kind)
})
after(() => server?.[Symbol.asyncDispose]())

complyPlugin('redis store', storeCases, {
  plugin: Plugin,
  entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
  // A table each: what one case leaves behind is not there for the next.
  options: () => ({ addresses: [server?.address], table: `case-${randomUUID()}` }),
  skip: reason === undefined ? {} : Object.fromEntries(storeCases.map(({ name }) => [name, reason])),
})
