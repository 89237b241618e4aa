import { STATUS_CODES } from 'node:http'
import { ServiceError, type Message } from '@micrograft/contracts'
import type { CanonicalNames } from './http-names.js'
import { maxHeaderEntries } from './limits.js'

/** Writes the heads of one connection's requests or responses. A line has its name, `: `, its value and CRLF. */
export class HttpWriter {
  /** Bytes of the last head that are no name and no value of the message. */
  uncounted = 0
  readonly #names: CanonicalNames
  readonly #maxHeaderBytes: number
  /** The request line and Host; `undefined` for responses. */
  readonly #request: string | undefined
  #head = ''

  /** @param host What was dialled, where requests are written. */
  constructor(host: string | undefined, names: CanonicalNames, maxHeaderBytes: number) {
    this.#names = names
    this.#maxHeaderBytes = maxHeaderBytes
    this.#request = host === undefined ? undefined : `POST / HTTP/1.1\r\nHost: ${host}\r\n`
  }

  /** @throws `bad-request`, `too-large` */
  head(header: Message['header'], bodyBytes: number, close: boolean): number {
    const closes = close || (this.#request === undefined && header['connection'] === 'close')
    let text = `${this.#start(header[':status'])}Content-Length: ${bodyBytes}\r\n${closes ? 'Connection: close\r\n' : ''}`
    this.uncounted = text.length + 2
    let count = 0
    for (const name in header) {
      count++
      if (name === ':status' && this.#request === undefined) {
        this.uncounted -= (header[name] as string).length + name.length
        continue
      }
      const field = this.#names.of(name)
      if (field === '') continue
      text += `${field}: ${fieldValue(header[name] as string)}\r\n`
      this.uncounted += 4
    }
    if (count > maxHeaderEntries) {
      throw new ServiceError('too-large', `a header has ${count} entries, at most ${maxHeaderEntries} may be`)
    }
    this.#head = `${text}\r\n`
    const bytes = Buffer.byteLength(this.#head)
    if (bytes > this.#maxHeaderBytes) {
      throw new ServiceError(
        'too-large',
        `a header of ${bytes} bytes is above the limit of ${this.#maxHeaderBytes}; put more into the body`,
      )
    }
    return bytes
  }

  write(target: Buffer, offset: number): number {
    return offset + target.write(this.#head, offset)
  }

  #start(status: string | undefined): string {
    if (this.#request !== undefined) return this.#request
    if (status === undefined) return 'HTTP/1.1 200 OK\r\n'
    // Those without a body would not carry the message.
    const match = /^([2-5]\d\d)(?: ([\x20-\x7e]*))?$/.exec(status)
    const [, code = '', text = STATUS_CODES[code] ?? ''] = match ?? []
    if (code === '' || code === '204' || code === '304') {
      throw new ServiceError(
        'bad-request',
        `${JSON.stringify(status)} is no status of a response with a body; write e.g. 404 Not Found`,
      )
    }
    return `HTTP/1.1 ${code} ${text}\r\n`
  }
}

// eslint-disable-next-line no-control-regex -- they are what HTTP has no place for
const controls = /[\0-\x08\x0a-\x1f\x7f]/g

/** Line ends become spaces, as go-micro's do, and so do all control characters. */
function fieldValue(value: string): string {
  return value.replace(controls, ' ')
}
