import { definePlugin, type PluginConfig } from '@micrograft/contracts'
import { mqttBroker } from './mqtt-broker.js'

export type { MqttBrokerOptions, MqttTlsOptions } from './mqtt-options.js'

export const Plugin: PluginConfig<'broker'> = definePlugin({
  name: 'mqtt',
  type: 'broker',
  version: '0.1.0',
  newFunc: mqttBroker,
})
