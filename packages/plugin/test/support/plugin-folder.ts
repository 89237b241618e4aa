import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PlatformEvents, Platform } from '@micrograft/plugin'
import type { BuildOptions } from '@micrograft/plugin/build'
import { until } from './until.js'
import type { Workshop } from './workshop.js'

/** A folder for a platform to watch, and what was seen to come of it. */
export interface PluginFolder {
  readonly path: string
  readonly refused: PlatformEvents['refused'][0][]
  /** `name version` of each plugin that was opened. */
  readonly opened: string[]
  /** Builds a plugin whose `version()` answers with its version, elsewhere. */
  build(name: string, version: string, options?: BuildOptions): Promise<string>
  /** Puts a copy of a file into the folder by renaming, as a careful deployer does, so that it is never seen half-written. */
  put(file: string, name: string): Promise<string>
  /** The same with content. */
  putContent(content: string | Uint8Array, name: string): Promise<string>
  /**
   * Resolves once the watcher has looked at every file that is in the folder now: it takes a plugin
   * that comes after all others in the alphabet, by which it goes.
   */
  looked(): Promise<void>
}

export async function pluginFolder(
  { folder, plugin }: Pick<Workshop, 'folder' | 'plugin'>,
  host: Platform,
): Promise<PluginFolder> {
  const path = join(folder, 'plugins')
  await mkdir(path)
  const refused: PlatformEvents['refused'][0][] = []
  const opened: string[] = []
  host.events.on('refused', (event) => refused.push(event))
  host.events.on('opened', ({ plugin: { manifest } }) => opened.push(`${manifest.name} ${manifest.version}`))
  let markers = 0

  const build = async (name: string, version: string, options?: BuildOptions) => {
    const source = `export const version = (): string => ${JSON.stringify(version)}`
    return (await plugin(name, source, { version, ...options })).path
  }
  const putContent = async (content: string | Uint8Array, name: string) => {
    const target = join(path, name)
    await writeFile(`${target}.tmp`, content)
    await rename(`${target}.tmp`, target)
    return target
  }
  const put = async (file: string, name: string) => putContent(await readFile(file), name)
  return {
    path,
    refused,
    opened,
    build,
    put,
    putContent,
    async looked() {
      // Twice: the first may be seen by a look that had passed the other files already.
      for (let i = 0; i < 2; i++) {
        const version = `0.0.${++markers}`
        await put(await build('zz-marker', version), `zz-marker-${version}.plugin.cjs`)
        await until('the marker is taken', () => opened.includes(`zz-marker ${version}`))
        opened.splice(opened.indexOf(`zz-marker ${version}`), 1)
      }
    },
  }
}
