import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { PluginError } from '../errors.js'

/** A package that the host shares with its plugins: they get the host's one copy, so classes and symbols are the same. */
export interface HostPackage {
  /** A semantic version; what a plugin was built against must hold for it. */
  readonly version: string
  /** The package's modules by specifier, e.g. `{ '@acme/sdk': sdk, '@acme/sdk/errors': errors }`. */
  readonly modules: Readonly<Record<string, unknown>>
}

/**
 * A package that is installed where the host runs, ready to be shared.
 *
 * @param name Its name, e.g. `@acme/sdk`.
 * @param from The module that would import it: `import.meta.url`.
 * @param subpaths Further modules of it, e.g. `['errors']` for `@acme/sdk/errors`.
 * @throws `not-found` where it is not installed.
 */
export function installedPackage(
  name: string,
  from: string | URL,
  subpaths: readonly string[] = [],
): HostPackage {
  const specifiers = [name, ...subpaths.map((subpath) => `${name}/${subpath}`)]
  try {
    const require = createRequire(from)
    return {
      version: versionOf(name, require.resolve(name)),
      modules: Object.fromEntries(specifiers.map((specifier) => [specifier, require(specifier) as unknown])),
    }
  } catch (cause) {
    if (cause instanceof PluginError) throw cause
    throw new PluginError(
      'not-found',
      `cannot load the host package ${name} from ${String(from)}; install it, and name subpaths that it exports`,
      { cause },
    )
  }
}

/** The version in the nearest `package.json` of that name above `file`: a package need not export its own. */
function versionOf(name: string, file: string): string {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    try {
      const found = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
        name?: string
        version?: string
      }
      if (found.name === name && found.version !== undefined) return found.version
    } catch {
      // Most folders have none.
    }
    if (folder === dirname(folder))
      throw new PluginError(
        'not-found',
        `there is no package.json of ${name} above ${file}; install the package again`,
      )
  }
}
