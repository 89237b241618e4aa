import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createPlatform, type Platform, type PlatformOptions } from '@micrograft/plugin'
import { build, type BuildOptions, type BuiltPlugin } from '@micrograft/plugin/build'

/** The repository's own packages, so that sources in a temporary folder find what they import. */
const installed = fileURLToPath(new URL('../../../../node_modules', import.meta.url))

/** A temporary folder to write sources in and build plugin files from; it goes with the test. */
export interface Workshop {
  readonly folder: string
  /** Writes a file and gives its path; missing folders are made. */
  write(name: string, content: string | Uint8Array): Promise<string>
  /** Writes `source` as TypeScript and builds it, to `out/<name>-<version>.plugin.cjs` unless told otherwise. */
  plugin(name: string, source: string, options?: BuildOptions): Promise<BuiltPlugin>
  /** A platform that is closed with the test. */
  platform(options?: PlatformOptions): Platform
}

export async function workshop(t: TestContext): Promise<Workshop> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'micrograft-')))
  const platforms: Platform[] = []
  t.after(async () => {
    for (const platform of platforms) await platform.close()
    // A code cache may still be writing to it.
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
  })
  await symlink(installed, join(folder, 'node_modules'), 'junction')
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'workshop', version: '0.0.1', type: 'module' }),
  )

  const write = async (name: string, content: string | Uint8Array) => {
    const path = join(folder, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content)
    return path
  }
  return {
    folder,
    write,
    async plugin(name, source, options = {}) {
      const entry = await write(`${name}-${options.version ?? 'src'}/${name}.ts`, source)
      return build(entry, { name, version: '1.0.0', outDir: join(folder, 'out'), ...options })
    },
    platform(options) {
      const platform = createPlatform(options)
      platforms.push(platform)
      return platform
    },
  }
}
