import { definePlugin, type PluginConfig } from '@micrograft/contracts'
import { natsTransport, type NatsTransportOptions } from './nats-transport.js'

export type { NatsConnectionOptions, NatsTlsOptions } from '@micrograft/nats-link'
export type { NatsTransportOptions } from './nats-transport.js'

export const Plugin: PluginConfig<'transport'> = definePlugin<'transport', NatsTransportOptions | undefined>({
  name: 'nats',
  type: 'transport',
  version: '0.1.0',
  newFunc: natsTransport,
})
