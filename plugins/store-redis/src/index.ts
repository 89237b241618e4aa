import { definePlugin, type PluginConfig } from '@micrograft/contracts'
import { redisStore } from './redis-store.js'

export type { RedisOptions, RedisTlsOptions } from '@micrograft/redis-link'
export type { RedisStoreOptions } from './redis-store.js'

export const Plugin: PluginConfig<'store'> = definePlugin({
  name: 'redis',
  type: 'store',
  version: '0.1.0',
  newFunc: redisStore,
})
