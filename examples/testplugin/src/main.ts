// A plugin file is built, opened and called; then its next version takes over while calls go on.

import { once } from 'node:events'
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPlatform } from '@micrograft/plugin'
import { build } from '@micrograft/plugin/build'
import { Caller } from './caller.js'
import { step, tell } from './story.js'

/** What the host knows of the plugin: its types, and none of its code. */
type TestPlugin = typeof import('../plugins/testplugin_v1.js')

const source = (file: string) => new URL(`../plugins/${file}`, import.meta.url)
const folder = await mkdtemp(join(tmpdir(), 'micrograft-testplugin-'))
const watched = join(folder, 'plugins')
const platform = createPlatform()

try {
  const v1 = await step('build testplugin_v1 from TypeScript', () =>
    build(source('testplugin_v1.ts'), {
      name: 'testplugin',
      version: '1.0.0',
      outFile: join(watched, 'testplugin_v1.plugin.cjs'),
    }),
  )
  const v2 = await step('build testplugin_v2 from TypeScript', () =>
    build(source('testplugin_v2.ts'), {
      name: 'testplugin',
      version: '2.0.0',
      outFile: join(folder, 'elsewhere', 'testplugin_v2.plugin.cjs'),
    }),
  )

  const plugin = await step('open testplugin_v1: its module code runs', () =>
    platform.open<TestPlugin>(v1.path),
  )
  await step('look up Hello and call it', () => plugin.lookup('Hello')())

  // Calls through a handle go to the version that the platform prefers: got once, and kept.
  const { Hello } = platform.use<TestPlugin>('testplugin').call
  await step('watch the directory of testplugin_v1', () => platform.watch(watched))
  await using caller = new Caller(Hello)
  await caller.more(1000)

  await step('put testplugin_v2 into that directory, while a loop keeps calling Hello', async () => {
    const switched = once(platform.events, 'switched', { signal: AbortSignal.timeout(10_000) })
    // A rename shows the file whole or not at all.
    await rename(v2.path, join(watched, 'testplugin_v2.plugin.cjs'))
    await switched
  })
  await step('call the same Hello again', () => Hello())

  await caller.more(1000)
  const { made, failed } = caller
  tell(
    `calls made meanwhile: ${made} (v1 ${caller.answered('hello')}, v2 ${caller.answered('hello from v2')}), failed: ${failed}`,
  )
} finally {
  await platform.close()
  await rm(folder, { recursive: true })
}
