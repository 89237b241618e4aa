import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ServerKind } from '../server-process.js'
import { unprivileged } from '../unprivileged.js'

const run = promisify(execFile)

/** What every start makes sure of. */
const accounts = `
CREATE DATABASE IF NOT EXISTS micrograft;
CREATE USER IF NOT EXISTS 'micrograft'@'127.0.0.1' IDENTIFIED BY 'secret';
GRANT ALL ON *.* TO 'micrograft'@'127.0.0.1' WITH GRANT OPTION;
`

/** MariaDB with the database and account `micrograft` and its password `secret`; over TCP alone. */
export const mariadb: ServerKind = {
  name: 'MariaDB',
  url: 'mysql://micrograft:secret@127.0.0.1/micrograft',
  program: 'mariadbd',
  get user() {
    return unprivileged()
  },
  async arguments({ folder, port }) {
    const data = join(folder, 'data')
    const init = join(folder, 'init.sql')
    // A server that starts deletes what others have in the folder for temporary tables.
    const temporary = `--tmpdir=${folder}`
    if (!existsSync(data)) {
      const user = unprivileged()
      if (user) await chown(folder, user.uid, user.gid)
      await run(
        'mariadb-install-db',
        [
          '--no-defaults',
          `--datadir=${data}`,
          temporary,
          '--auth-root-authentication-method=normal',
          '--skip-test-db',
        ],
        { ...user, cwd: folder },
      )
      await writeFile(init, accounts)
    }
    return [
      '--no-defaults',
      `--datadir=${data}`,
      `--init-file=${init}`,
      temporary,
      `--socket=${join(folder, 'socket')}`,
      `--pid-file=${join(folder, 'pid')}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      '--skip-name-resolve',
      '--innodb-buffer-pool-size=16M',
      '--performance-schema=OFF',
    ]
  },
}
