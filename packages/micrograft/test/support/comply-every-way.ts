import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { ComponentContext, ComponentType, ComponentTypes } from '@micrograft/contracts'
import { build } from '@micrograft/plugin/build'
import { comply, componentContext, type Case } from '@micrograft/testing'
import { Catalogue } from '../../dist/catalogue/catalogue.js'
import { Plugins } from '../../dist/catalogue/plugins.js'
import type { Candidate } from '../../dist/components/generation.js'
import { keeperOf } from '../../dist/components/keepers.js'
import { Slot } from '../../dist/components/slot.js'

/** How to make a built-in component, and what its cases are run on. */
export interface BuiltIn<K extends ComponentType, S> {
  readonly type: K
  /** What a flag chooses it by, e.g. `memory`. */
  readonly name: string
  /** Its source below `src`, without the ending, e.g. `store/memory-store`, and the factory that it exports; an example of the tests is `../dist-test/support/…`. */
  readonly file: string
  readonly factory: string
  readonly options?: () => unknown
  readonly context?: () => ComponentContext
  /** What the cases take, made of the component; disposing it disposes the component. @default the component itself */
  readonly subject?: (component: ComponentTypes[K], another: Another<K>) => S | Promise<S>
  /** Makes the component stand where another of its kind stood. @default in a slot */
  readonly swap?: (make: Make<K>) => Make<K>
  readonly skip?: Readonly<Record<string, string>> | undefined
}

/** Makes one more in the same way, with other options where there are some. */
export type Another<K extends ComponentType> = (options?: unknown) => Promise<ComponentTypes[K]>

export type Make<K extends ComponentType> = (
  options: unknown,
  context: ComponentContext,
) => Promise<ComponentTypes[K]> | ComponentTypes[K]

/** Runs the cases of a contract on a built-in: directly, from a plugin file, and after it was swapped in. */
export function complyEveryWay<K extends ComponentType, S extends Partial<AsyncDisposable>>(
  label: string,
  cases: readonly Case<S>[],
  builtIn: BuiltIn<K, S>,
): void {
  const { type, file, factory, options, context, subject, swap, skip } = builtIn
  const direct: Make<K> = async (...args) => {
    const module = (await import(new URL(`../../dist/${file}.js`, import.meta.url).href)) as Record<
      string,
      never
    >
    return (module[factory] as unknown as Make<K>)(...args)
  }
  const ways: [string, Make<K>][] = [
    [label, direct],
    [`${label} from a plugin file`, fromPluginFile(builtIn)],
    [`${label} after a swap`, swap ? swap(direct) : swappedIn(type, direct)],
  ]
  for (const [way, make] of ways) {
    comply(test, way, cases, {
      skip,
      create: async () => {
        const another: Another<K> = async (given = options?.()) =>
          make(given, context?.() ?? componentContext())
        const component = await another()
        return subject ? subject(component, another) : (component as unknown as S)
      },
    })
  }
}

/** Builds the built-in to a plugin file, once, and makes it of that. */
function fromPluginFile<K extends ComponentType>({
  type,
  name,
  file,
  factory,
}: Omit<BuiltIn<K, never>, 'subject'>): Make<K> {
  const plugins = new Plugins(new Catalogue())
  let folder: string | undefined
  after(async () => {
    await plugins.close()
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  })
  let loaded: Promise<Make<K>> | undefined
  const load = async () => {
    folder = await mkdtemp(join(tmpdir(), 'micrograft-'))
    // Within this package: its own files are no host package to it.
    const entry = fileURLToPath(
      new URL(`../plugins/${type}-${name}-${process.pid}/plugin.ts`, import.meta.url),
    )
    const source = relative(
      dirname(entry),
      fileURLToPath(new URL(`../../src/${file}.js`, import.meta.url)),
    ).replaceAll('\\', '/')
    await mkdir(dirname(entry), { recursive: true })
    try {
      await writeFile(
        entry,
        `import { ${factory} as newFunc } from '${source}'\nexport const Plugin = { name: '${name}', type: '${type}', version: '1.0.0', newFunc }\n`,
      )
      const { path } = await build(entry, { name, type, version: '1.0.0', outDir: folder })
      return (await plugins.load(path)).newFunc as unknown as Make<K>
    } finally {
      await rm(dirname(entry), { recursive: true, force: true })
    }
  }
  return async (...args) => (await (loaded ??= load()))(...args)
}

/** Puts another of its kind into a slot, then it, and gives the slot's reference. */
function swappedIn<K extends ComponentType>(type: K, direct: Make<K>): Make<K> {
  return async (...args) => {
    const slot = new Slot(type, { keeper: keeperOf(type) })
    const candidate = (name: string): Candidate<ComponentTypes[K]> => ({
      name,
      label: `${name} 1.0.0`,
      options: {},
      make: async () => direct(...args),
    })
    slot.fill(candidate('first'), await direct(...args))
    await slot.swap(candidate('second'), { watchMs: 0 })
    // The reference leaves disposing to the slot, which stands for the service here.
    return Object.create(slot.reference, {
      [Symbol.asyncDispose]: { value: () => slot[Symbol.asyncDispose]() },
    }) as ComponentTypes[K]
  }
}
