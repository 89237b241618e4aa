import type { Codec } from '@micrograft/contracts'
import { protobufCodec, type ProtobufCodecOptions } from './protobuf-codec.js'

/** Protocol Buffers, for calls that mucp is to put into go-micro's proto-rpc envelope: the content type asks for it. */
export async function protoRpcCodec(options?: ProtobufCodecOptions): Promise<Codec> {
  return { ...(await protobufCodec(options)), name: 'proto-rpc', contentTypes: ['application/proto-rpc'] }
}
