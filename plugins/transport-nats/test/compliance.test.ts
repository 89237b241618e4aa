import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { complyPlugin, missing, natsServer, ServerProcess } from '@micrograft/test-support'
import { transportCases } from '@micrograft/testing'
import { Plugin } from '@micrograft/transport-nats'

const limits = { maxMessageBytes: 100_000, maxQueuedBytes: 1_000_000, maxConnections: 3 }

const reason = missing(natsServer())
if (reason !== undefined) {
  test('nats transport', { skip: reason }, () => undefined)
} else {
  let server: ServerProcess
  before(async () => (server = await ServerProcess.start(natsServer())))
  after(() => server[Symbol.asyncDispose]())

  complyPlugin('nats transport', transportCases, {
    plugin: Plugin,
    entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
    options: () => ({ ...limits, addresses: [`127.0.0.1:${server.port}`] }),
    subject: (transport) => ({
      transport,
      address: '',
      nobody: 'nobody.listens.here',
      limits,
      [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
    }),
  })
}
