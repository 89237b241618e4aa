import { definePlugin, type PluginConfig } from '@micrograft/contracts'
import { redisBroker } from './redis-broker.js'

export type { RedisBrokerOptions } from './redis-broker.js'
export type { RedisOptions, RedisTlsOptions } from '@micrograft/redis-link'

export const Plugin: PluginConfig<'broker'> = definePlugin({
  name: 'redis',
  type: 'broker',
  version: '0.1.0',
  newFunc: redisBroker,
})
