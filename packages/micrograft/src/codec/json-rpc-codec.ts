import type { Codec } from '@micrograft/contracts'
import { jsonCodec, type JsonCodecOptions } from './json-codec.js'

/** JSON, for calls that mucp is to put into go-micro's JSON-RPC envelope: the content type asks for it. */
export function jsonRpcCodec(options?: JsonCodecOptions): Codec {
  return { ...jsonCodec(options), name: 'json-rpc', contentTypes: ['application/json-rpc'] }
}
