import { isUtf8 } from 'node:buffer'
import { ServiceError, type Metadata } from '@micrograft/contracts'

/** Headers as `node:http2` has them. */
export type Headers = Readonly<Record<string, string | readonly string[] | number | undefined>>

/**
 * Carries one entry whose name gRPC keeps to itself, or whose value no header can hold, in base64: what
 * peers of another kind do not look at.
 */
const carrier = 'micrograft-metadata-bin'

const maxEntries = 64
const maxValueLength = 8192
const namePattern = /^[a-z0-9._-]{1,128}$/
// eslint-disable-next-line no-control-regex -- NUL is one of the three that may not be
const forbidden = /[\r\n\0]/
/** What HTTP/2 lets through as it is; everything above ASCII goes as UTF-8. */
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const unfit = /^[ \t]|[ \t]$|[\x00-\x08\x0a-\x1f\x7f]/
// eslint-disable-next-line no-control-regex -- that is what ASCII is
const beyondAscii = /[^\x00-\x7f]/

/** What is sent as it is under a name that ends in `-bin`: Go peers fail a call for what they cannot decode. */
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/

const reserved: ReadonlySet<string> = new Set([
  'accept-encoding',
  'connection',
  'content-length',
  'content-type',
  'date',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'set-cookie',
  'te',
  'timeout',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
  'x-content-type',
  '__proto__',
])

function isReserved(name: string): boolean {
  if (name.startsWith('grpc-')) return !name.endsWith('-bin') || name === 'grpc-status-details-bin'
  return name === carrier || reserved.has(name)
}

/**
 * Writes metadata into `headers`.
 * @throws `bad-request` where it is none.
 */
export function writeMetadata(metadata: Metadata, headers: Record<string, string | string[]>): void {
  const carried: string[] = []
  let count = 0
  for (const [name, value] of Object.entries(metadata)) {
    check(name, value, ++count)
    if (
      isReserved(name) ||
      unfit.test(value) ||
      (name.endsWith('-bin') && !value.split(/, ?/).every((each) => base64.test(each)))
    )
      carried.push(Buffer.from(`${name}\0${value}`).toString('base64'))
    else headers[name] = beyondAscii.test(value) ? Buffer.from(value).toString('latin1') : value
  }
  if (carried.length > 0) headers[carrier] = carried
}

function check(name: string, value: unknown, count: number): void {
  if (!namePattern.test(name) || name === '__proto__') {
    throw new ServiceError(
      'bad-request',
      `${JSON.stringify(name.slice(0, 200))} is no name for metadata; use a-z, 0-9, ., _ and -`,
    )
  }
  if (typeof value !== 'string' || value.length > maxValueLength || forbidden.test(value)) {
    throw new ServiceError(
      'bad-request',
      `the metadata ${name} is no text of at most ${maxValueLength} characters without line ends`,
    )
  }
  if (count > maxEntries)
    throw new ServiceError('bad-request', `metadata has more than ${maxEntries} entries`)
}

/**
 * The metadata in `headers`: without those of HTTP and gRPC, several values of one name joined by `, `.
 * Headers whose name no metadata has are left out.
 * @throws `bad-request` for more of it than metadata may be.
 */
export function readMetadata(headers: Headers): Metadata {
  const metadata: Record<string, string> = {}
  let count = 0
  for (const [name, value] of Object.entries(headers)) {
    if (isReserved(name) || !namePattern.test(name) || value === undefined) continue
    const text = decode(String(value))
    check(name, text, ++count)
    metadata[name] = text
  }
  const carried = headers[carrier]
  for (const each of carried === undefined ? [] : String(carried).split(/, ?/)) {
    const [name = '', ...rest] = Buffer.from(each, 'base64').toString().split('\0')
    const value = rest.join('\0')
    check(name, value, ++count)
    metadata[name] = value
  }
  return metadata
}

/** As HTTP/2 counts it: RFC 9113 §6.5.2. */
export function headerListBytes(headers: Headers): number {
  let bytes = 0
  for (const [name, value] of Object.entries(headers)) {
    const count = Array.isArray(value) ? value.length : 1
    bytes += (name.length + 32) * count + String(value).length
  }
  return bytes
}

/** @throws `too-large` where `headers` are above `limit`: sent all the same, they could cost the connection. */
export function checkHeaderList(headers: Headers, limit: number): void {
  const bytes = headerListBytes(headers)
  if (bytes > limit)
    throw new ServiceError(
      'too-large',
      `metadata makes ${bytes} bytes of headers, at most ${limit} may be sent`,
    )
}

/** Header values come as latin1. */
function decode(value: string): string {
  if (!beyondAscii.test(value)) return value
  const bytes = Buffer.from(value, 'latin1')
  return isUtf8(bytes) ? bytes.toString() : value
}
