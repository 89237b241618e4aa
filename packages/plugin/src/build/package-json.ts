import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** What the builder reads of a package.json. */
interface PackageJson {
  readonly name?: string
  readonly version?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

export interface FoundPackage {
  /** The folder that the package.json lies in. */
  readonly root: string
  readonly json: PackageJson
}

/** Finds the package that a file belongs to; each folder is looked at once. */
export class Packages {
  readonly #found = new Map<string, FoundPackage | undefined>()

  /** The nearest package.json with a name at or above `folder`; one without only marks a kind of module. */
  nearest(folder: string): FoundPackage | undefined {
    if (!this.#found.has(folder)) this.#found.set(folder, this.#read(folder))
    return this.#found.get(folder)
  }

  #read(folder: string): FoundPackage | undefined {
    const json = readPackageJson(join(folder, 'package.json'))
    if (json?.name !== undefined) return { root: folder, json }
    return folder === dirname(folder) ? undefined : this.nearest(dirname(folder))
  }
}

function readPackageJson(path: string): PackageJson | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as PackageJson
  } catch {
    return undefined
  }
}

/** `@acme/sdk` of `@acme/sdk/errors`; `undefined` for what is no package. */
export function packageOf(specifier: string): string | undefined {
  return /^(@[^/]+\/[^/]+|[^./@][^/]*)(?:\/|$)/.exec(specifier)?.[1]
}
