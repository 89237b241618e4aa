import { definePlugin, type PluginConfig } from '@micrograft/contracts'
import { grpcClient } from './grpc-client.js'

export const Plugin: PluginConfig<'client'> = definePlugin({
  name: 'grpc',
  type: 'client',
  version: '0.1.0',
  newFunc: grpcClient,
})
