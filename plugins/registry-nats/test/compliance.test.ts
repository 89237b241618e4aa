import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { ComponentContext, Registry } from '@micrograft/contracts'
import { Plugin, type NatsRegistryOptions } from '@micrograft/registry-nats'
import { complyPlugin, natsServer, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { componentContext, registryCases, registrySubject } from '@micrograft/testing'

type Make = (options: NatsRegistryOptions, context: ComponentContext) => Promise<Registry>

const reason = unusable(natsServer())
if (reason !== undefined) {
  test('nats registry', { skip: reason }, () => undefined)
} else {
  let server: TestServer
  before(async () => (server = await usableServer(natsServer())))
  after(() => server[Symbol.asyncDispose]())

  let options: NatsRegistryOptions
  complyPlugin('nats registry', registryCases, {
    plugin: Plugin,
    entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
    options: () => (options = { addresses: [server.address], prefix: randomUUID(), queryMs: 60 }),
    subject: (registry) => {
      const same = options
      return registrySubject(registry, () => (Plugin.newFunc as unknown as Make)(same, componentContext()))
    },
  })
}
