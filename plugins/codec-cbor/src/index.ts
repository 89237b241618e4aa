import { definePlugin, type PluginConfig } from '@micrograft/contracts'
import { cborCodec } from './cbor-codec.js'

export type { CborCodecOptions } from './cbor-codec.js'

export const Plugin: PluginConfig<'codec'> = definePlugin({
  name: 'cbor',
  type: 'codec',
  version: '0.1.0',
  newFunc: cborCodec,
})
