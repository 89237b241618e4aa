import { ServiceError, type ComponentType, type PluginConfig } from '@micrograft/contracts'
import { hint } from './nearest.js'
import { requirePluginConfig } from './plugin-config.js'

/** Type → name → config: what a flag chooses from. Each service has its own. */
export class Catalogue {
  readonly #entries = new Map<ComponentType, Map<string, PluginConfig>>()

  constructor(configs: Iterable<PluginConfig> = []) {
    for (const config of configs) this.add(config)
  }

  /**
   * Enters a config. One that has the type and name already gives way to it: a plugin may stand in
   * for a built-in.
   * @throws `invalid-option` where it is no config.
   */
  add(config: PluginConfig, where: string = `the plugin ${config?.name}`): void {
    const { type, name } = requirePluginConfig(config, where)
    const names = this.#entries.get(type) ?? new Map<string, PluginConfig>()
    this.#entries.set(type, names.set(name, config))
  }

  /** @throws `not-found`, listing the names that are known and the nearest. */
  find<K extends ComponentType>(type: K, name: string): PluginConfig<K> {
    const found = this.#entries.get(type)?.get(name)
    if (!found)
      throw new ServiceError(
        'not-found',
        `there is no ${type} called ${JSON.stringify(name)}${hint(name, this.names(type))}`,
      )
    return found as PluginConfig<K>
  }

  /** Whether a flag would choose this very config. */
  has(config: PluginConfig): boolean {
    return this.#entries.get(config.type)?.get(config.name) === config
  }

  names(type: ComponentType): readonly string[] {
    return [...(this.#entries.get(type)?.keys() ?? [])].sort()
  }

  configs(type: ComponentType): readonly PluginConfig[] {
    return [...(this.#entries.get(type)?.values() ?? [])]
  }
}
