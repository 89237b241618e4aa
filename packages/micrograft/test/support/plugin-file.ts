import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ComponentType } from 'micrograft'
import { build } from '@micrograft/plugin/build'

let made = 0

/** Builds a plugin file from source text that gives `Plugin`, into `folder`; its path. */
export async function pluginFile(
  folder: string,
  {
    name,
    type,
    version = '1.0.0',
  }: { readonly name: string; readonly type: ComponentType; readonly version?: string },
  source: string,
): Promise<string> {
  // Within this package, where imports of the workspace are found.
  const entry = fileURLToPath(
    new URL(`../plugins/${name}-${process.pid}-${made++}/plugin.mjs`, import.meta.url),
  )
  await mkdir(dirname(entry), { recursive: true })
  try {
    await writeFile(entry, source)
    return (await build(entry, { name, type, version, outDir: folder })).path
  } finally {
    await rm(dirname(entry), { recursive: true, force: true })
  }
}

/** A plugin of type handler: `Say.Hello` answers with its version, and counts. `more` are further methods of `Say`. */
export function greeterFile(folder: string, version: string, more = '', top = ''): Promise<string> {
  return pluginFile(
    folder,
    { name: 'greeter', type: 'handler', version },
    `
    ${top}
    export const Plugin = {
      name: 'greeter', type: 'handler', version: '${version}',
      newFunc: (options) => {
        let count = options.state?.count ?? 0
        return {
          endpoints: { Say: {
            Hello: ({ name }) => (count++, { msg: 'Hello ' + name, version: '${version}' }),
            Slow: async ({ ms }, { signal }) => { await new Promise((resolve) => setTimeout(resolve, ms)); return '${version}' },
            Total: () => count,
            ${more}
          } },
          dehydrate: () => ({ count }),
          hydrate: (state) => { count = state.count },
          async [Symbol.asyncDispose]() {},
        }
      },
    }`,
  )
}
