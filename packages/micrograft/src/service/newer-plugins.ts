import type { Logger, PluginConfig } from '@micrograft/contracts'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { Plugins } from '../catalogue/plugins.js'
import type { Swaps } from './swaps.js'

export interface NewerPluginsOptions {
  readonly plugins: Plugins
  readonly catalogue: Catalogue
  readonly swaps: Swaps
  readonly log: () => Logger
  /** Folder of plugin files that is watched. */
  readonly folder: string | undefined
}

/**
 * Takes newer versions of plugins that a service uses: those that appear in its folder, and those that
 * its platform is told to prefer. One that is not used yet can be chosen from then on.
 */
export async function followNewerPlugins(options: NewerPluginsOptions): Promise<void> {
  const { plugins, folder, log } = options
  plugins.follow((config) => void prefer(config, options))
  if (folder === undefined) return
  const { platform } = plugins
  platform.events.on('refused', ({ path, error }) => log().warn('plugin file refused', { path, error }))
  await platform.watch(folder)
}

async function prefer(config: PluginConfig, { swaps, catalogue, log }: NewerPluginsOptions): Promise<void> {
  try {
    if (swaps.wants(config)) await swaps.swap(config.type, config, { by: 'preference' })
    else if (!swaps.has(config)) catalogue.add(config)
  } catch (error) {
    log().warn('newer plugin not taken', { plugin: `${config.name} ${config.version}`, error })
  }
}
