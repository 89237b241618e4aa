import { randomUUID } from 'node:crypto'
import { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Plugin } from '@micrograft/registry-redis'
import { complyPlugin, redisServer, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { componentContext, registryCases, registrySubject } from '@micrograft/testing'

const kind = redisServer()
const reason = unusable(kind)
let server: TestServer | undefined
before(async () => {
  if (reason === undefined) server = await usableServer(kind)
})
after(() => server?.[Symbol.asyncDispose]())

const run = randomUUID()
let cases = 0
const options = () => ({ addresses: [server?.address], prefix: `case-${run}-${cases}:` })

complyPlugin('redis registry', registryCases, {
  plugin: Plugin,
  entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
  // A prefix each: what one case leaves behind is not there for the next.
  options: () => {
    cases++
    return options()
  },
  subject: (registry) =>
    registrySubject(registry, async () => Plugin.newFunc(options() as never, componentContext())),
  skip: reason === undefined ? {} : Object.fromEntries(registryCases.map(({ name }) => [name, reason])),
})
