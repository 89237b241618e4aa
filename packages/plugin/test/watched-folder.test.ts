import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { copyFile, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { build } from '@micrograft/plugin/build'
import { runModule } from './support/child.js'
import { pluginFolder } from './support/plugin-folder.js'
import { until } from './support/until.js'
import { workshop } from './support/workshop.js'

interface Hello {
  version(): string
}

test('a directory that cannot be watched is refused, with the reason', async (t) => {
  const { platform, folder, write } = await workshop(t)
  const host = platform()
  const missing = join(folder, 'missing')
  await assert.rejects(host.watch(missing), {
    code: 'not-found',
    path: missing,
    message: /no directory .*missing/,
  })
  const file = await write('file', '')
  await assert.rejects(host.watch(file), { code: 'not-a-file', path: file })
  const wrong = [{ settleMs: -1 }, { pollMs: 0 }, { pollMs: 1.5 }, { settle: 1 } as object]
  for (const options of wrong) await assert.rejects(host.watch(folder, options), { code: 'invalid-option' })
})

test('a directory that vanishes is told of once, and is watched again when it is back', async (t) => {
  const shop = await workshop(t)
  const host = shop.platform()
  const folder = await pluginFolder(shop, host)
  await folder.put(await folder.build('hello', '1.0.0'), 'hello.plugin.cjs')
  await host.watch(folder.path, { pollMs: 5, settleMs: 0 })
  for (const round of [1, 2]) {
    await rm(folder.path, { recursive: true })
    await until('it is told', () => folder.refused.length === round)
    // Time for many looks more, none of which may tell it again.
    await wait(100)
    assert.deepEqual(
      folder.refused.map(({ path, error }) => [path, error.code]),
      Array.from({ length: round }, () => [folder.path, 'not-found']),
    )
    assert.equal(host.use<Hello>('hello').call.version(), `${round}.0.0`)
    const next = await folder.build('hello', `${round + 1}.0.0`)
    await mkdir(folder.path)
    await folder.put(next, 'hello.plugin.cjs')
    await until('the new file is taken', () => folder.opened.includes(`hello ${round + 1}.0.0`))
  }
})

test('takes two hundred files that come at once, each once', async (t) => {
  const shop = await workshop(t)
  const host = shop.platform()
  const folder = await pluginFolder(shop, host)
  const sources = await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      shop.write(`many/p${i}.ts`, `export const version = () => 'p${i}'`),
    ),
  )
  const outDir = join(shop.folder, 'built')
  const built = await build(sources, { outDir, version: '1.0.0', sourceMap: false })
  await host.watch(folder.path, { settleMs: 600_000 })
  await Promise.all(
    built.map(({ path, manifest }) => copyFile(path, join(folder.path, `${manifest.name}.plugin.cjs`))),
  )
  await until('all are taken', () => folder.opened.length >= 200, 60_000)
  await folder.looked()
  assert.equal(new Set(folder.opened).size, 200)
  assert.equal(folder.opened.length, 200)
  assert.deepEqual(folder.refused, [])
  assert.equal(host.use<Hello>('p137').call.version(), 'p137')
})

test('sees links that lead elsewhere, as Kubernetes swaps a mounted config map', async (t) => {
  const shop = await workshop(t)
  const host = shop.platform()
  const folder = await pluginFolder(shop, host)
  const inside = (name: string) => join(folder.path, name)
  const release = async (n: number) => {
    await mkdir(inside(`..release${n}`))
    await copyFile(await folder.build('hello', `${n}.0.0`), inside(`..release${n}/hello.plugin.cjs`))
    await symlink(`..release${n}`, inside('..data_tmp'))
    await rename(inside('..data_tmp'), inside('..data'))
  }
  await release(1)
  await symlink('..data/hello.plugin.cjs', inside('hello.plugin.cjs'))
  await host.watch(folder.path)
  const { version } = host.use<Hello>('hello').call
  assert.equal(version(), '1.0.0')
  for (const n of [2, 3]) {
    await release(n)
    await until('the new release is taken', () => version() === `${n}.0.0`)
  }
  assert.deepEqual(folder.refused, [])
})

test('sees a change that the operating system does not tell of', async (t) => {
  const shop = await workshop(t)
  const host = shop.platform()
  const folder = await pluginFolder(shop, host)
  const target = await shop.write(
    'elsewhere/hello.plugin.cjs',
    await readFile(await folder.build('hello', '1.0.0')),
  )
  await symlink(target, join(folder.path, 'hello.plugin.cjs'))
  await host.watch(folder.path, { pollMs: 10 })
  await writeFile(target, await readFile(await folder.build('hello', '2.0.0')))
  await until('it is taken', () => folder.opened.includes('hello 2.0.0'))
})

test('a handle goes to each new version while calls run, and no call fails', async (t) => {
  const shop = await workshop(t)
  const host = shop.platform()
  const folder = await pluginFolder(shop, host)
  const versions = Array.from({ length: 8 }, (_, i) => `1.${i}.0`)
  const files = await Promise.all(versions.map((version) => folder.build('hello', version)))
  await folder.put(files[0] as string, 'hello.plugin.cjs')
  await host.watch(folder.path)
  const { version } = host.use<Hello>('hello').call
  const answers: string[] = []
  const failures: unknown[] = []
  const stop = new AbortController()
  const calling = (async () => {
    while (!stop.signal.aborted) {
      for (let i = 0; i < 100; i++)
        try {
          const answer = version()
          if (answer !== answers.at(-1)) answers.push(answer)
        } catch (error) {
          failures.push(error)
        }
      await new Promise((resolve) => setImmediate(resolve))
    }
  })()
  for (const [i, file] of files.entries()) {
    await folder.put(file, 'hello.plugin.cjs')
    await until('calls go to the new version', () => answers.at(-1) === versions[i])
    if (i > 0) await host.plugins[0]?.close()
  }
  stop.abort()
  await calling
  assert.deepEqual(failures, [])
  assert.deepEqual(answers, versions)
})

/** How many watches this process has with the kernel. */
function watches(): number {
  const lines = readdirSync('/proc/self/fdinfo').flatMap((name) => {
    try {
      return readFileSync(`/proc/self/fdinfo/${name}`, 'utf8').split('\n')
    } catch {
      return []
    }
  })
  return lines.filter((line) => line.startsWith('inotify ')).length
}

test(
  'closing a watcher while its directory comes back leaves no watch behind',
  { skip: process.platform !== 'linux' && 'looks at what the kernel of Linux tells' },
  async (t) => {
    const shop = await workshop(t)
    const host = shop.platform()
    const before = watches()
    await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const path = join(shop.folder, `comes-and-goes-${i}`)
        await mkdir(path)
        const watcher = await host.watch(path, { pollMs: 1, settleMs: 0 })
        const told = new Promise<void>((resolve) =>
          host.events.on('refused', (event) => event.path === path && resolve()),
        )
        await rm(path, { recursive: true })
        await told
        await mkdir(path)
        for (let turn = 0; turn < i; turn++) await new Promise((resolve) => setImmediate(resolve))
        await watcher.close()
      }),
    )
    await until('no watch is left', () => watches() === before, 1000)
  },
)

test('close stops it: nothing more is taken, nothing is left running, and the process can end', async (t) => {
  const shop = await workshop(t)
  const { path } = await shop.plugin('hello', 'export const n = 1')
  const script = `
    import { createPlatform } from '@micrograft/plugin'
    import { copyFile, mkdir, writeFile } from 'node:fs/promises'
    const told = []
    const host = createPlatform()
    for (const event of ['opened', 'refused']) host.events.on(event, () => told.push(event))
    await mkdir('plugins')
    await writeFile('plugins/unfinished.plugin.cjs', '/*!plug')
    const watcher = await host.watch('plugins', { pollMs: 5, settleMs: 40 })
    await Promise.all([watcher.close(), watcher.close()])
    await copyFile(${JSON.stringify(path)}, 'plugins/hello.plugin.cjs')
    await new Promise((resolve) => setTimeout(resolve, 120))
    console.log(JSON.stringify({ told, open: host.plugins.length }))`
  const { status, stdout, stderr } = await runModule(shop, 'host.mjs', script)
  assert.equal(stderr, '')
  assert.equal(status, 0)
  assert.deepEqual(JSON.parse(stdout), { told: [], open: 0 })
})

test('close stops it within a folder of many files, after the one that is being opened', async (t) => {
  const shop = await workshop(t)
  const host = shop.platform()
  const folder = await pluginFolder(shop, host)
  const link = join(shop.folder, 'link')
  await symlink(folder.path, link)
  const full = join(shop.folder, 'full')
  for (const name of ['a', 'b', 'c']) await shop.plugin(name, 'export {}', { outDir: full })
  const watcher = await host.watch(link, { pollMs: 5 })
  let closed = false
  host.events.once('opened', () => void watcher.close().then(() => (closed = true)))
  await symlink(full, `${link}.new`)
  await rename(`${link}.new`, link)
  await until('it is closed', () => closed)
  assert.deepEqual(folder.opened, ['a 1.0.0'])
})

test('await using a watcher closes it', async (t) => {
  const shop = await workshop(t)
  const host = shop.platform()
  const folder = await pluginFolder(shop, host)
  {
    await using watcher = await host.watch(folder.path, { pollMs: 5 })
    assert.equal(watcher.directory, folder.path)
  }
  await folder.put(await folder.build('hello', '1.0.0'), 'hello.plugin.cjs')
  await wait(50)
  assert.deepEqual(folder.opened, [])
})

test('closing the platform closes its watchers', async (t) => {
  const shop = await workshop(t)
  const host = shop.platform()
  const folder = await pluginFolder(shop, host)
  const watcher = new WeakRef(await host.watch(folder.path, { pollMs: 5, settleMs: 0 }))
  await host.close()
  await folder.put(await folder.build('hello', '1.0.0'), 'hello.plugin.cjs')
  await wait(50)
  assert.deepEqual([folder.opened, folder.refused], [[], []])
  await until('the watcher has left memory', () => {
    globalThis.gc?.()
    return watcher.deref() === undefined
  })
})

test('closing the platform while it begins to watch leaves nothing behind', async (t) => {
  const shop = await workshop(t)
  await shop.plugin('hello', 'export const n = 1', { outDir: shop.folder })
  for (let turns = 0; turns < 12; turns++) {
    const host = shop.platform()
    const refused: unknown[] = []
    host.events.on('refused', (event) => refused.push(event))
    const beginning = host.watch(shop.folder, { pollMs: 2, settleMs: 0 })
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
    await host.close()
    const [outcome] = await Promise.allSettled([beginning])
    if (turns === 0) assert.equal(outcome.status, 'rejected')
    if (outcome.status === 'rejected') assert.equal((outcome.reason as { code: string }).code, 'closed')
    await shop.write(`late-${turns}.plugin.cjs`, 'garbage')
    await wait(20)
    assert.deepEqual([host.plugins, refused], [[], []])
    await rm(join(shop.folder, `late-${turns}.plugin.cjs`))
  }
})
