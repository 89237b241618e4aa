import { definePlugin, type PluginConfig } from '@micrograft/contracts'
import { natsBroker, type NatsBrokerOptions } from './nats-broker.js'

export type { JetStreamOptions } from './jetstream-options.js'
export type { NatsBrokerOptions } from './nats-broker.js'
export type { NatsConnectionOptions, NatsTlsOptions } from '@micrograft/nats-link'

export const Plugin: PluginConfig<'broker'> = definePlugin<'broker', NatsBrokerOptions | undefined>({
  name: 'nats',
  type: 'broker',
  version: '0.1.0',
  newFunc: natsBroker,
})
