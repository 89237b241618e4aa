import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

test(
  'tells the story of the seed, ends by itself and leaves nothing behind',
  { timeout: 60_000 },
  async (t) => {
    const temporary = await mkdtemp(join(tmpdir(), 'micrograft-story-'))
    t.after(() => rm(temporary, { recursive: true, force: true }))
    const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))
    const env = { ...process.env, TMPDIR: temporary, TEMP: temporary, TMP: temporary }
    const child = spawn(process.execPath, [main], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      signal: t.signal,
    })
    const [stdout, stderr, [status]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ])
    assert.equal(stderr, '')
    assert.equal(status, 0)
    assert.deepEqual(await readdir(temporary), [])

    // Times and numbers of calls differ from run to run; that some calls reached each version does not.
    const told = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/\d+\.\d ms$/, 'TIME').replace(/[1-9]\d{2,}/g, 'MANY'))
    assert.deepEqual(told, [
      '  1. build testplugin_v1 from TypeScript',
      '     TIME',
      '  2. build testplugin_v2 from TypeScript',
      '     TIME',
      '  3. open testplugin_v1: its module code runs',
      'world',
      '     TIME',
      '  4. look up Hello and call it',
      'hello',
      '     TIME',
      '  5. watch the directory of testplugin_v1',
      '     TIME',
      '  6. put testplugin_v2 into that directory, while a loop keeps calling Hello',
      'world of v2',
      '     TIME',
      '  7. call the same Hello again',
      'hello from v2',
      '     TIME',
      '  calls made meanwhile: MANY (v1 MANY, v2 MANY), failed: 0',
    ])
  },
)
