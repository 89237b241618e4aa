/** What one file of a file store holds. */
export interface FileEntry {
  readonly key: string
  readonly value: Uint8Array
  /** Milliseconds since 1970; 0 does not expire. */
  readonly expiresAt: number
}

const magic = Buffer.from('MGE1')
const headerLength = magic.length + 8 + 2

/** `MGE1`, expiry (f64 big-endian), length of the key (u16 big-endian), the key in UTF-8, the value. */
export function encodeEntry({ key, value, expiresAt }: FileEntry): Buffer {
  const keyBytes = Buffer.from(key)
  const header = Buffer.alloc(headerLength)
  magic.copy(header)
  header.writeDoubleBE(expiresAt, 4)
  header.writeUInt16BE(keyBytes.length, 12)
  return Buffer.concat([header, keyBytes, value])
}

/** `undefined` where the bytes are no entry. */
export function decodeEntry(bytes: Buffer): FileEntry | undefined {
  if (bytes.length < headerLength || !bytes.subarray(0, 4).equals(magic)) return undefined
  const keyEnd = headerLength + bytes.readUInt16BE(12)
  if (bytes.length < keyEnd) return undefined
  return {
    key: bytes.toString('utf8', headerLength, keyEnd),
    value: new Uint8Array(bytes.subarray(keyEnd)),
    expiresAt: bytes.readDoubleBE(4),
  }
}
