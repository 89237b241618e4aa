import type { BuildOptions as EsbuildOptions, Plugin as EsbuildPlugin } from 'esbuild'

const specifier = 'micrograft:import-meta'

/** What `import.meta` is in a plugin file: the file itself. */
const source = `
import { pathToFileURL } from 'node:url'
export const importMetaUrl = pathToFileURL(__filename).href
`

/** Gives `import.meta.url`, `.filename` and `.dirname` a meaning in the output, which is no ES module. */
export const importMeta: Pick<EsbuildOptions, 'define' | 'inject'> = {
  define: {
    'import.meta.url': 'importMetaUrl',
    'import.meta.filename': '__filename',
    'import.meta.dirname': '__dirname',
  },
  inject: [specifier],
}

/** The module behind `importMetaUrl`; it is left out where nothing asks for it. */
export function importMetaModule(): EsbuildPlugin {
  return {
    name: 'import-meta',
    setup(build) {
      build.onResolve({ filter: new RegExp(`^${specifier}$`) }, () => ({
        path: 'import-meta',
        namespace: 'micrograft',
        sideEffects: false,
      }))
      build.onLoad({ filter: /^import-meta$/, namespace: 'micrograft' }, () => ({
        contents: source,
        loader: 'js',
      }))
    },
  }
}
