import { definePlugin, type PluginConfig } from '@micrograft/contracts'
import { etcdRegistry } from './etcd-registry.js'

export type { EtcdTls } from './etcd-endpoint.js'
export type { EtcdRegistryOptions } from './etcd-registry.js'

export const Plugin: PluginConfig<'registry'> = definePlugin({
  name: 'etcd',
  type: 'registry',
  version: '0.1.0',
  newFunc: etcdRegistry,
})
