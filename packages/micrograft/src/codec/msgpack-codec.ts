import { ServiceError, type Codec } from '@micrograft/contracts'
import { Packr } from 'msgpackr'

/** MessagePack, with maps as plain objects. Nothing is kept between values: no shared structures. */
export function msgpackCodec(): Codec {
  const packr = new Packr({
    useRecords: false,
    variableMapSize: true,
    mapsAsObjects: true,
    copyBuffers: true,
  })
  return {
    name: 'msgpack',
    contentTypes: ['application/msgpack', 'application/x-msgpack'],
    text: false,
    encode(value) {
      try {
        return Uint8Array.prototype.slice.call(packr.pack(value))
      } catch (cause) {
        throw new ServiceError(
          'bad-request',
          `cannot write the value as MessagePack: ${(cause as Error).message}`,
          { cause },
        )
      }
    },
    decode(bytes) {
      try {
        // A view of our own: the library leaves a property on what it reads.
        return packr.unpack(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)) as unknown
      } catch (cause) {
        throw new ServiceError('bad-request', `the bytes are not MessagePack: ${(cause as Error).message}`, {
          cause,
        })
      }
    },
  }
}
