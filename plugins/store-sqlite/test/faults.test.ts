import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Store } from '@micrograft/contracts'
import { Plugin, type SqliteStoreOptions } from '@micrograft/store-sqlite'
import { SmallDisk } from '@micrograft/test-support'
import { componentContext, until } from '@micrograft/testing'
import { withoutSqlite } from './support/without-sqlite.js'

const make = Plugin.newFunc as unknown as (
  options: SqliteStoreOptions,
  context: ReturnType<typeof componentContext>,
) => Promise<Store>
const bytes = (text: string) => new TextEncoder().encode(text)
const text = (value: Uint8Array | undefined) => value && new TextDecoder().decode(value)
const skip = withoutSqlite

let folder: string
before(async () => (folder = await mkdtemp(join(tmpdir(), 'micrograft-sqlite-'))))
after(() => rm(folder, { recursive: true }))
const open = (options: SqliteStoreOptions = {}) =>
  make({ addresses: [folder], ...options }, componentContext())

/** The database as another process has it that does not let go of it. */
function otherConnection() {
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite') as unknown as {
    DatabaseSync: new (path: string) => { exec(sql: string): void; close(): void }
  }
  return new DatabaseSync(join(folder, 'store.db'))
}

test(
  'the sqlite store has what was acknowledged to processes that were killed, while all wrote',
  { skip },
  async () => {
    const acknowledged: string[] = []
    const writers = ['a', 'b', 'c'].map((who) => {
      const script = fileURLToPath(new URL('support/writer.js', import.meta.url))
      const child = spawn(process.execPath, [script, folder, who], { stdio: ['ignore', 'pipe', 'inherit'] })
      let said = ''
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        said += chunk
        const lines = said.split('\n')
        said = lines.pop() as string
        acknowledged.push(...lines)
      })
      const ended = new Promise((resolve) => child.once('close', resolve))
      return { who, child, ended }
    })
    try {
      for (const { who } of writers)
        await until(
          `${who} writes`,
          () => acknowledged.filter((key) => key.startsWith(who)).length > 50,
          20_000,
        )
    } finally {
      for (const { child } of writers) child.kill('SIGKILL')
      await Promise.all(writers.map(({ ended }) => ended))
    }
    await using store = await open({ table: 'written' })
    for (const key of acknowledged) assert.equal(text(await store.get(key)), `value of ${key}`)
    await store.set('after', bytes('1'))
  },
)

test(
  'the sqlite store waits for a lock no longer than it may, while the process goes on',
  { skip },
  async () => {
    await using store = await open({ table: 'locked', timeoutMs: 300 })
    await store.set('a', bytes('1'))
    const other = otherConnection()
    try {
      other.exec('BEGIN IMMEDIATE')
      let ticks = 0
      const ticker = setInterval(() => ticks++, 5)
      const started = performance.now()
      await assert.rejects(store.set('a', bytes('2')), { code: 'timeout' })
      clearInterval(ticker)
      assert.ok(performance.now() - started < 1500)
      assert.ok(ticks > 1, `${ticks} ticks`)
      assert.equal(text(await store.get('a')), '1')
      const waiting = store.set('a', bytes('3'))
      const given = store.set('a', bytes('4'), { signal: AbortSignal.timeout(50) })
      await assert.rejects(given, { name: 'TimeoutError' })
      other.exec('ROLLBACK')
      await waiting
    } finally {
      other.close()
    }
  },
)

test('the sqlite store acknowledges nothing that goes to a file which was taken away', { skip }, async () => {
  const path = join(folder, 'moved.db')
  await using store = await open({ database: 'moved.db', table: 'moved' })
  await store.set('a', bytes('1'))
  await rename(path, `${path}.away`)
  await assert.rejects(store.set('a', bytes('2')), { code: 'unavailable', message: /moved\.db/ })
  await assert.rejects(store.delete('a'), { code: 'unavailable' })
  assert.equal(text(await store.get('a')), '1')
  await writeFile(path, '')
  await assert.rejects(store.set('a', bytes('2')), { code: 'unavailable' })
  await rename(`${path}.away`, path)
  await store.set('a', bytes('3'))
  assert.equal(text(await store.get('a')), '3')
})

test('the sqlite store ends calls that wait when it is disposed', { skip }, async () => {
  const store = await open({ table: 'ended', timeoutMs: 60_000 })
  const other = otherConnection()
  try {
    other.exec('BEGIN IMMEDIATE')
    const waiting = assert.rejects(store.set('a', bytes('1')), { code: 'closed' })
    await store[Symbol.asyncDispose]()
    await waiting
  } finally {
    other.close()
  }
})

const skipFull = skip || (process.platform === 'win32' && 'there is no limit of file sizes on Windows')

test(
  'the sqlite store says when there is no room for more, and keeps what it has',
  { skip: skipFull },
  async () => {
    const script = fileURLToPath(new URL('support/filler.js', import.meta.url))
    // No file may have more than 4 MiB (8,192 blocks of 512 bytes), which is what a full disk is to SQLite.
    const child = spawn('sh', ['-c', 'ulimit -f 8192; exec "$0" "$@"', process.execPath, script, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (said += chunk))
    const status = await new Promise((resolve) => child.once('close', resolve))
    assert.equal(status, 0)
    const { code, written, read } = JSON.parse(said) as { code: string; written: number; read: number }
    assert.equal(code, 'unavailable')
    assert.ok(written > 5)
    assert.equal(read, written)
  },
)

test('the sqlite store goes on when its full disk has room again', { skip }, async (t) => {
  const disk = await SmallDisk.mount(4_000_000)
  if (!disk) return t.skip('needs to mount a small file system, as root on Linux')
  try {
    await using store = await make({ addresses: [disk.folder] }, componentContext())
    let written = 0
    const write = () => store.set(`k${written}`, new Uint8Array(50_000)).then(() => void written++)
    for (let i = 0; i < 5; i++) await write()
    await disk.fill()
    await assert.rejects(
      async () => {
        for (;;) await write()
      },
      { code: 'unavailable' },
    )
    await disk.makeRoom()
    await write()
    for (let i = 0; i < written; i++) assert.equal((await store.get(`k${i}`))?.length, 50_000)
  } finally {
    await disk[Symbol.asyncDispose]()
  }
})
