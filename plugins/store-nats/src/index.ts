import { definePlugin, type PluginConfig } from '@micrograft/contracts'
import { natsStore, type NatsStoreOptions } from './nats-store.js'

export type { NatsConnectionOptions, NatsTlsOptions } from '@micrograft/nats-link'
export type { NatsStoreOptions } from './nats-store.js'

export const Plugin: PluginConfig<'store'> = definePlugin<'store', NatsStoreOptions | undefined>({
  name: 'nats',
  type: 'store',
  version: '0.1.0',
  newFunc: natsStore,
})
