import { definePlugin, type PluginConfig } from '@micrograft/contracts'
import { natsRegistry, type NatsRegistryOptions } from './nats-registry.js'

export type { NatsConnectionOptions, NatsTlsOptions } from '@micrograft/nats-link'
export type { NatsRegistryOptions } from './nats-registry.js'

export const Plugin: PluginConfig<'registry'> = definePlugin<'registry', NatsRegistryOptions | undefined>({
  name: 'nats',
  type: 'registry',
  version: '0.1.0',
  newFunc: natsRegistry,
})
