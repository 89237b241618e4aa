import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Plugin } from '@micrograft/store-mysql'
import { complyPlugin, mariadb, unusable, usableServer, type TestServer } from '@micrograft/test-support'
import { storeCases } from '@micrograft/testing'
import { freshDatabase, type Database } from './support/database.js'

const reason = unusable(mariadb)
if (reason !== undefined) test('mysql store', { skip: reason })
else {
  let server: TestServer
  let database: Database
  let cases = 0
  before(async () => {
    server = await usableServer(mariadb)
    database = await freshDatabase(server)
  })
  after(async () => {
    await database[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })
  complyPlugin('mysql store', storeCases, {
    plugin: Plugin,
    entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
    options: () => ({
      addresses: [database.address],
      table: `case ${++cases}`,
    }),
  })
}
