import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Plugin } from '@micrograft/store-nats'
import { complyPlugin, missing, natsServer, ServerProcess } from '@micrograft/test-support'
import { storeCases } from '@micrograft/testing'

const reason = missing(natsServer())
if (reason !== undefined) {
  test('nats store', { skip: reason }, () => undefined)
} else {
  let server: ServerProcess
  before(async () => (server = await ServerProcess.start(natsServer())))
  after(() => server[Symbol.asyncDispose]())

  const entry = fileURLToPath(new URL('../src/index.ts', import.meta.url))
  const options = () => ({
    addresses: [`127.0.0.1:${server.port}`],
    database: randomUUID(),
    maxBytes: 10_000_000,
  })
  complyPlugin('nats store', storeCases, { plugin: Plugin, entry, options })
  // In one bucket: a table keeps its keys apart.
  complyPlugin('nats store with a table', storeCases, {
    plugin: Plugin,
    entry,
    options: () => ({ ...options(), database: 'shared', table: randomUUID() }),
  })
}
