import { isMessage, toBinary, type Registry } from '@bufbuild/protobuf'
import { resolveOptions, ServiceError, type Codec } from '@micrograft/contracts'

export interface ProtobufCodecOptions {
  /** Descriptors of the messages that are written. @default none: only bytes are written */
  readonly registry?: Registry | undefined
}

/**
 * Protocol Buffers, as every peer of them writes a message. Bytes do not say which message they are, so
 * they are given as bytes: who knows the message reads them, with `fromBinary` or with the schema of
 * its endpoint.
 */
export function protobufCodec(options?: ProtobufCodecOptions): Codec {
  const { registry } = resolveOptions('the options of the protobuf codec', { registry: undefined }, options)
  return {
    name: 'protobuf',
    contentTypes: ['application/protobuf', 'application/x-protobuf'],
    text: false,
    encode(value) {
      if (value instanceof Uint8Array) return value.slice()
      const name = isMessage(value) ? value.$typeName : undefined
      const descriptor = name === undefined ? undefined : registry?.getMessage(name)
      if (descriptor) return toBinary(descriptor, value as never)
      const what =
        name === undefined
          ? `not ${typeof value}`
          : `and knows no ${name}: give its descriptor in the option registry`
      throw new ServiceError('bad-request', `the protobuf codec writes messages and bytes, ${what}`)
    },
    decode: (bytes) => Uint8Array.prototype.slice.call(bytes),
  }
}
