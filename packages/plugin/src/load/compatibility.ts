import { isBuiltinModule } from '../builtin-module.js'
import { PluginError, type PluginProblem } from '../errors.js'
import type { Manifest } from '../format/manifest.js'
import { inRange, parseRange } from '../version/range.js'
import { parseVersion } from '../version/semver.js'

/** What a host offers, as far as a manifest can be held against it. */
export interface HostSurface {
  /** Types that the host knows; `undefined` knows all. */
  readonly types: readonly string[] | undefined
  /** Versions of the packages that the host brings. */
  readonly packages: ReadonlyMap<string, string>
  /** Every module of those packages, e.g. `@acme/sdk/errors`. */
  readonly modules: ReadonlySet<string>
  /** Built-ins that a plugin may import, without `node:`; `undefined` allows all. */
  readonly builtins: readonly string[] | undefined
}

/**
 * Holds a manifest against a host, before any code runs. All that does not fit is told at once.
 *
 * @throws `unknown-type`, `incompatible` or `import-refused`, with each reason in `problems`.
 */
export function checkCompatibility(manifest: Manifest, host: HostSurface, path: string): void {
  const problems: PluginProblem[] = [
    ...typeProblems(manifest, host),
    ...rangeProblems(manifest, host),
    ...importProblems(manifest, host),
  ]
  const [first] = problems
  if (!first) return
  const label = `${manifest.name} ${manifest.version}`
  const message = `${label} (${path}) does not fit this host: ${problems.map((each) => each.message).join('; ')}`
  throw new PluginError(first.code, message, { path, problems })
}

/** A manifest without a type makes no claim that could be held against it. */
function* typeProblems({ type }: Manifest, { types }: HostSurface): Iterable<PluginProblem> {
  if (!types || type === undefined || types.includes(type)) return
  yield {
    code: 'unknown-type',
    message: `its type is ${type} and this host knows the types ${types.join(', ')}`,
  }
}

function* rangeProblems({ host, node }: Manifest, { packages }: HostSurface): Iterable<PluginProblem> {
  for (const [name, range] of Object.entries(host)) {
    const version = packages.get(name)
    if (version === undefined) {
      yield {
        code: 'incompatible',
        message: `it needs ${name} ${range}, and this host has no ${name}: give it to the platform as a host package`,
      }
    } else if (!fits(version, range)) {
      yield {
        code: 'incompatible',
        message: `it needs ${name} ${range}, this host has ${version}: rebuild it, or update the host`,
      }
    }
  }
  if (!fits(process.versions.node.replace(/-.*/, ''), node)) {
    yield {
      code: 'incompatible',
      message: `it needs Node ${node}, this is Node ${process.versions.node}: build it for an older target, or update Node`,
    }
  }
}

function fits(version: string, range: string): boolean {
  const [parsedVersion, parsedRange] = [parseVersion(version), parseRange(range)]
  return parsedVersion !== undefined && parsedRange !== undefined && inRange(parsedVersion, parsedRange)
}

function* importProblems({ imports }: Manifest, { modules, builtins }: HostSurface): Iterable<PluginProblem> {
  for (const specifier of imports) {
    if (isBuiltinModule(specifier)) {
      if (builtins && !builtins.includes(specifier.replace(/^node:/, ''))) {
        yield { code: 'import-refused', message: `it imports ${specifier}, which this host does not allow` }
      }
    } else if (!modules.has(specifier)) {
      yield { code: 'import-refused', message: `it imports ${specifier}, which this host does not bring` }
    }
  }
}
