import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { bin, commandLine } from './support/command-line.js'

test(
  'says in one line that its output cannot be written, with status 1',
  { skip: !existsSync('/dev/full') && 'needs /dev/full' },
  async (t) => {
    const { write, folder } = await commandLine(t)
    await write('hello.ts', `export const Hello = 1\n`)
    for (const args of [['build', 'hello.ts'], ['build', 'hello.ts', '--json'], ['--version']]) {
      const full = await open('/dev/full', 'w')
      const child = spawn(process.execPath, [bin, ...args], {
        cwd: folder,
        stdio: ['ignore', full.fd, 'pipe'],
      })
      const [stderr, [status]] = await Promise.all([text(child.stderr as Readable), once(child, 'close')])
      await full.close()
      const says = args.includes('--json')
        ? /^\{"error":\{"code":"write-failed","message":"cannot write to standard output: .*ENOSPC.*\}\n$/
        : /^micrograft: cannot write to standard output: .*ENOSPC.* \[write-failed\]\n$/
      assert.match(stderr, says)
      assert.equal(status, 1)
    }
  },
)

test('keeps its exit status where nobody reads its errors', async (t) => {
  const { folder } = await commandLine(t)
  for (const [args, expected] of [
    [['inspect', 'none.plugin.cjs'], 1],
    [['bild'], 2],
  ] as const) {
    const child = spawn(process.execPath, [bin, ...args], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    child.stderr.destroy()
    const [status] = (await once(child, 'close')) as [number | null]
    assert.equal(status, expected)
  }
})

test('escapes what a terminal would obey, in JSON too', async (t) => {
  const { micrograft, write } = await commandLine(t)
  const odd = 'odd\u009b31m\u202e.ts'
  await write(odd, `export const Hello = 1\n`)
  const { stdout, status } = await micrograft(
    'build',
    odd,
    '--name',
    'odd',
    '-o',
    'o\u009bdd.plugin.cjs',
    '--json',
  )
  assert.equal(status, 0)
  assert.doesNotMatch(stdout, /[\u0080-\u009f\u202a-\u202e]/)
  assert.match((JSON.parse(stdout) as { path: string }).path, /o\u009bdd\.plugin\.cjs$/)
})
