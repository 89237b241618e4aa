import { maxHeaderEntries } from './limits.js'
import { connectionFields, isToken } from './http-names.js'
import { HttpRefusal } from './http-refusal.js'

/** Longest request or status line, in bytes. */
export const maxStartLineBytes = 8192

/** Fields of a message, and those that belong to its connection. */
const maxFields = maxHeaderEntries + 16

const methods = new Set(['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'PUT', 'TRACE'])

// eslint-disable-next-line no-control-regex -- they are what must not be
const controls = /[\0-\x08\x0a-\x1f\x7f]/

/** What stands before a body. */
export interface HttpHead {
  /** The message's own, names in lower case. */
  readonly header: Record<string, string>
  /** Bytes of the names and values in it. */
  readonly headerBytes: number
  readonly body: number | 'chunked' | 'until the end'
  /** What a request asks for, as it came; empty for a response. */
  readonly target: string
  /** 0 for a request. */
  readonly status: number
  /** Whether the peer sends nothing more behind this message and waits for the connection to end. */
  readonly close: boolean
  /** Whether the peer waits for `100 Continue` before it sends the body. */
  readonly expects: boolean
}

interface StartLine {
  readonly target: string
  readonly status: number
  /** As it stands behind the version: `404 Not Found`. */
  readonly statusText: string
  readonly isHttp10: boolean
}

/**
 * Takes a head apart.
 * @param text Its bytes as latin1, up to the empty line. An empty line before it is passed over (RFC 9112 §2.2).
 * @throws `HttpRefusal`
 */
export function parseHead(text: string, kind: 'request' | 'response'): HttpHead {
  const lines = (text.startsWith('\r\n') ? text.slice(2) : text).split('\r\n')
  const first = lines[0] as string
  if (first.length > maxStartLineBytes) {
    throw new HttpRefusal(
      414,
      `the first line has ${first.length} bytes, at most ${maxStartLineBytes} may be`,
    )
  }
  const start = kind === 'request' ? requestLine(first) : statusLine(first)
  if (lines.length - 1 > maxFields) {
    throw new HttpRefusal(431, `a header has ${lines.length - 1} fields, at most ${maxFields} may be`)
  }
  const fields = new Fields()
  for (let i = 1; i < lines.length; i++) fields.add(lines[i] as string)
  return fields.head(start)
}

function requestLine(line: string): StartLine {
  const [, method = '', target = '', major, minor] =
    /^([^ ]+) ([\x21-\x7e]+) HTTP\/(\d)\.(\d)$/.exec(line) ?? []
  if (!isToken(method)) throw new HttpRefusal(400, 'the first line is no HTTP request line')
  if (major !== '1') throw new HttpRefusal(505, 'only HTTP/1.1 is spoken here')
  if (method !== 'POST') {
    throw new HttpRefusal(
      methods.has(method) ? 405 : 501,
      'only POST requests of microservices are taken here',
    )
  }
  return { target, status: 0, statusText: '', isHttp10: minor === '0' }
}

function statusLine(line: string): StartLine {
  const match = /^HTTP\/1\.([01]) (([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?)$/.exec(line)
  if (!match) throw new HttpRefusal(400, 'the first line is no HTTP/1.1 status line')
  return {
    target: '',
    status: Number(match[3]),
    statusText: (match[2] as string).trim(),
    isHttp10: match[1] === '0',
  }
}

/** The fields of one head while they are read. */
class Fields {
  readonly #header: Record<string, string> = {}
  #entries = 0
  #bytes = 0
  #length: number | undefined
  #isChunked = false
  #close = false
  #keepAlive = false
  #expects = false

  add(line: string): void {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(0, colon))
    // Also a line that goes on from the one before (RFC 9112 §5.2), and white space before the colon (§5.1).
    if (!isToken(name)) throw new HttpRefusal(400, 'a header line has no valid name')
    const value = withoutSpace(line, colon + 1)
    // Bare CR and LF are among them. RFC 9110 §5.5.
    if (controls.test(value)) throw new HttpRefusal(400, `the header ${name} has control characters`)
    const lower = name.toLowerCase()
    if (connectionFields.has(lower)) this.#setConnectionField(lower, value)
    else
      this.#set(
        lower,
        /[\x80-\xff]/.test(value) ? Buffer.from(value, 'latin1').toString() : value,
        value.length,
      )
  }

  head({ target, status, statusText, isHttp10 }: StartLine): HttpHead {
    if (this.#isChunked && isHttp10) throw new HttpRefusal(400, 'HTTP/1.0 has no transfer encodings')
    // Which of the two is right is what request smuggling lives on. RFC 9112 §6.3.
    if (this.#isChunked && this.#length !== undefined) {
      throw new HttpRefusal(400, 'a header has both a content length and a transfer encoding')
    }
    if (status !== 0 && status !== 200) this.#header[':status'] = statusText
    return {
      header: this.#header,
      headerBytes: this.#bytes,
      body: this.#body(status),
      target,
      status,
      close: this.#close || (isHttp10 && !this.#keepAlive),
      expects: this.#expects && !isHttp10,
    }
  }

  /** RFC 9112 §6.3. */
  #body(status: number): HttpHead['body'] {
    if (status === 204 || status === 304 || (status >= 100 && status < 200)) return 0
    if (this.#isChunked) return 'chunked'
    return this.#length ?? (status === 0 ? 0 : 'until the end')
  }

  #set(name: string, value: string, bytes: number): void {
    if (name === '__proto__') throw new HttpRefusal(400, 'a header is named __proto__')
    const before = Object.hasOwn(this.#header, name) ? this.#header[name] : undefined
    if (before === undefined && ++this.#entries > maxHeaderEntries) {
      throw new HttpRefusal(431, `a message has more than ${maxHeaderEntries} header entries`)
    }
    this.#header[name] = before === undefined ? value : `${before}, ${value}`
    this.#bytes += name.length + bytes
  }

  #setConnectionField(name: string, value: string): void {
    switch (name) {
      case 'content-length':
        if (this.#length !== undefined || !/^\d{1,15}$/.test(value)) {
          throw new HttpRefusal(400, 'the content length is not one number')
        }
        this.#length = Number(value)
        break
      case 'transfer-encoding':
        if (this.#isChunked || value.toLowerCase() !== 'chunked') {
          throw new HttpRefusal(501, 'the only transfer encoding that is known here is chunked, once')
        }
        this.#isChunked = true
        break
      case 'connection':
        for (const each of value.toLowerCase().split(',')) {
          if (each.trim() === 'close') this.#close = true
          if (each.trim() === 'keep-alive') this.#keepAlive = true
        }
        break
      case 'expect':
        if (value.toLowerCase() !== '100-continue') throw new HttpRefusal(417, 'this cannot be expected here')
        this.#expects = true
    }
  }
}

/** `line` from `start` on, without the white space around it. */
function withoutSpace(line: string, start: number): string {
  let from = start
  let to = line.length
  while (from < to && isSpace(line.charCodeAt(from))) from++
  while (to > from && isSpace(line.charCodeAt(to - 1))) to--
  return line.slice(from, to)
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09
}
