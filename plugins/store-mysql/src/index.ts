import { definePlugin, type PluginConfig } from '@micrograft/contracts'
import { mysqlStore } from './mysql-store.js'

export type { MysqlStoreOptions } from './mysql-store.js'
export type { MysqlTls } from './mysql-address.js'

export const Plugin: PluginConfig<'store'> = definePlugin({
  name: 'mysql',
  type: 'store',
  version: '0.1.0',
  newFunc: mysqlStore,
})
