import { createRequire } from 'node:module'
import { types } from 'node:util'
import { isBuiltinModule } from '../builtin-module.js'
import type { Manifest } from '../format/manifest.js'
import type { Scope } from './scope.js'
import { timerPromises } from './scoped-timer-promises.js'

/** The modules that a host brings, by specifier, e.g. `@acme/sdk` and `@acme/sdk/errors`. */
export type HostModules = ReadonlyMap<string, unknown>

const builtin = createRequire(import.meta.url)

/**
 * The only way out of a plugin: gives what the manifest says the plugin imports, and nothing else.
 * Every `import` and `import()` of a plugin was made a call of this by the builder.
 *
 * What is not declared is, to the plugin, a module that is not installed: it throws Node's own
 * `MODULE_NOT_FOUND`, which libraries take as the absence of something optional.
 */
export function hostRequire(
  { name, version, imports }: Manifest,
  modules: HostModules,
  scope: Scope,
): (specifier: string) => unknown {
  const declared = new Set(imports)
  const made = new Map<string, unknown>()

  const make = (specifier: string): unknown => {
    if (isBuiltinModule(specifier)) return scopedBuiltin(specifier, scope) ?? builtin(specifier)
    return asCommonJs(modules.get(specifier))
  }
  return function require(specifier: string): unknown {
    const known = declared.has(specifier)
      ? specifier
      : declared.has(`node:${specifier}`)
        ? `node:${specifier}`
        : undefined
    if (known === undefined) throw notFound(specifier, `${name} ${version}`)
    if (!made.has(known)) made.set(known, make(known))
    return made.get(known)
  }
}

function scopedBuiltin(specifier: string, scope: Scope): unknown {
  const { functions } = scope.timers
  switch (specifier.replace(/^node:/, '')) {
    case 'process':
      return scope.process.object
    case 'timers':
      return { ...(builtin('node:timers') as object), ...functions, promises: timerPromises(functions) }
    case 'timers/promises':
      return timerPromises(functions)
    default:
      return undefined
  }
}

/** An ES module as CommonJS code expects it: marked, so that `default` is what the module exports under that name. */
function asCommonJs(module: unknown): unknown {
  if (!types.isModuleNamespaceObject(module)) return module
  const view = Object.create(null, { __esModule: { value: true } }) as Record<string, unknown>
  for (const name of Object.keys(module as object)) {
    // Where it has a default export, `require` gives an ES module marked already.
    if (name === '__esModule') continue
    Object.defineProperty(view, name, {
      enumerable: true,
      get: () => (module as Record<string, unknown>)[name],
    })
  }
  return view
}

function notFound(specifier: string, label: string): Error {
  const message = `Cannot find module '${specifier}': ${label} was built without it; import it under a constant name so that it is bundled, or build with it as an external`
  return Object.assign(new Error(message), { code: 'MODULE_NOT_FOUND' })
}
