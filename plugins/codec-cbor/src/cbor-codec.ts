// The entry without `cbor-extract`, a native addon, which no plugin file can hold.
import { Encoder } from 'cbor-x/encode'
import { resolveOptions, type Codec } from '@micrograft/contracts'
import { cborError } from './cbor-error.js'
import { checkCbor } from './check-cbor.js'
import { plainIntegers } from './plain-integers.js'

export interface CborCodecOptions {
  /** Deepest nesting that is read and written, in levels. @default 256 */
  readonly maxDepth?: number | undefined
}

/** CBOR (RFC 8949), with maps as plain objects. Nothing is kept between values: no shared structures. */
export function cborCodec(options?: CborCodecOptions): Codec {
  const { maxDepth } = resolveOptions('the options of the cbor codec', { maxDepth: 256 }, options)
  const encoder = new Encoder({
    useRecords: false,
    mapsAsObjects: true,
    variableMapSize: true,
    copyBuffers: true,
    tagUint8Array: false,
  })
  return {
    name: 'cbor',
    contentTypes: ['application/cbor'],
    text: false,
    encode(value) {
      let bytes: Uint8Array
      try {
        // A copy: what the library gives is a part of the buffer that it writes everything to.
        bytes = Uint8Array.prototype.slice.call(encoder.encode(value))
      } catch (cause) {
        throw cborError('cannot write the value as CBOR', cause)
      }
      // What is written can be read: the library also writes what only it would read.
      checkCbor(bytes, maxDepth, 'cannot write the value as CBOR')
      return bytes
    },
    decode(bytes) {
      // A view of our own: the library leaves a property on what it reads.
      const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      const { wideIntegers } = checkCbor(view, maxDepth, 'the bytes are not CBOR that is read')
      try {
        const value: unknown = encoder.decode(view)
        return wideIntegers ? plainIntegers(value) : value
      } catch (cause) {
        throw cborError('the bytes are not CBOR that is read', cause)
      }
    },
  }
}
