import { definePlugin, type PluginConfig } from '@micrograft/contracts'
import { sqliteStore } from './sqlite-store.js'

export type { SqliteStoreOptions } from './sqlite-store.js'

export const Plugin: PluginConfig<'store'> = definePlugin({
  name: 'sqlite',
  type: 'store',
  version: '0.1.0',
  newFunc: sqliteStore,
})
