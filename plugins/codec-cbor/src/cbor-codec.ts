// The entry without `cbor-extract`, a native addon, which no plugin file can hold.
import { Encoder } from 'cbor-x/encode'
import { aCount, requireNumber, resolveOptions, type Codec } from '@micrograft/contracts'
import { cborError } from './cbor-error.js'
import { checkCbor } from './check-cbor.js'
import { floatDates } from './float-dates.js'
import { plainIntegers } from './plain-integers.js'

export interface CborCodecOptions {
  /** Deepest nesting that is read and written, in levels. @default 256 */
  readonly maxDepth?: number | undefined
}

/** CBOR (RFC 8949), with maps as plain objects. Nothing is kept between values: no shared structures. */
export function cborCodec(options?: CborCodecOptions): Codec {
  const { maxDepth } = resolveOptions('the options of the cbor codec', { maxDepth: 256 }, options)
  requireNumber('maxDepth of the cbor codec', maxDepth, aCount)
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
      try {
        // A copy: what the library gives is a part of the buffer that it writes everything to.
        const bytes: Uint8Array = Uint8Array.prototype.slice.call(encoder.encode(value))
        // What is written can be read: the library also writes what only it would read.
        checkCbor(bytes, maxDepth, 'cannot write the value as CBOR')
        return bytes
      } catch (cause) {
        throw cborError('cannot write the value as CBOR', cause)
      }
    },
    decode(bytes) {
      // A view of our own: the library leaves a property on what it reads.
      const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      try {
        const { wideIntegers, wideDates } = checkCbor(view, maxDepth, 'the bytes are not CBOR that is read')
        const value: unknown = encoder.decode(wideDates.length > 0 ? floatDates(view, wideDates) : view)
        return wideIntegers ? plainIntegers(value) : value
      } catch (cause) {
        throw cborError('the bytes are not CBOR that is read', cause)
      }
    },
  }
}
