import assert from 'node:assert/strict'
import { appendFileSync, utimesSync, type PathLike } from 'node:fs'
import { open, rename, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createPlatform, PluginError } from '@micrograft/plugin'
import { handMade } from './support/hand-made.js'
import { loneHost } from './support/lone-host.js'
import { meanwhile } from './support/meanwhile.js'
import { workshop, type Workshop } from './support/workshop.js'

/** Two versions of one length, so that a file that is half the one and half the other has that length too. */
function version(n: 1 | 2): Buffer {
  const padding = `// ${String(n).repeat(300_000)}\n`
  const code = `${padding}exports.first = ${n}\n${padding}exports.last = ${n}\n`
  return handMade({ manifest: { version: `${n}.0.0`, symbols: ['first', 'last'] }, code })
}

const [old, next] = [version(1), version(2)]
/** The hash in the header, which is what the plugin is known by. */
const ids = new Set([old, next].map((file) => file.toString('latin1', '/*!plugin 1 '.length).slice(0, 64)))

/** What a file that is being written to may be refused with. */
const refusals = [
  'changed-while-reading',
  'code-mismatch',
  'empty',
  'manifest-mismatch',
  'not-a-plugin',
  'truncated',
]

/** Opens `path` on a platform of its own, so that the code itself is run; gives its version or a code. */
async function openAlone(path: string): Promise<string> {
  const platform = createPlatform()
  try {
    const plugin = await platform.open<{ first: number; last: number }>(path)
    const { version } = plugin.manifest
    assert.ok(ids.has(plugin.id))
    assert.deepEqual([`${plugin.lookup('first')}.0.0`, `${plugin.lookup('last')}.0.0`], [version, version])
    return version
  } catch (error) {
    if (!(error instanceof PluginError)) throw error
    assert.equal(error.path, path)
    assert.ok(error.message.includes(path))
    return error.code
  } finally {
    await platform.close()
  }
}

/** Opens `path` 600 times, four at a time, while `write` writes to it; gives all that came of it. */
async function openWhileWriting(path: string, write: (round: number) => Promise<void>): Promise<Set<string>> {
  const results = new Set<string>()
  await meanwhile(write, async () => {
    for (let i = 0; i < 150; i++) {
      for (const result of await Promise.all(Array.from({ length: 4 }, () => openAlone(path)))) {
        results.add(result)
      }
    }
  })
  return results
}

async function versionOne(shop: Workshop): Promise<string> {
  assert.equal(old.length, next.length)
  return shop.write('file.plugin.cjs', old)
}

test('takes the old file or the new one, and nothing else, while one is renamed over the other', async (t) => {
  const shop = await workshop(t)
  const path = await versionOne(shop)
  const results = await openWhileWriting(path, async (round) => {
    const other = join(shop.folder, `round-${round}`)
    await writeFile(other, round % 2 === 0 ? next : old)
    await rename(other, path)
  })
  assert.deepEqual([...results].sort(), ['1.0.0', '2.0.0'])
})

test('takes the old file or the new one, or refuses, while one is written over the other in place', async (t) => {
  const shop = await workshop(t)
  const path = await versionOne(shop)
  const part = 50_000
  const results = await openWhileWriting(path, async (round) => {
    const content = round % 2 === 0 ? next : old
    const file = await open(path, 'r+')
    for (let at = 0; at < content.length; at += part) {
      await file.write(content, at, Math.min(part, content.length - at), at)
    }
    await file.close()
  })
  for (const result of results) assert.ok(['1.0.0', '2.0.0', ...refusals].includes(result), result)
})

test('takes the old file or the new one, or refuses, while one is emptied and written again', async (t) => {
  const shop = await workshop(t)
  const path = await versionOne(shop)
  const results = await openWhileWriting(path, async (round) => {
    await truncate(path)
    await writeFile(path, round % 2 === 0 ? next : old)
  })
  for (const result of results) assert.ok(['1.0.0', '2.0.0', ...refusals].includes(result), result)
})

test('refuses a file that is half the old one and half the new one, wherever they meet', async (t) => {
  const shop = await workshop(t)
  const { refuses } = await loneHost(shop)
  const codeStart = old.indexOf(10) + 2
  for (const [front, back] of [
    [old, next],
    [next, old],
  ] as const) {
    for (const at of [old.indexOf(10) + 1, codeStart, codeStart + 1, old.length >> 1, old.length - 3]) {
      const path = await shop.write(
        'mixed.plugin.cjs',
        Buffer.concat([front.subarray(0, at), back.subarray(at)]),
      )
      await refuses(path, 'code-mismatch', /changed or damaged; build it again, or copy it again/)
    }
  }
})

/** Opens `path` while `change` is called in every turn of the event loop: so also between the look before reading and the one after. */
async function openWhileChanging(path: string, change: (path: PathLike) => void): Promise<string> {
  let opening = true
  const again = () => {
    if (!opening) return
    change(path)
    setImmediate(again)
  }
  again()
  return openAlone(path).finally(() => (opening = false))
}

test('refuses a file that grows while it is read', async (t) => {
  const path = await versionOne(await workshop(t))
  assert.equal(await openWhileChanging(path, (file) => appendFileSync(file, '\n')), 'changed-while-reading')
})

test('refuses a file that is written to while it is read, also where that changed nothing', async (t) => {
  const path = await versionOne(await workshop(t))
  let seconds = 1_000_000_000
  const touch = (file: PathLike) => utimesSync(file, seconds, (seconds += 1))
  assert.equal(await openWhileChanging(path, touch), 'changed-while-reading')
  assert.equal(await openAlone(path), '1.0.0')
})
