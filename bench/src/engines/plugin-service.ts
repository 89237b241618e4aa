import { createService, type PluginConfig, type Service } from 'micrograft'

export interface PluginInput {
  /** Folder of the plugin; `undefined` for a part that is built in. */
  readonly plugin: string | undefined
  readonly options: Readonly<Record<string, unknown>> | undefined
  readonly address: string
}

/** A service whose part of `type` is what a plugin makes, at the address of a real server. */
export async function pluginService(
  type: 'broker' | 'store' | 'registry',
  { plugin, options, address }: PluginInput,
): Promise<Service> {
  const service = createService({
    name: 'bench',
    logger: 'noop',
    registry: 'memory',
    [type]: { use: await pluginOf(plugin), options: { ...options, addresses: [address] } },
  })
  await service.init([], {})
  await service.start()
  return service
}

async function pluginOf(folder: string | undefined): Promise<PluginConfig> {
  const index = new URL(`../../../plugins/${folder}/dist/index.js`, import.meta.url)
  return ((await import(index.href)) as { readonly Plugin: PluginConfig }).Plugin
}
