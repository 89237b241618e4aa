import { resolve } from 'node:path'
import { ServiceError, type PluginConfig } from '@micrograft/contracts'
import {
  compareVersionTexts,
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

/** Which version of a plugin a file has. */
export interface PluginSource {
  readonly path: string
  readonly name: string
  readonly version: string
}

/** Plugin files of one service: loaded on a platform of its own, entered in its catalogue. */
export class Plugins {
  readonly #catalogue: Catalogue
  readonly #options: OpenOptions
  /** The file that a config came from. */
  readonly #files = new WeakMap<PluginConfig, Plugin>()
  /** How many components of each config there are. */
  readonly #held = new Map<PluginConfig, number>()
  /** Paths that are being opened because somebody asked: no preference is followed for these. */
  readonly #asked = new Set<string>()
  #platform: Platform | undefined
  #onPreferred: ((config: PluginConfig) => void) | undefined

  constructor(catalogue: Catalogue, options: OpenOptions = {}) {
    this.#catalogue = catalogue
    this.#options = options
  }

  /** The platform that the files are opened on. */
  get platform(): Platform {
    if (this.#platform) return this.#platform
    const platform = createPlatform({
      ...this.#options,
      types: componentTypes,
      host: { '@micrograft/contracts': installedPackage('@micrograft/contracts', import.meta.url) },
    })
    platform.events.on('switched', ({ name, to }) => this.#preferred(platform, name, to))
    return (this.#platform = platform)
  }

  /** Calls `follow` with the config of each version that the platform comes to prefer, but for files that `load` was asked for. */
  follow(follow: (config: PluginConfig) => void): void {
    this.#onPreferred = follow
  }

  /**
   * Opens a plugin file and gives the config under its symbol `Plugin`.
   * @throws a `PluginError` where the file is refused; `invalid-option` where its config is none.
   */
  async load(given: string): Promise<PluginConfig> {
    const path = resolve(given)
    this.#asked.add(path)
    try {
      const plugin = await this.platform.open(path)
      try {
        return this.#configOf(plugin)
      } catch (error) {
        await plugin.close()
        throw error
      }
    } finally {
      this.#asked.delete(path)
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
        const configs: PluginConfig[] = []
        for (const path of await findPluginFiles(entry)) configs.push(await this.load(path))
        // Of several versions of one, the preferred is entered last, and counts.
        configs.sort((a, b) => compareVersionTexts(a.version, b.version))
        for (const config of configs) this.init(config)
      } catch (error) {
        onError(entry, error as Error)
      }
    }
  }

  /** Where the file of `config` is, where it came from one. */
  source(config: PluginConfig): PluginSource | undefined {
    const file = this.#files.get(config)
    return file && { path: file.path, name: config.name, version: config.version }
  }

  /**
   * Opens the file of a plugin again, which was closed meanwhile.
   * @throws `conflict` where something else is there now, and what `load` does.
   */
  async reopen({ path, name, version }: PluginSource): Promise<PluginConfig> {
    const found = await this.load(path)
    if (found.name === name && found.version === version) return found
    await this.tidy(found)
    throw new ServiceError(
      'conflict',
      `${path} was ${name} ${version} and is ${found.name} ${found.version} now`,
    )
  }

  /** A component is made of `config`: its file stays open. */
  hold(config: PluginConfig): void {
    this.#held.set(config, (this.#held.get(config) ?? 0) + 1)
  }

  /** A component of `config` was disposed. Gives whether its file was closed: nothing else is made of it and no flag could choose it. */
  async letGo(config: PluginConfig): Promise<boolean> {
    const left = (this.#held.get(config) ?? 1) - 1
    if (left > 0) this.#held.set(config, left)
    else this.#held.delete(config)
    return this.tidy(config)
  }

  /** Closes the file of `config` where it is of no use; gives whether it did. */
  async tidy(config: PluginConfig): Promise<boolean> {
    const file = this.#files.get(config)
    if (!file || this.#held.has(config) || this.#catalogue.has(config)) return false
    await file.close()
    return true
  }

  async close(): Promise<void> {
    await this.#platform?.close()
  }

  #preferred(platform: Platform, name: string, version: string | undefined): void {
    if (!this.#onPreferred || version === undefined) return
    const plugin = platform.plugins.find(
      (each) => each.manifest.name === name && each.manifest.version === version,
    )
    if (!plugin || this.#asked.has(plugin.path)) return
    try {
      this.#onPreferred(this.#configOf(plugin))
    } catch (error) {
      process.emitWarning(`${name} ${version} is preferred and cannot be used: ${(error as Error).message}`, {
        type: 'MicrograftWarning',
      })
    }
  }

  #configOf(plugin: Plugin): PluginConfig {
    const config = configOf(plugin)
    this.#files.set(config, plugin)
    return config
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
