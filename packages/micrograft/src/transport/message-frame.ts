import { ServiceError, type Message } from '@micrograft/contracts'
import type { RangeHandler } from './bare-messages.js'
import { maxHeaderEntries } from './limits.js'
import { protocolError } from './protocol-error.js'
import { ByteReader, varintBytes, writeVarint } from './varint.js'

/** Bytes before a message: how long the rest is, big-endian. */
export const prefixBytes = 4

const emptyHeader: Message['header'] = Object.freeze({})

/** How many bytes `header` takes: one where it is empty. */
export function headerBytes(header: Message['header']): number {
  let bytes = 0
  let count = 0
  for (const name in header) {
    count++
    bytes += textBytes(name) + textBytes(header[name] as string)
  }
  if (count > maxHeaderEntries) {
    throw new ServiceError('too-large', `a header has ${count} entries, at most ${maxHeaderEntries} may be`)
  }
  return bytes + varintBytes(count)
}

/** Writes the prefix of a message without a header and with `bodyBytes`, and gives the offset behind it. */
export function writeBareHead(target: Buffer, offset: number, bodyBytes: number): number {
  const length = bodyBytes + 1
  target[offset] = length >>> 24
  target[offset + 1] = length >>> 16
  target[offset + 2] = length >>> 8
  target[offset + 3] = length
  target[offset + 4] = 0
  return offset + prefixBytes + 1
}

/** Writes a message's prefix and header, whose size is `size`, and gives the offset behind them. */
export function writeHead(target: Buffer, offset: number, { header, body }: Message, size: number): number {
  if (size === 1) return writeBareHead(target, offset, body.length)
  target.writeUInt32BE(size + body.length, offset)
  const entries = Object.entries(header)
  let at = writeVarint(target, offset + prefixBytes, entries.length)
  for (const [name, value] of entries) at = writeText(target, writeText(target, at, name), value)
  return at
}

function textBytes(text: string): number {
  const bytes = Buffer.byteLength(text)
  return bytes + varintBytes(bytes)
}

function writeText(target: Buffer, offset: number, text: string): number {
  const at = writeVarint(target, offset, Buffer.byteLength(text))
  return at + target.write(text, at)
}

/**
 * Puts messages together from chunks. Messages that are whole in a chunk are views of it; one that
 * is spread is collected in a buffer that grows with what has come, never with what is announced.
 */
export class MessageReader {
  readonly #maxMessageBytes: number
  readonly #deliver: (message: Message) => void
  readonly #deliverRange: RangeHandler['range'] | undefined
  #stopped = false
  /** The beginning of an unfinished message, prefix included. */
  #part: Buffer | undefined
  #have = 0
  /** How long that message is; 0 while its prefix is not whole. */
  #need = 0

  /** @param deliverRange Gets the messages without a header, where it is given. */
  constructor(
    maxMessageBytes: number,
    deliver: (message: Message) => void,
    deliverRange?: RangeHandler['range'],
  ) {
    this.#maxMessageBytes = maxMessageBytes
    this.#deliver = deliver
    this.#deliverRange = deliverRange
  }

  /** Whether part of a message waits for the rest. */
  get unfinished(): boolean {
    return this.#have > 0
  }

  /** Hands over nothing more, also of the chunk that is being read. */
  stop(): void {
    this.#stopped = true
    this.#part = undefined
    this.#have = 0
  }

  /** @throws `protocol`, after which it must not be used. */
  push(chunk: Buffer): void {
    let at = this.#have > 0 ? this.#continue(chunk) : 0
    const size = chunk.length
    while (size - at >= prefixBytes && !this.#stopped) {
      const end = at + this.#length(chunk, at)
      if (end > size) break
      this.#take(chunk, at + prefixBytes, end)
      at = end
    }
    if (at < size && !this.#stopped) this.#keep(chunk, at)
  }

  /** The length of the message at `at`, prefix included. */
  #length(bytes: Buffer, at: number): number {
    const length =
      (((bytes[at] as number) << 24) |
        ((bytes[at + 1] as number) << 16) |
        ((bytes[at + 2] as number) << 8) |
        (bytes[at + 3] as number)) >>>
      0
    // The number of entries is not counted, so that a body of the limit with no header passes.
    if (length - 1 > this.#maxMessageBytes) {
      throw protocolError(
        `a message of ${length - 1} bytes was announced, at most ${this.#maxMessageBytes} may be`,
      )
    }
    if (length === 0) throw protocolError('a message of no bytes was announced')
    return length + prefixBytes
  }

  #take(bytes: Buffer, start: number, end: number): void {
    if (bytes[start] === 0) {
      if (this.#deliverRange) this.#deliverRange(bytes, start + 1, end)
      else this.#deliver({ header: emptyHeader, body: bytes.subarray(start + 1, end) })
      return
    }
    const reader = new ByteReader()
    reader.reset(bytes, start, end)
    const header = readHeader(reader)
    this.#deliver({ header, body: reader.rest() })
  }

  /** Adds to the unfinished message, and gives how much of `chunk` that took. */
  #continue(chunk: Buffer): number {
    let at = 0
    if (this.#need === 0) {
      const part = this.#part as Buffer
      while (this.#have < prefixBytes && at < chunk.length) part[this.#have++] = chunk[at++] as number
      if (this.#have < prefixBytes) return at
      this.#need = this.#length(part, 0)
    }
    const take = Math.min(this.#need - this.#have, chunk.length - at)
    this.#append(chunk, at, take)
    if (this.#have < this.#need) return at + take
    const part = this.#part as Buffer
    this.#part = undefined
    this.#have = 0
    const need = this.#need
    this.#need = 0
    this.#take(part, prefixBytes, need)
    return at + take
  }

  #keep(chunk: Buffer, at: number): void {
    const rest = chunk.length - at
    this.#have = 0
    this.#need = rest < prefixBytes ? 0 : this.#length(chunk, at)
    this.#part = Buffer.allocUnsafe(this.#need === 0 ? prefixBytes : this.#room(rest))
    this.#append(chunk, at, rest)
  }

  #append(chunk: Buffer, at: number, size: number): void {
    let part = this.#part as Buffer
    const have = this.#have + size
    if (have > part.length) {
      const larger = Buffer.allocUnsafe(this.#room(have))
      part.copy(larger, 0, 0, this.#have)
      this.#part = part = larger
    }
    chunk.copy(part, this.#have, at, at + size)
    this.#have = have
  }

  #room(have: number): number {
    return Math.min(this.#need, Math.max(1024, have * 2))
  }
}

function readHeader(reader: ByteReader): Message['header'] {
  const count = reader.varint()
  if (count > maxHeaderEntries) {
    throw protocolError(`a header has ${count} entries, at most ${maxHeaderEntries} may be`)
  }
  const header: Record<string, string> = {}
  for (let i = 0; i < count; i++) {
    const name = reader.text(reader.end, 'a header name')
    const value = reader.text(reader.end, 'a header value')
    if (name === '__proto__') throw protocolError('a header is named __proto__')
    header[name] = value
  }
  return header
}
