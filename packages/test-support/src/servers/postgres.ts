import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ServerKind } from '../server-process.js'
import { unprivileged } from '../unprivileged.js'

const run = promisify(execFile)

/** PostgreSQL with the account `micrograft` and its password `secret`, whose it all is; over TCP alone. */
export const postgres: ServerKind = {
  name: 'PostgreSQL',
  url: 'postgres://micrograft:secret@127.0.0.1/postgres',
  get program() {
    return findProgram('postgres')
  },
  get user() {
    return unprivileged()
  },
  async arguments({ folder, port }) {
    const data = join(folder, 'data')
    if (!existsSync(data)) {
      const user = unprivileged()
      if (user) await chown(folder, user.uid, user.gid)
      const password = join(folder, 'password')
      await writeFile(password, 'secret', { mode: 0o644 })
      const account = ['-U', 'micrograft', `--pwfile=${password}`, '--auth=scram-sha-256']
      await run(
        findProgram('initdb'),
        ['-D', data, ...account, '--encoding=UTF8', '--locale=C', '--no-sync'],
        { ...user, cwd: folder, env: { PATH: process.env['PATH'], LC_ALL: 'C' } },
      )
    }
    const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off']
    return ['-D', data, '-p', String(port), ...settings.flatMap((each) => ['-c', each])]
  },
  env: () => ({ LC_ALL: 'C' }),
  ready: ({ port }) => run(findProgram('pg_isready'), ['-h', '127.0.0.1', '-p', String(port)]).then(),
}

/** Debian keeps every version's programs in a folder that is not in the PATH. */
function findProgram(name: string): string {
  const folder = '/usr/lib/postgresql'
  const versions = existsSync(folder) ? readdirSync(folder).sort((a, b) => Number(b) - Number(a)) : []
  const paths = versions.map((version) => join(folder, version, 'bin', name))
  return paths.find((path) => existsSync(path)) ?? name
}
