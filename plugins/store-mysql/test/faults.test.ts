import { Plugin } from '@micrograft/store-mysql'
import { mariadb, storeFaults } from '@micrograft/test-support'
import { createConnection } from 'mysql2/promise'

storeFaults('mysql store', {
  kind: mariadb,
  plugin: Plugin,
  password: 'secret',
  options: (port, timeoutMs) => ({
    addresses: [`mysql://micrograft:secret@127.0.0.1:${port}/micrograft`],
    table: 'faults',
    timeoutMs,
  }),
  async setPassword(port, password, before) {
    const connection = await createConnection({
      host: '127.0.0.1',
      port,
      user: 'micrograft',
      password: before,
    })
    await connection.query(`ALTER USER 'micrograft'@'127.0.0.1' IDENTIFIED BY '${password}'`)
    await connection.end()
  },
})
