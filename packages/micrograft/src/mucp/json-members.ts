const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

/**
 * The members of a JSON object as the bytes that they are, so that what is inside goes on unread:
 * numbers keep their digits. Whether a value is JSON itself is for its reader to see.
 * @throws `SyntaxError`
 */
export function jsonMembers(bytes: Buffer): Map<string, Buffer> {
  const members = new Map<string, Buffer>()
  let at = expect(bytes, skipSpace(bytes, 0), openBrace)
  if (bytes[skipSpace(bytes, at)] === closeBrace) return members
  for (;;) {
    const start = skipSpace(bytes, at)
    if (bytes[start] !== quote) throw new SyntaxError(`a name is missing at byte ${start}`)
    const end = skipString(bytes, start)
    const name = JSON.parse(bytes.toString('utf8', start, end)) as string
    const valueAt = skipSpace(bytes, expect(bytes, skipSpace(bytes, end), colon))
    const valueEnd = skipValue(bytes, valueAt)
    members.set(name, bytes.subarray(valueAt, valueEnd))
    at = skipSpace(bytes, valueEnd)
    if (bytes[at] === closeBrace) return members
    at = expect(bytes, at, comma)
  }
}

/** The first element of a JSON array as the bytes that it is; `undefined` where it has none. @throws `SyntaxError` */
export function firstElement(bytes: Buffer): Buffer | undefined {
  const at = skipSpace(bytes, expect(bytes, skipSpace(bytes, 0), openBracket))
  if (bytes[at] === closeBracket) return undefined
  return bytes.subarray(at, skipValue(bytes, at))
}

function skipValue(bytes: Buffer, at: number): number {
  const first = bytes[at]
  if (first === quote) return skipString(bytes, at)
  if (first === openBrace || first === openBracket) return skipNested(bytes, at)
  let end = at
  while (end < bytes.length && !endsValue(bytes[end] as number)) end++
  if (end === at) throw new SyntaxError(`a value is missing at byte ${at}`)
  return end
}

function skipNested(bytes: Buffer, start: number): number {
  let depth = 0
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === quote) at = skipString(bytes, at) - 1
    else if (byte === openBrace || byte === openBracket) depth++
    else if ((byte === closeBrace || byte === closeBracket) && --depth === 0) return at + 1
  }
  throw new SyntaxError(`what begins at byte ${start} does not end`)
}

function skipString(bytes: Buffer, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    if (bytes[at] === backslash) at++
    else if (bytes[at] === quote) return at + 1
  }
  throw new SyntaxError(`the text that begins at byte ${start} does not end`)
}

function skipSpace(bytes: Buffer, start: number): number {
  let at = start
  while (isSpace(bytes[at])) at++
  return at
}

function expect(bytes: Buffer, at: number, byte: number): number {
  if (bytes[at] !== byte) throw new SyntaxError(`${String.fromCharCode(byte)} is missing at byte ${at}`)
  return at + 1
}

function endsValue(byte: number): boolean {
  return byte === comma || byte === closeBrace || byte === closeBracket || isSpace(byte)
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}
