import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import type { Metafile, Plugin as EsbuildPlugin } from 'esbuild'
import { PluginError } from '../errors.js'
import { parseRange } from '../version/range.js'
import { packageOf, type FoundPackage, type Packages } from './package-json.js'

const namespace = 'host-package'

/** What plugins and their host must have one copy of. Others of this project are bundled as any library is. */
const ownHostPackages: ReadonlySet<string> = new Set([
  'micrograft',
  '@micrograft/contracts',
  '@micrograft/plugin',
])

/** Whether a package stays an import and comes from the host: one of these, or one that the build names. */
export function isHostPackage(name: string | undefined, external: readonly string[]): name is string {
  return name !== undefined && (ownHostPackages.has(name) || external.includes(name))
}

/**
 * Leaves imports of host packages to the host. An `import` goes through a small ES module, so that
 * `default` means the export of that name in every kind of importer.
 */
export function hostPackages(external: readonly string[]): EsbuildPlugin {
  return {
    name: 'host-packages',
    setup(build) {
      build.onResolve({ filter: /^[^./]/ }, ({ path, kind, namespace: from }) => {
        if (!isHostPackage(packageOf(path), external)) return undefined
        if (from === namespace || kind.startsWith('require-')) return { path, external: true }
        return { path, namespace, sideEffects: false }
      })
      build.onLoad({ filter: /./, namespace }, ({ path }) => {
        const specifier = JSON.stringify(path)
        return { contents: `export * from ${specifier}\nexport { default } from ${specifier}`, loader: 'js' }
      })
    },
  }
}

/**
 * The range that each host package must be in: the one that the plugin's package asks for, else
 * whatever is compatible with the version that it was built against.
 *
 * @throws `unresolved-import` where neither is known.
 */
export function hostRanges(
  imports: readonly string[],
  entry: string,
  own: FoundPackage | undefined,
  external: readonly string[],
): Record<string, string> {
  const { peerDependencies = {}, dependencies = {} } = own?.json ?? {}
  const used = [...imports.map(packageOf), ...Object.keys(peerDependencies)]
  const names = [...new Set(used.filter((name) => isHostPackage(name, external)))].sort()
  return Object.fromEntries(
    names.map((name) => {
      const asked = [peerDependencies[name], dependencies[name]].find(
        (range) => range !== undefined && range !== '*' && parseRange(range),
      )
      return [name, asked ?? `^${installedVersion(name, entry)}`]
    }),
  )
}

function installedVersion(name: string, entry: string): string {
  for (const folder of createRequire(entry).resolve.paths(name) ?? []) {
    try {
      const { version } = JSON.parse(readFileSync(join(folder, name, 'package.json'), 'utf8')) as {
        version?: string
      }
      if (version !== undefined) return version
    } catch {
      // Not in this one.
    }
  }
  throw new PluginError(
    'unresolved-import',
    `the host package ${name} is not installed where ${entry} lies, so the range it must be in is not known; install it, or name a range in peerDependencies`,
    { path: entry },
  )
}

/**
 * Refuses a bundle with a file of a host package in it: a second copy of its classes and symbols
 * would be others than the host's.
 * @throws `host-package-bundled`
 */
export function refuseBundledHostPackages(
  metafile: Metafile,
  root: string,
  entry: string,
  own: FoundPackage | undefined,
  external: readonly string[],
  packages: Packages,
): void {
  for (const [input, { imports }] of Object.entries(metafile.inputs)) {
    for (const { path, external: left, original } of imports) {
      if (left || path.startsWith(`${namespace}:`) || path.startsWith('(')) continue
      const found = packages.nearest(dirname(resolve(root, path)))
      const name = found?.json.name
      if (
        !isHostPackage(name, external) ||
        found?.root === own?.root ||
        packages.nearest(dirname(resolve(root, input)))?.root === found?.root
      )
        continue
      throw new PluginError(
        'host-package-bundled',
        `${entry} would carry a copy of ${name}: ${input} imports ${original ?? path}; import it by its name, ${name}, so that the plugin gets the host's own`,
        { path: entry },
      )
    }
  }
}
