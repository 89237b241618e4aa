import { ServiceError, type Codec } from '@micrograft/contracts'

/** Bytes, as they are; what is decoded is a copy. */
export function bytesCodec(): Codec {
  return {
    name: 'bytes',
    contentTypes: ['application/octet-stream'],
    text: false,
    encode(value) {
      if (!(value instanceof Uint8Array))
        throw new ServiceError(
          'bad-request',
          `the bytes codec writes a Uint8Array, not ${typeof value}; choose another content type`,
        )
      return value.slice()
    },
    decode: (bytes) => Uint8Array.prototype.slice.call(bytes),
  }
}
