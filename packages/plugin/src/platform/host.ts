import { PluginError } from '../errors.js'
import type { HostSurface } from '../load/compatibility.js'
import type { HostModules } from '../load/host-require.js'
import { packageName, packageVersion } from '../package-version.js'
import type { Register } from '../register.js'
import { parseVersion } from '../version/semver.js'
import { requireTexts } from '../options.js'
import type { HostPackage } from './host-package.js'

export interface HostOptions {
  /** Packages that plugins share with the host, by name. This package itself is always one. @default none */
  readonly host?: Readonly<Record<string, HostPackage>> | undefined
  /** Types that the host has a use for; files of another type are refused. @default any */
  readonly types?: readonly string[] | undefined
  /** Node's modules that plugins may import, without `node:`, e.g. `['net', 'fs/promises']`. @default all */
  readonly builtins?: readonly string[] | undefined
}

/** What a host offers its plugins. */
export class Host {
  readonly surface: HostSurface
  readonly #modules: HostModules

  /** @throws `invalid-option` where a host package is not one. */
  constructor({ host = {}, types, builtins }: HostOptions) {
    requireTexts('types', types)
    requireTexts('builtins', builtins)
    const modules = new Map<string, unknown>([[packageName, undefined]])
    const packages = new Map([[packageName, packageVersion]])
    for (const [name, shared] of Object.entries(host)) {
      if (typeof shared?.version !== 'string' || typeof shared.modules !== 'object')
        throw new PluginError(
          'invalid-option',
          `the host package ${name} is not { version, modules }; make it with installedPackage`,
        )
      const { version, modules: own } = shared
      if (!parseVersion(version))
        throw new PluginError(
          'invalid-option',
          `the host package ${name} has the version ${JSON.stringify(version)}; give a semantic version`,
        )
      packages.set(name, version)
      for (const [specifier, module] of Object.entries(own)) {
        if (specifier !== name && !specifier.startsWith(`${name}/`)) {
          throw new PluginError(
            'invalid-option',
            `${specifier} is no module of the host package ${name}; name its modules ${name} and ${name}/…`,
          )
        }
        modules.set(specifier, module)
      }
    }
    this.#modules = modules
    this.surface = {
      types,
      packages,
      modules: new Set(modules.keys()),
      builtins: builtins?.map((each) => each.replace(/^node:/, '')),
    }
  }

  /** The modules as one plugin gets them: its `register` is bound to its platform. */
  modulesFor(bound: Register): HostModules {
    const own = this.#modules.get(packageName) ?? { PluginError }
    return new Map(this.#modules).set(packageName, { ...(own as object), register: bound, __esModule: true })
  }
}
