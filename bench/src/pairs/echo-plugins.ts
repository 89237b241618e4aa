import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from '@micrograft/plugin/build'

const echo = `{ endpoints: { Test: { Echo: (value) => value } }, async [Symbol.asyncDispose]() {} }`

/** Plugin files of handlers with one endpoint, `Test.Echo`, which gives back what it gets. */
export async function echoPlugins(folder: string, versions: readonly string[]): Promise<string[]> {
  return Promise.all(versions.map((version) => pluginFile(folder, 'echo', 'handler', version, echo)))
}

/** Plugin files of codecs, each of another name, for content that nobody sends. */
export async function idlePlugins(folder: string, count: number): Promise<string[]> {
  const files: string[] = []
  for (let i = 0; i < count; i++) {
    const made = `{ name: 'idle-${i}', contentTypes: ['application/x-idle-${i}'], text: false,
      encode: () => new Uint8Array(), decode: () => undefined, async [Symbol.asyncDispose]() {} }`
    files.push(await pluginFile(folder, `idle-${i}`, 'codec', '1.0.0', made))
  }
  return files
}

async function pluginFile(
  folder: string,
  name: string,
  type: string,
  version: string,
  made: string,
): Promise<string> {
  await mkdir(folder, { recursive: true })
  const entry = join(folder, `${name}-${version}.mjs`)
  await writeFile(
    entry,
    `export const Plugin = { name: '${name}', type: '${type}', version: '${version}', newFunc: async () => (${made}) }`,
  )
  return (await build(entry, { name: `${name}-${version}`, version, type, outDir: folder })).path
}
