import { ServiceError, type Message, type Metadata } from '@micrograft/contracts'

export type Header = Message['header']

/** How the other side says that a stream has ended, in `Micro-Error`. */
export const endOfStream = 'EOS'

export const protobuf = 'application/protobuf'

/** What may be in `Timeout` at most, in milliseconds: nanoseconds are a signed 64-bit number to Go. */
const longestTimeoutMs = 9_223_372_036_854
/** Longest id of a peer's that is sent back. */
export const maxIdLength = 256
const maxEntries = 64
const maxNameLength = 128
const maxValueLength = 8192
const namePattern = /^[a-z0-9._-]+$/

const microNames = [
  'micro-endpoint',
  'micro-error',
  'micro-id',
  'micro-method',
  'micro-protocol',
  'micro-service',
  'micro-stream',
  'micro-target',
  'micro-topic',
] as const

export type MicroName = (typeof microNames)[number]

/** Names that belong to the protocol or to HTTP: they are no metadata, in either direction. */
const reserved: ReadonlySet<string> = new Set([
  ...microNames,
  ...microNames.map((name) => `x-${name}`),
  'accept',
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'date',
  'expect',
  'host',
  'keep-alive',
  'local',
  'proxy-connection',
  'remote',
  'te',
  'timeout',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
])

/** A header of the protocol, or the twin of it that some proxies send; empty where there is neither. */
export function micro(header: Header, name: MicroName): string {
  return header[name] || header[`x-${name}`] || ''
}

/** Sets a header and its twin, as servers do. */
export function setTwins(header: Record<string, string>, name: MicroName, value: string): void {
  if (value === '') return
  header[name] = value
  header[`x-${name}`] = value
}

/** Puts metadata into a header. The names that the protocol has taken are left out, as go-micro overwrites them. */
export function putMetadata(header: Record<string, string>, metadata: Metadata): void {
  for (const name in metadata) if (!reserved.has(name)) header[name] = metadata[name] as string
}

/**
 * What of a header is metadata: all but what is the protocol's or HTTP's, and but for names that
 * metadata cannot have.
 * @param echoed What go-micro repeats in a reply: entries that are the same there are left out.
 * @throws `bad-request` for more or longer entries than metadata has.
 */
export function readMetadata(header: Header, echoed?: Header): Metadata {
  const metadata: Record<string, string> = {}
  let count = 0
  for (const name in header) {
    if (reserved.has(name) || name === '__proto__' || !namePattern.test(name)) continue
    const value = header[name] as string
    if (echoed?.[name] === value) continue
    if (++count > maxEntries)
      throw new ServiceError('bad-request', `there are more than ${maxEntries} headers beside the protocol's`)
    if (value.length > maxValueLength || name.length > maxNameLength)
      throw new ServiceError(
        'bad-request',
        `the header ${name.slice(0, maxNameLength)} is longer than ${maxValueLength} characters, or its name than ${maxNameLength}`,
      )
    metadata[name] = value
  }
  return metadata
}

/** `Timeout`: nanoseconds. */
export function writeTimeout(timeoutMs: number): string {
  const ms = Math.min(longestTimeoutMs, Math.max(1, Math.ceil(timeoutMs)))
  return `${ms}000000`
}

/**
 * What is left of the caller's deadline, in milliseconds, 0 or less where it has passed; `Infinity` without one.
 * @throws `bad-request`
 */
export function readTimeout(header: Header): number {
  const text = header['timeout']
  if (text === undefined || text === '') return Infinity
  if (!/^-?\d{1,20}$/.test(text))
    throw new ServiceError(
      'bad-request',
      `the header Timeout is ${JSON.stringify(text.slice(0, 40))}; it is a number of nanoseconds`,
    )
  return Number(text) / 1e6
}

/** @throws `bad-request` where `value` would break the header that it is put into. */
export function requireText(what: string, value: string): string {
  // eslint-disable-next-line no-control-regex -- that is what may not be there
  if (value.length > 1024 || /[\0-\x1f\x7f]/.test(value))
    throw new ServiceError(
      'bad-request',
      `${what} is ${JSON.stringify(value.slice(0, 100))}; it may have no control characters and 1024 others`,
    )
  return value
}

export function longIdError(): ServiceError {
  return new ServiceError('bad-request', `an id has more than ${maxIdLength} characters`)
}
