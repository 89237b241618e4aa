import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Plugin } from '@micrograft/store-mysql'
import { complyPlugin, missing, mariadb, ServerProcess } from '@micrograft/test-support'
import { storeCases } from '@micrograft/testing'

const reason = missing(mariadb)
if (reason !== undefined) test('mysql store', { skip: reason })
else {
  let server: ServerProcess
  let cases = 0
  before(async () => (server = await ServerProcess.start(mariadb)))
  after(() => server[Symbol.asyncDispose]())
  complyPlugin('mysql store', storeCases, {
    plugin: Plugin,
    entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
    options: () => ({
      addresses: [`mysql://micrograft:secret@127.0.0.1:${server.port}/micrograft`],
      table: `case ${++cases}`,
    }),
  })
}
