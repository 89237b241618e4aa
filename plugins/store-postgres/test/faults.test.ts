import { Plugin } from '@micrograft/store-postgres'
import { postgres, storeFaults } from '@micrograft/test-support'
import { Client } from 'pg'

storeFaults('postgres store', {
  kind: postgres,
  plugin: Plugin,
  password: 'secret',
  options: (port, timeoutMs) => ({
    addresses: [`postgres://micrograft:secret@127.0.0.1:${port}/postgres`],
    table: 'faults',
    timeoutMs,
  }),
  async setPassword(port, password, before) {
    const client = new Client({
      host: '127.0.0.1',
      port,
      user: 'micrograft',
      password: before,
      database: 'postgres',
    })
    await client.connect()
    await client.query(`ALTER USER micrograft PASSWORD '${password}'`)
    await client.end()
  },
})
