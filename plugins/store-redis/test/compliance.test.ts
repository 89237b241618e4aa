import { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Plugin } from '@micrograft/store-redis'
import { complyPlugin, missing, redisServer, ServerProcess } from '@micrograft/test-support'
import { storeCases } from '@micrograft/testing'

const kind = redisServer()
const reason = missing(kind)
let server: ServerProcess | undefined
before(async () => {
  if (reason === undefined) server = await ServerProcess.start(kind)
})
after(() => server?.[Symbol.asyncDispose]())

let cases = 0
complyPlugin('redis store', storeCases, {
  plugin: Plugin,
  entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
  // A table each: what one case leaves behind is not there for the next.
  options: () => ({ addresses: [`127.0.0.1:${server?.port}`], table: `case-${cases++}` }),
  skip: reason === undefined ? {} : Object.fromEntries(storeCases.map(({ name }) => [name, reason])),
})
