import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Plugin } from '@micrograft/store-postgres'
import { complyPlugin, missing, postgres, ServerProcess } from '@micrograft/test-support'
import { storeCases } from '@micrograft/testing'

const reason = missing(postgres)
if (reason !== undefined) test('postgres store', { skip: reason })
else {
  let server: ServerProcess
  let cases = 0
  before(async () => (server = await ServerProcess.start(postgres)))
  after(() => server[Symbol.asyncDispose]())
  complyPlugin('postgres store', storeCases, {
    plugin: Plugin,
    entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
    options: () => ({
      addresses: [`postgres://micrograft:secret@127.0.0.1:${server.port}/postgres`],
      table: `case ${++cases}`,
    }),
  })
}
