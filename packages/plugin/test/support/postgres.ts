import { execFileSync, spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

const user = 'micrograft'

/** A PostgreSQL server of this test's own, which goes with it; skips the test where there is none to start. */
export async function postgres(t: TestContext): Promise<{ port: number; user: string } | undefined> {
  const programs = findPrograms()
  if (programs === undefined) {
    if (process.env['REQUIRE_BACKENDS'] === '1') throw new Error('there is no PostgreSQL on this machine')
    t.skip('there is no PostgreSQL in /usr/lib/postgresql')
    return undefined
  }
  const folder = await mkdtemp(join(tmpdir(), 'micrograft-postgres-'))
  let stop = async () => {}
  t.after(async () => {
    await stop()
    await rm(folder, { recursive: true, force: true })
  })
  const owner = unprivileged()
  if (owner) await chown(folder, owner.uid, owner.gid)
  const options = { ...owner, cwd: folder, env: { PATH: process.env['PATH'], LC_ALL: 'C' } }

  const folders = ['-D', join(folder, 'data')]
  const init = ['-U', user, '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync']
  execFileSync(join(programs, 'initdb'), [...folders, ...init], { ...options, stdio: 'ignore' })
  const port = await freePort()
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off']
  const server = spawn(
    join(programs, 'postgres'),
    [...folders, '-p', String(port), ...settings.flatMap((each) => ['-c', each])],
    { ...options, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const ended = new Promise<void>((resolve) => server.once('close', () => resolve()))
  stop = () => {
    // "Fast": it does not wait for clients.
    server.kill('SIGINT')
    return ended
  }
  await new Promise<void>((resolve, reject) => {
    let said = ''
    server.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.includes('ready to accept connections')) resolve()
    })
    void ended.then(() => reject(new Error(`PostgreSQL did not start: ${said}`)))
  })
  return { port, user }
}

function findPrograms(): string | undefined {
  try {
    const versions = readdirSync('/usr/lib/postgresql').sort((a, b) => Number(b) - Number(a))
    return versions.map((version) => `/usr/lib/postgresql/${version}/bin`)[0]
  } catch {
    return undefined
  }
}

/** Whom to run as where this process is root, whom PostgreSQL refuses. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string, name: string) => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }))
  return { uid: id('-u', 'nobody'), gid: id('-g', 'nobody') }
}

/** A port of 127.0.0.1 that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
