import { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Plugin } from '@micrograft/registry-redis'
import { complyPlugin, missing, redisServer, ServerProcess } from '@micrograft/test-support'
import { componentContext, registryCases, registrySubject } from '@micrograft/testing'

const kind = redisServer()
const reason = missing(kind)
let server: ServerProcess | undefined
before(async () => {
  if (reason === undefined) server = await ServerProcess.start(kind)
})
after(() => server?.[Symbol.asyncDispose]())

let cases = 0
const options = () => ({ addresses: [`127.0.0.1:${server?.port}`], prefix: `case-${cases}:` })

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
