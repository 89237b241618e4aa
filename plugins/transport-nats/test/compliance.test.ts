import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { complyPlugin, natsServer, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { transportCases } from '@micrograft/testing'
import { Plugin } from '@micrograft/transport-nats'

const limits = { maxMessageBytes: 100_000, maxQueuedBytes: 1_000_000, maxConnections: 3 }

const reason = unusable(natsServer())
if (reason !== undefined) {
  test('nats transport', { skip: reason }, () => undefined)
} else {
  let server: TestServer
  before(async () => (server = await usableServer(natsServer())))
  after(() => server[Symbol.asyncDispose]())

  complyPlugin('nats transport', transportCases, {
    plugin: Plugin,
    entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
    options: () => ({ ...limits, addresses: [server.address] }),
    subject: (transport) => ({
      transport,
      address: '',
      nobody: 'nobody.listens.here',
      limits,
      [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
    }),
  })
}
