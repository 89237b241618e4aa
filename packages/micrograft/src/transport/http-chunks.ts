import type { Gather } from './gather.js'
import { HttpRefusal } from './http-refusal.js'

/** Longest line that announces a chunk; extensions are passed over. */
const maxChunkLineBytes = 256
/** All fields behind the last chunk together; they are passed over. */
const maxTrailerBytes = 8192

const cr = 0x0d
const lf = 0x0a
const colon = 0x3a
const semicolon = 0x3b

type State =
  | 'size'
  | 'space'
  | 'extension'
  | 'end of size'
  | 'data'
  | 'end of data, CR'
  | 'end of data, LF'
  | 'trailer'
  | 'trailer line'
  | 'end of trailer line'
  | 'end'

/** Takes a chunked body (RFC 9112 §7.1) apart, in pieces of any size. */
export class ChunkDecoder {
  /** Whether the body is whole. */
  done = false
  readonly #body: Gather
  readonly #maxBytes: number
  #state: State = 'size'
  #size = 0
  #digits = 0
  /** Bytes of the line, or of the trailer. */
  #passed = 0
  #hasColon = false

  /** @param body Where the body goes. */
  constructor(body: Gather, maxBytes: number) {
    this.#body = body
    this.#maxBytes = maxBytes
  }

  /** Reads from `at` on, and gives the offset behind what belongs to the body. @throws `HttpRefusal` */
  push(chunk: Buffer, at: number): number {
    let next = at
    while (next < chunk.length && !this.done) {
      if (this.#state === 'data') next = this.#data(chunk, next)
      else this.#byte(chunk[next++] as number)
    }
    return next
  }

  #data(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#size)
    this.#body.append(chunk, at, end, this.#maxBytes)
    this.#size -= end - at
    if (this.#size === 0) this.#state = 'end of data, CR'
    return end
  }

  #byte(byte: number): void {
    switch (this.#state) {
      case 'size':
        this.#countLine()
        if (byte === cr && this.#digits > 0) this.#state = 'end of size'
        else if (byte === semicolon && this.#digits > 0) this.#state = 'extension'
        else if (isSpace(byte) && this.#digits > 0) this.#state = 'space'
        else this.#digit(byte)
        break
      case 'space':
        this.#countLine()
        if (byte === cr) this.#state = 'end of size'
        else if (byte === semicolon) this.#state = 'extension'
        else if (!isSpace(byte)) throw malformed()
        break
      case 'extension':
        this.#countLine()
        if (byte === cr) this.#state = 'end of size'
        else if (byte === lf) throw malformed()
        break
      case 'end of size':
        this.#expect(byte, lf)
        this.#begin()
        break
      case 'end of data, CR':
        this.#expect(byte, cr)
        this.#state = 'end of data, LF'
        break
      case 'end of data, LF':
        this.#expect(byte, lf)
        this.#state = 'size'
        break
      case 'end':
        this.#expect(byte, lf)
        this.done = true
        break
      default:
        this.#trailer(byte)
    }
  }

  #digit(byte: number): void {
    const digit = hexDigit(byte)
    if (digit < 0 || ++this.#digits > 8) throw malformed()
    this.#size = this.#size * 16 + digit
    if (this.#body.length + this.#size > this.#maxBytes) {
      throw new HttpRefusal(
        413,
        `a message is larger than the ${this.#maxBytes} bytes that its body may have`,
      )
    }
  }

  #begin(): void {
    this.#state = this.#size === 0 ? 'trailer' : 'data'
    this.#digits = 0
    this.#passed = 0
  }

  #trailer(byte: number): void {
    if (++this.#passed > maxTrailerBytes) throw new HttpRefusal(431, 'too much stands behind a chunked body')
    switch (this.#state) {
      case 'trailer':
        this.#hasColon = false
        if (byte === cr) this.#state = 'end'
        else {
          this.#state = 'trailer line'
          if (byte <= 0x20 || byte === colon) throw malformed()
        }
        break
      case 'trailer line':
        if (byte === colon) this.#hasColon = true
        if (byte === lf || (byte === cr && !this.#hasColon)) throw malformed()
        if (byte === cr) this.#state = 'end of trailer line'
        break
      default:
        this.#expect(byte, lf)
        this.#state = 'trailer'
    }
  }

  #countLine(): void {
    if (++this.#passed > maxChunkLineBytes) throw malformed()
  }

  #expect(byte: number, expected: number): void {
    if (byte !== expected) throw malformed()
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09
}

function malformed(): HttpRefusal {
  return new HttpRefusal(400, 'a chunked body is malformed')
}
