import { definePlugin, type PluginConfig } from '@micrograft/contracts'
import { postgresStore } from './postgres-store.js'

export type { PostgresStoreOptions } from './postgres-store.js'
export type { PostgresTls } from './postgres-address.js'

export const Plugin: PluginConfig<'store'> = definePlugin({
  name: 'postgres',
  type: 'store',
  version: '0.1.0',
  newFunc: postgresStore,
})
