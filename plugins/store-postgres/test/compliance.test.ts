import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Plugin } from '@micrograft/store-postgres'
import { complyPlugin, postgres, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { storeCases } from '@micrograft/testing'
import { freshDatabase, type Database } from './support/database.js'

const reason = unusable(postgres)
if (reason !== undefined) test('postgres store', { skip: reason })
else {
  let server: TestServer
  let database: Database
  let cases = 0
  before(async () => {
    server = await usableServer(postgres)
    database = await freshDatabase(server)
  })
  after(async () => {
    await database[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })
  complyPlugin('postgres store', storeCases, {
    plugin: Plugin,
    entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
    options: () => ({
      addresses: [database.address],
      table: `case ${++cases}`,
    }),
  })
}
