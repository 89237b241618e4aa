import { definePlugin, type PluginConfig } from '@micrograft/contracts'
import { rabbitmqBroker } from './rabbitmq-broker.js'

export type { RabbitmqBrokerOptions, RabbitmqTlsOptions } from './rabbitmq-options.js'

export const Plugin: PluginConfig<'broker'> = definePlugin({
  name: 'rabbitmq',
  type: 'broker',
  version: '0.1.0',
  newFunc: rabbitmqBroker,
})
