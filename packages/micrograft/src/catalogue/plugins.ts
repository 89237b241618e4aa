import { ServiceError, type PluginConfig } from '@micrograft/contracts'
import {
  createPlatform,
  installedPackage,
  type OpenOptions,
  type Platform,
  type Plugin,
} from '@micrograft/plugin'
import { componentTypes } from '../components/contract-shapes.js'
import type { Catalogue } from './catalogue.js'
import { findPluginFiles } from './find-files.js'
import { requirePluginConfig } from './plugin-config.js'

/** The symbol of a plugin file that a service looks for. */
const symbol = 'Plugin'

/** Plugin files of one service: loaded on a platform of its own, entered in its catalogue. */
export class Plugins {
  readonly #catalogue: Catalogue
  readonly #options: OpenOptions
  #platform: Platform | undefined

  constructor(catalogue: Catalogue, options: OpenOptions = {}) {
    this.#catalogue = catalogue
    this.#options = options
  }

  /** The platform that the files are opened on. */
  get platform(): Platform {
    this.#platform ??= createPlatform({
      ...this.#options,
      types: componentTypes,
      host: { '@micrograft/contracts': installedPackage('@micrograft/contracts', import.meta.url) },
    })
    return this.#platform
  }

  /**
   * Opens a plugin file and gives the config under its symbol `Plugin`.
   * @throws a `PluginError` where the file is refused; `invalid-option` where its config is none.
   */
  async load(path: string): Promise<PluginConfig> {
    const plugin = await this.platform.open(path)
    try {
      return configOf(plugin)
    } catch (error) {
      await plugin.close()
      throw error
    }
  }

  /**
   * Enters a config in the catalogue, so that a flag can choose it.
   * @throws `invalid-option`, saying what was expected.
   */
  init(config: PluginConfig): void {
    this.#catalogue.add(config)
  }

  /** Loads and enters everything that `entries` name, in order; `onError` decides over each that fails. */
  async loadAll(entries: readonly string[], onError: (entry: string, error: Error) => void): Promise<void> {
    for (const entry of entries) {
      try {
        for (const path of await findPluginFiles(entry)) this.init(await this.load(path))
      } catch (error) {
        onError(entry, error as Error)
      }
    }
  }

  async close(): Promise<void> {
    await this.#platform?.close()
  }
}

function configOf(plugin: Plugin): PluginConfig {
  const { name, version, type } = plugin.manifest
  const where = `the plugin ${name} ${version} (${plugin.path})`
  if (!plugin.symbols.includes(symbol)) {
    throw new ServiceError(
      'invalid-option',
      `${where} has no symbol ${symbol}; export its config under that name: export const ${symbol} = definePlugin({ … })`,
    )
  }
  const config = requirePluginConfig(plugin.lookup(symbol), where)
  if (type !== undefined && type !== config.type) {
    throw new ServiceError(
      'invalid-option',
      `${where} says in its manifest that it is a ${type}, and its config is that of a ${config.type}; build it with --type ${config.type}`,
    )
  }
  return config
}
