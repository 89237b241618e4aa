import type { Registry } from '@bufbuild/protobuf'
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
export async function protobufCodec(options?: ProtobufCodecOptions): Promise<Codec> {
  const { registry } = resolveOptions('the options of the protobuf codec', { registry: undefined }, options)
  // Loading the library takes half the start of a service: one without descriptors does without it.
  const library = registry && (await import('@bufbuild/protobuf'))
  return {
    name: 'protobuf',
    contentTypes: ['application/protobuf', 'application/x-protobuf'],
    text: false,
    encode(value) {
      if (value instanceof Uint8Array) return value.slice()
      const name = typeNameOf(value)
      const descriptor = name === undefined ? undefined : registry?.getMessage(name)
      if (library && descriptor) {
        try {
          return library.toBinary(descriptor, value as never)
        } catch (cause) {
          throw new ServiceError('bad-request', `cannot write ${name}: ${(cause as Error).message}`, {
            cause,
          })
        }
      }
      const what =
        name === undefined
          ? `not ${typeof value}`
          : `and knows no ${name}: give its descriptor in the option registry`
      throw new ServiceError('bad-request', `the protobuf codec writes messages and bytes, ${what}`)
    },
    decode: (bytes) => Uint8Array.prototype.slice.call(bytes),
  }
}

function typeNameOf(value: unknown): string | undefined {
  const name = (value as { readonly $typeName?: unknown } | null | undefined)?.$typeName
  return typeof name === 'string' ? name : undefined
}
