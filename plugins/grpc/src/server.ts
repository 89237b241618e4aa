import { definePlugin, type PluginConfig } from '@micrograft/contracts'
import { grpcServer } from './grpc-server.js'

export const Plugin: PluginConfig<'server'> = definePlugin({
  name: 'grpc',
  type: 'server',
  version: '0.1.0',
  newFunc: grpcServer,
})
