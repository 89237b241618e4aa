import { protocolError } from './protocol-error.js'

/** Largest number that a varint carries. */
export const maxVarint = 0x7fff_ffff

/** How many bytes `value` takes as a varint: seven bits a byte, the low ones first. */
export function varintBytes(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x20_0000) return 3
  return value < 0x1000_0000 ? 4 : 5
}

/** Writes `value`, at most `maxVarint`, and gives the offset behind it. */
export function writeVarint(target: Uint8Array, offset: number, value: number): number {
  let rest = value
  let at = offset
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  target[at++] = rest
  return at
}

/** Reads bytes from front to back; everything throws `protocol` where the bytes do not hold what is asked for. */
export class ByteReader {
  bytes: Buffer = Buffer.alloc(0)
  offset = 0
  end = 0

  reset(bytes: Uint8Array, offset = 0, end: number = bytes.length): void {
    this.bytes =
      bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.offset = offset
    this.end = end
  }

  byte(): number {
    if (this.offset >= this.end) throw protocolError('a frame ends too early')
    return this.bytes[this.offset++] as number
  }

  varint(): number {
    const first = this.byte()
    return first < 0x80 ? first : this.#rest(first)
  }

  /** The bytes of a text of at most `maxBytes`, as UTF-8. */
  text(maxBytes: number, what: string): string {
    const length = this.varint()
    if (length > maxBytes) throw protocolError(`${what} has ${length} bytes, at most ${maxBytes} may be`)
    const start = this.offset
    const end = start + length
    if (end > this.end) throw protocolError('a frame ends too early')
    this.offset = end
    const { bytes } = this
    for (let at = start; at < end; at++) {
      if ((bytes[at] as number) >= 0x80) return utf8(bytes, start, end, what)
    }
    return bytes.toString('latin1', start, end)
  }

  /** What is left. */
  rest(): Buffer {
    return this.bytes.subarray(this.offset, this.end)
  }

  #rest(first: number): number {
    let value = first & 0x7f
    for (let shift = 7; shift < 35; shift += 7) {
      const next = this.byte()
      if (shift === 28 && next > 0x07) break
      value |= (next & 0x7f) << shift
      if (next < 0x80) {
        if (next === 0) break
        return value
      }
    }
    throw protocolError('a number has too many bytes')
  }
}

function utf8(bytes: Buffer, start: number, end: number, what: string): string {
  const text = bytes.toString('utf8', start, end)
  // A replacement character may have been sent as one: only then are the bytes compared.
  if (text.includes('\u{fffd}') && !Buffer.from(text).equals(bytes.subarray(start, end))) {
    throw protocolError(`${what} is not UTF-8`)
  }
  return text
}
