import { fileURLToPath } from 'node:url'
import type { ComponentType, PluginConfig } from '@micrograft/contracts'
import type { Plugins } from '../catalogue/plugins.js'
import { packageVersion } from '../package-version.js'

/** Plugins that come with the framework as files, and are opened when they are first used. */
export function boxedPlugins(plugins: Plugins): readonly PluginConfig[] {
  const boxed = (type: ComponentType, name: string): PluginConfig => ({
    name,
    type,
    version: packageVersion,
    newFunc: async (options, context) => {
      const file = fileURLToPath(new URL(`../box/${type}-${name}.plugin.cjs`, import.meta.url))
      return (await plugins.load(file)).newFunc(options, context)
    },
  })
  return [boxed('client', 'grpc'), boxed('server', 'grpc')]
}
