import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { ComponentContext, ComponentType, ComponentTypes, PluginConfig } from '@micrograft/contracts'
import { createPlatform, installedPackage } from '@micrograft/plugin'
import { build } from '@micrograft/plugin/build'
import { comply, componentContext, type Case } from '@micrograft/testing'
import { createService } from 'micrograft'

/** A plugin, and what the cases of its type are run on. */
export interface PluginSubject<K extends ComponentType, S> {
  /** As its package exports it. */
  readonly plugin: PluginConfig<K>
  /** Its source, for the plugin file. */
  readonly entry: string
  readonly options?: (() => unknown) | undefined
  readonly context?: (() => ComponentContext) | undefined
  /** What the cases take, made of the component; disposing it disposes the component. @default the component itself */
  readonly subject?: ((component: ComponentTypes[K]) => S | Promise<S>) | undefined
  /** Cases that cannot hold, by name, with the reason. */
  readonly skip?: Readonly<Record<string, string>> | undefined
}

type Make<K extends ComponentType> = (
  options: unknown,
  context: ComponentContext,
) => Promise<ComponentTypes[K]> | ComponentTypes[K]

/** Runs the cases of a contract on a plugin: directly, from its plugin file, and after it was swapped in. */
export function complyPlugin<K extends ComponentType, S extends Partial<AsyncDisposable>>(
  label: string,
  cases: readonly Case<S>[],
  { plugin, entry, options, context, subject, skip }: PluginSubject<K, S>,
): void {
  const direct = plugin.newFunc as unknown as Make<K>
  const ways: [string, Make<K>][] = [
    [label, direct],
    [`${label} from its plugin file`, fromPluginFile(plugin, entry)],
  ]
  // Of these a service has any number, and swaps none.
  if (!['codec', 'handler', 'middleware'].includes(plugin.type))
    ways.push([`${label} after a swap`, swappedIn(plugin)])
  for (const [way, make] of ways) {
    comply(test, way, cases, {
      skip,
      create: async () => {
        const component = await make(options?.(), context?.() ?? componentContext())
        return subject ? subject(component) : (component as unknown as S)
      },
    })
  }
}

/** Builds the plugin file, once, and makes components of that. */
function fromPluginFile<K extends ComponentType>(
  { name, type, version }: PluginConfig<K>,
  entry: string,
): Make<K> {
  let close = async () => {}
  after(() => close())
  let opened: Promise<Make<K>> | undefined
  const load = async () => {
    const folder = await mkdtemp(join(tmpdir(), 'micrograft-plugin-'))
    const { path } = await build(entry, { name, type, version, outDir: folder })
    const platform = createPlatform({
      host: { '@micrograft/contracts': installedPackage('@micrograft/contracts', import.meta.url) },
    })
    const file = await platform.open(path)
    close = async () => {
      await platform.close()
      await rm(folder, { recursive: true, force: true })
    }
    return (file.lookup('Plugin') as PluginConfig<K>).newFunc as unknown as Make<K>
  }
  return async (...args) => (await (opened ??= load()))(...args)
}

/** Swaps the plugin in for another of its kind in a service, and gives the service's reference to it. */
function swappedIn<K extends ComponentType>(plugin: PluginConfig<K>): Make<K> {
  return async (options) => {
    const service = createService({
      name: 'swapped',
      plugins: [plugin],
      [plugin.type]: { use: plugin.name, options: (options ?? {}) as object },
    })
    await service.start()
    await service.swap(plugin.type, plugin.name, { watchMs: 0 })
    // The reference leaves disposing to the service.
    return Object.create(service.use(plugin.type as never), {
      [Symbol.asyncDispose]: { value: () => service.stop() },
    }) as ComponentTypes[K]
  }
}
