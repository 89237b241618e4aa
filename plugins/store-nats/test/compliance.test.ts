import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Plugin } from '@micrograft/store-nats'
import { complyPlugin, natsServer, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { storeCases } from '@micrograft/testing'
import { forget } from './support/nats.js'

const reason = unusable(natsServer())
if (reason !== undefined) {
  test('nats store', { skip: reason }, () => undefined)
} else {
  let server: TestServer
  before(async () => (server = await usableServer(natsServer())))
  const shared: string = randomUUID()
  const buckets = [shared]
  after(async () => {
    await forget(server, buckets)
    await server[Symbol.asyncDispose]()
  })

  const entry = fileURLToPath(new URL('../src/index.ts', import.meta.url))
  const options = (database: string = randomUUID()) => {
    buckets.push(database)
    return { addresses: [server.address], database, maxBytes: 10_000_000 }
  }
  complyPlugin('nats store', storeCases, { plugin: Plugin, entry, options: () => options() })
  // In one bucket: a table keeps its keys apart.
  complyPlugin('nats store with a table', storeCases, {
    plugin: Plugin,
    entry,
    options: () => ({ ...options(shared), table: randomUUID() }),
  })
}
