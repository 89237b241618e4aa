import type { Message } from '@micrograft/contracts'
import { Gather } from './gather.js'
import { ChunkDecoder } from './http-chunks.js'
import { maxStartLineBytes, parseHead, type HttpHead } from './http-head.js'
import { HttpRefusal } from './http-refusal.js'

export interface HttpReaderLimits {
  readonly maxMessageBytes: number
  readonly maxHeaderBytes: number
}

/** Who is told what was read. */
export interface HttpReaderOwner {
  /** Called before the body is read. */
  began(head: HttpHead): void
  ended(message: Message, head: HttpHead): void
}

const terminator = Buffer.from('\r\n\r\n')
const noBytes = new Uint8Array(0)
const cr = 0x0d
const lf = 0x0a
const tab = 0x09

/**
 * Takes HTTP/1.1 requests, or responses, out of chunks of any size. A message that is whole in a chunk
 * has a view of it as its body.
 */
export class HttpReader {
  /** How many messages have come. */
  received = 0
  readonly #kind: 'request' | 'response'
  readonly #limits: HttpReaderLimits
  readonly #owner: HttpReaderOwner
  /** The beginning of a head or of a body that is not whole. */
  readonly #part = new Gather()
  /** How many bytes of the terminator the head ends with so far. */
  #matched = 0
  /** Bytes of the head that were looked at for what no first line has; -1 once that line is whole. */
  #looked = 0
  #head: HttpHead | undefined
  #chunks: ChunkDecoder | undefined
  #stopped = false

  constructor(kind: 'request' | 'response', limits: HttpReaderLimits, owner: HttpReaderOwner) {
    this.#kind = kind
    this.#limits = limits
    this.#owner = owner
  }

  get unfinished(): boolean {
    return this.#head !== undefined || this.#part.length > 0
  }

  stop(): void {
    this.#stopped = true
    this.#head = undefined
    this.#part.clear()
  }

  /** @throws `HttpRefusal`, after which it must not be used. */
  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.#stopped) {
      if (this.#head) at = this.#readBody(chunk, at, this.#head)
      else at = this.#readHead(chunk, at)
    }
  }

  /** Says that nothing more comes. @throws `HttpRefusal` inside a message. */
  end(): void {
    const head = this.#head
    if (head?.body === 'until the end') this.#finish(head, this.#part.take())
    else if (this.unfinished) throw new HttpRefusal(400, 'the peer ended the connection inside a message')
  }

  #readHead(chunk: Buffer, at: number): number {
    const end = this.#endOfHead(chunk, at)
    const have = this.#part.length
    const bytes = have + (end === -1 ? chunk.length : end) - at
    if (bytes > this.#limits.maxHeaderBytes) {
      throw new HttpRefusal(431, `a header has more than ${this.#limits.maxHeaderBytes} bytes`)
    }
    if (end === -1) {
      this.#part.append(chunk, at, chunk.length, this.#limits.maxHeaderBytes)
      this.#checkFirstLine()
      return chunk.length
    }
    let text: string
    if (have === 0) text = chunk.toString('latin1', at, Math.max(at, end - terminator.length))
    else {
      this.#part.append(chunk, at, end, bytes)
      text = this.#part.take().toString('latin1', 0, bytes - terminator.length)
    }
    this.#matched = 0
    this.#looked = 0
    this.#begin(parseHead(text, this.#kind))
    return end
  }

  /** The offset behind the empty line, or -1 where it has not come. */
  #endOfHead(chunk: Buffer, from: number): number {
    let at = from
    // What has come of the terminator with the chunk before.
    while (this.#matched > 0 && at < chunk.length) {
      const byte = chunk[at++]
      if (byte === terminator[this.#matched]) this.#matched++
      else this.#matched = byte === cr ? 1 : 0
      if (this.#matched === terminator.length) return at
    }
    if (at === chunk.length) return -1
    const found = chunk.indexOf(terminator, at)
    if (found !== -1) return found + terminator.length
    this.#matched = endMatch(chunk, at)
    return -1
  }

  /** Tells at once that what comes is no HTTP, e.g. the beginning of TLS: its end would never come. */
  #checkFirstLine(): void {
    if (this.#looked === -1) return
    const { bytes } = this.#part
    let at = this.#looked
    // One empty line may stand before it.
    if (at === 0 && bytes[0] === cr) {
      if (bytes.length < 2) return
      if (bytes[1] === lf) at = 2
    }
    for (; at < bytes.length; at++) {
      const byte = bytes[at] as number
      if (byte === cr) {
        this.#looked = -1
        return
      }
      if ((byte < 0x20 && byte !== tab) || byte === 0x7f) throw new HttpRefusal(400, 'what came is not HTTP')
    }
    this.#looked = at
    if (at > maxStartLineBytes) {
      throw new HttpRefusal(414, `the first line has more than ${maxStartLineBytes} bytes`)
    }
  }

  #begin(head: HttpHead): void {
    if (head.status === 101) throw new HttpRefusal(400, 'the peer switched protocols unasked')
    // Interim responses say nothing about the message.
    if (head.status >= 100 && head.status < 200) return
    const most = this.#maxBodyBytes(head)
    if (most < 0 || (typeof head.body === 'number' && head.body > most)) throw tooLarge(this.#limits)
    if (head.body === 'chunked') this.#chunks = new ChunkDecoder(this.#part, most)
    this.#head = head
    this.#owner.began(head)
    if (head.body === 0) this.#finish(head, noBytes)
  }

  #readBody(chunk: Buffer, at: number, head: HttpHead): number {
    const { body } = head
    if (body === 'chunked') {
      const chunks = this.#chunks as ChunkDecoder
      const next = chunks.push(chunk, at)
      if (chunks.done) this.#finish(head, this.#part.take())
      return next
    }
    const part = this.#part
    if (body === 'until the end') {
      const most = this.#maxBodyBytes(head)
      if (part.length + chunk.length - at > most) throw tooLarge(this.#limits)
      part.append(chunk, at, chunk.length, most)
      return chunk.length
    }
    if (part.length === 0 && chunk.length - at >= body) {
      this.#finish(head, chunk.subarray(at, at + body))
      return at + body
    }
    const end = Math.min(chunk.length, at + body - part.length)
    part.append(chunk, at, end, body)
    if (part.length === body) this.#finish(head, part.take())
    return end
  }

  #maxBodyBytes({ headerBytes }: HttpHead): number {
    return this.#limits.maxMessageBytes - headerBytes
  }

  #finish(head: HttpHead, body: Uint8Array): void {
    if (this.#stopped) return
    this.#head = undefined
    this.#chunks = undefined
    this.received++
    this.#owner.ended({ header: head.header, body }, head)
  }
}

/** How many bytes of the terminator `chunk` ends with, from `from` on. */
function endMatch(chunk: Buffer, from: number): number {
  for (let length = Math.min(terminator.length - 1, chunk.length - from); length > 0; length--) {
    if (chunk.subarray(chunk.length - length).equals(terminator.subarray(0, length))) return length
  }
  return 0
}

function tooLarge({ maxMessageBytes }: HttpReaderLimits): HttpRefusal {
  return new HttpRefusal(413, `a message is larger than ${maxMessageBytes} bytes`)
}
