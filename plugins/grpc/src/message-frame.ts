import { gunzipSync, inflateSync } from 'node:zlib'
import { ServiceError } from '@micrograft/contracts'

const headBytes = 5
const noBytes = Buffer.alloc(0)
/** Up to here one buffer is made of a message, which is one write instead of two. */
const joinBytes = 16_384

export const acceptedEncodings = 'identity,gzip,deflate'

/** A message as it goes over the wire, in one or two pieces: a flag, its length, its bytes. */
export function frameMessage(body: Uint8Array): readonly Uint8Array[] {
  const joined = body.length <= joinBytes
  const head = Buffer.allocUnsafe(joined ? headBytes + body.length : headBytes)
  head[0] = 0
  head.writeUInt32BE(body.length, 1)
  if (!joined) return [head, body]
  head.set(body, headBytes)
  return [head]
}

/** Takes messages out of the bytes of one direction of a call. */
export class MessageReader {
  readonly #maxBytes: number
  readonly #encoding: string | undefined
  readonly #head = Buffer.allocUnsafe(headBytes)
  #headFilled = 0
  /** How long the message is that has begun. */
  #length = 0
  /** What has come of it, in a buffer that grows with what comes and never with what is announced. */
  #body: Buffer = noBytes
  #held = 0

  /** @param encoding That of compressed messages. */
  constructor(maxBytes: number, encoding: string | undefined) {
    this.#maxBytes = maxBytes
    this.#encoding = encoding
  }

  /** Bytes of a message that has not come whole. */
  get held(): number {
    return this.#held
  }

  /** Whether the bytes so far end within a message. */
  get partial(): boolean {
    return this.#headFilled > 0
  }

  /** @throws `protocol`, `too-large` and `unsupported`; no more bytes can be taken then. */
  read(chunk: Buffer, take: (body: Buffer) => void): void {
    let at = 0
    while (at < chunk.length || (this.#headFilled === headBytes && this.#length === 0)) {
      if (this.#headFilled < headBytes) {
        const size = chunk.copy(this.#head, this.#headFilled, at, at + headBytes - this.#headFilled)
        this.#headFilled += size
        at += size
        if (this.#headFilled === headBytes) this.#begin()
        continue
      }
      at += this.#append(chunk, at)
      if (this.#held === this.#length) take(this.#end())
    }
  }

  #begin(): void {
    const flag = this.#head[0] as number
    if (flag > 1) throw new ServiceError('protocol', `a message begins with ${flag}, which is no flag`)
    this.#length = this.#head.readUInt32BE(1)
    if (this.#length > this.#maxBytes) throw this.#tooLarge(`of ${this.#length} bytes`)
  }

  /**
   * A copy, so that a small message does not keep what came along with it; and one buffer, as one for each
   * piece would cost a hundred times what a peer sends that sends single bytes.
   * @returns how much of `chunk` belongs to the message
   */
  #append(chunk: Buffer, at: number): number {
    const size = Math.min(this.#length - this.#held, chunk.length - at)
    const held = this.#held + size
    if (held > this.#body.length) {
      const larger = Buffer.allocUnsafe(Math.min(this.#length, Math.max(held, this.#body.length * 2)))
      this.#body.copy(larger, 0, 0, this.#held)
      this.#body = larger
    }
    chunk.copy(this.#body, this.#held, at, at + size)
    this.#held = held
    return size
  }

  #end(): Buffer {
    const body = this.#body
    this.#body = noBytes
    this.#held = 0
    this.#headFilled = 0
    return this.#head[0] === 0 ? body : this.#expand(body)
  }

  #expand(body: Buffer): Buffer {
    const expand =
      this.#encoding === 'gzip' ? gunzipSync : this.#encoding === 'deflate' ? inflateSync : undefined
    if (!expand) {
      throw new ServiceError(
        this.#encoding === undefined || this.#encoding === 'identity' ? 'protocol' : 'unsupported',
        `a message is compressed by ${JSON.stringify(this.#encoding ?? 'nothing')}; gzip and deflate are known`,
      )
    }
    try {
      return expand(body, { maxOutputLength: Math.max(1, this.#maxBytes) })
    } catch (error) {
      if (error instanceof RangeError) throw this.#tooLarge('that is compressed')
      throw new ServiceError('protocol', `a message is no ${this.#encoding}`, { cause: error })
    }
  }

  #tooLarge(what: string): ServiceError {
    return new ServiceError('too-large', `a message ${what} is larger than the limit of ${this.#maxBytes}`)
  }
}
