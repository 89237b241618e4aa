import { ServiceError, type Metadata } from '@micrograft/contracts'
import { protocolError } from '../transport/protocol-error.js'
import { varintBytes, writeVarint, type ByteReader } from '../transport/varint.js'
import { maxMetadataEntries, maxMetadataNameBytes, maxMetadataValueBytes } from './frame.js'

const empty: Metadata = Object.freeze({})
const maxValueLength = 8192
const namePattern = /^[a-z0-9._-]+$/
// eslint-disable-next-line no-control-regex -- NUL is one of the three that may not be
const forbidden = /[\r\n\0]/

/**
 * How many bytes `metadata` takes on the wire: one where it is empty.
 * @throws `bad-request` where it is none.
 */
export function metadataBytes(metadata: Metadata): number {
  let bytes = 0
  let count = 0
  for (const name in metadata) {
    count++
    const value = metadata[name]
    if (name.length > maxMetadataNameBytes || !namePattern.test(name) || name === '__proto__') {
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
    const size = Buffer.byteLength(value)
    bytes += 1 + name.length + varintBytes(size) + size
    if (name.length >= 0x80) bytes++
  }
  if (count > maxMetadataEntries) {
    throw new ServiceError(
      'bad-request',
      `metadata has ${count} entries, at most ${maxMetadataEntries} may be`,
    )
  }
  return bytes + 1
}

/** Writes what `metadataBytes` measured, as `size`. */
export function writeMetadata(target: Buffer, offset: number, metadata: Metadata, size: number): number {
  if (size === 1) {
    target[offset] = 0
    return offset + 1
  }
  const entries = Object.entries(metadata)
  let at = writeVarint(target, offset, entries.length)
  for (const [name, value] of entries) {
    at = writeVarint(target, at, name.length)
    at += target.write(name, at, 'latin1')
    at = writeVarint(target, at, Buffer.byteLength(value))
    at += target.write(value, at)
  }
  return at
}

/** @throws `protocol` */
export function readMetadata(reader: ByteReader): Metadata {
  const count = reader.varint()
  if (count === 0) return empty
  if (count > maxMetadataEntries) {
    throw protocolError(`metadata has ${count} entries, at most ${maxMetadataEntries} may be`)
  }
  const metadata: Record<string, string> = {}
  for (let i = 0; i < count; i++) {
    const name = reader.text(maxMetadataNameBytes, 'a metadata name')
    const value = reader.text(maxMetadataValueBytes, 'a metadata value')
    if (!namePattern.test(name) || name === '__proto__') throw protocolError('a metadata name is none')
    if (value.length > maxValueLength || forbidden.test(value))
      throw protocolError(`the metadata ${name} is none`)
    metadata[name] = value
  }
  return metadata
}
