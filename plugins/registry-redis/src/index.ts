import { definePlugin, type PluginConfig } from '@micrograft/contracts'
import { redisRegistry } from './redis-registry.js'

export type { RedisOptions, RedisTlsOptions } from '@micrograft/redis-link'
export type { RedisRegistryOptions } from './redis-registry.js'

export const Plugin: PluginConfig<'registry'> = definePlugin({
  name: 'redis',
  type: 'registry',
  version: '0.1.0',
  newFunc: redisRegistry,
})
