import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Plugin } from '@micrograft/store-sqlite'
import { complyPlugin } from '@micrograft/test-support'
import { storeCases } from '@micrograft/testing'
import { withoutSqlite } from './support/without-sqlite.js'

if (withoutSqlite) test('sqlite store', { skip: withoutSqlite })
else {
  let folder: string
  let cases = 0
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'micrograft-sqlite-'))))
  after(() => rm(folder, { recursive: true }))
  complyPlugin('sqlite store', storeCases, {
    plugin: Plugin,
    entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
    options: () => ({ addresses: [folder], table: `case "${++cases}"` }),
  })
}
