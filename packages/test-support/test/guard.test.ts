import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { test } from 'node:test'
import { missing, postgres, redisServer, ServerProcess } from '@micrograft/test-support'
import { until } from '@micrograft/testing'

/** Processes that work in a folder, or have it in their command line. */
function running(folder: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      try {
        const where = readlinkSync(`/proc/${pid}/cwd`) + readFileSync(`/proc/${pid}/cmdline`, 'utf8')
        return where.includes(folder)
      } catch {
        return false
      }
    })
}

const elsewhere = existsSync('/proc/self/cmdline') ? undefined : 'needs /proc, to see what runs'

for (const [name, kind, then] of [
  ['a server', 'redisServer()', ''],
  ['a server of several process groups that stands still', 'postgres', 'server.pause()'],
] as const) {
  const skip = missing(kind === 'postgres' ? postgres : redisServer()) ?? elsewhere ?? false
  test(`${name} ends with the process that started it, when that is killed`, { skip }, async (t) => {
    const program = `
      import { postgres, redisServer, ServerProcess } from '@micrograft/test-support'
      const server = await ServerProcess.start(${kind})
      ${then}
      console.log(server.folder)
      setInterval(() => undefined, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    })
    t.after(() => child.kill('SIGKILL'))
    const [said] = (await once(child.stdout, 'data')) as [Buffer]
    const folder = said.toString().trim()
    assert.ok(existsSync(folder))
    assert.ok(running(folder).length > 1, 'the server, and its guard')
    // Its whole group, as a terminal or a runner of tests does it.
    process.kill(-(child.pid as number), 'SIGKILL')
    await until('nothing of it runs', () => running(folder).length === 0)
    await until('its folder is gone', () => !existsSync(folder))
  })
}

test(
  'a server that was ended has no guard any more',
  { skip: missing(redisServer()) ?? elsewhere ?? false },
  async () => {
    const server = await ServerProcess.start(redisServer())
    const { folder } = server
    await server.kill()
    await until('its guard has ended', () => running(folder).length === 0)
    assert.ok(existsSync(folder), 'for the next start')
    await server.start()
    await server[Symbol.asyncDispose]()
    await until('so has the next one', () => running(folder).length === 0)
  },
)
