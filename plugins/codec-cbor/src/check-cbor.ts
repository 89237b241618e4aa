import { isUtf8 } from 'node:buffer'
import { ServiceError } from '@micrograft/contracts'

/** What is found out on the way. */
export interface CheckedCbor {
  /** Whether there is an integer of 64 bits, or of any length. */
  readonly wideIntegers: boolean
  /** Where there are integers of 64 bits that are dates. */
  readonly wideDates: readonly number[]
}

/** A number of more bytes takes the engine longer to read than a message is worth. */
const maxBignumBytes = 1024

/**
 * The tags that are read, with the major types that may follow: dates, large integers, sets, maps and
 * typed arrays (RFC 8949 §3.4, RFC 8746 §2.1). The library knows more, with which bytes can make
 * cycles, errors and records that later bytes refer to.
 */
const tags: ReadonlyMap<number, readonly number[]> = new Map<number, readonly number[]>([
  [0, [3]],
  [1, [0, 1, 7]],
  [2, [2]],
  [3, [2]],
  ...[64, 68, 69, 70, 71, 72, 77, 78, 79, 85, 86].map((tag) => [tag, [2]] as const),
  [258, [4]],
  [259, [5]],
])

/**
 * Goes through the bytes before anything is made of them.
 *
 * @throws `bad-request`, saying at which byte, unless they are one well-formed item (RFC 8949 §5.3.1)
 *   of what is read, nested no deeper than `maxDepth`.
 */
export function checkCbor(bytes: Uint8Array, maxDepth: number, what: string): CheckedCbor {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  let wideIntegers = false
  const wideDates: number[] = []

  const wrong = (start: number, reason: string): never => {
    throw new ServiceError('bad-request', `${what}: ${reason} at byte ${start}`)
  }
  const need = (start: number, length: number): void => {
    if (length > bytes.length - at) wrong(start, 'the end is missing of what begins')
  }
  /** The number that follows the initial byte; `undefined` stands for "until a break". */
  const argument = (start: number, low: number): number | undefined => {
    if (low < 24) return low
    if (low === 31) return undefined
    if (low > 27) return wrong(start, 'there is no item')
    const length = 1 << (low - 24)
    need(start, length)
    const from = at
    at += length
    if (length === 1) return view.getUint8(from)
    if (length === 2) return view.getUint16(from)
    if (length === 4) return view.getUint32(from)
    return Number(view.getBigUint64(from))
  }
  const item = (depth: number, allowed?: readonly number[]): void => {
    const start = at
    if (depth > maxDepth) wrong(start, `it is nested deeper than ${maxDepth} levels`)
    need(start, 1)
    const initial = bytes[at++] as number
    const major = initial >> 5
    const low = initial & 31
    if (allowed && !allowed.includes(major)) wrong(start, 'there is an item that cannot stand')
    if (major === 7) return simple(start, low)
    const count = argument(start, low)
    if (major < 2) {
      if (count === undefined) wrong(start, 'there is no item')
      if (low === 27) wideIntegers = true
    } else if (major < 4) {
      if (count === undefined)
        return void wrong(start, 'there is a text or bytes in pieces, which are not read,')
      need(start, count)
      if (major === 3 && !isUtf8(bytes.subarray(at, at + count)))
        wrong(start, 'there is a text that is not UTF-8')
      at += count
    } else if (major === 6) tagged(start, count, depth)
    else items(start, major, count, depth)
  }
  const simple = (start: number, low: number): void => {
    if (low >= 20 && low <= 23) return
    if (low < 25 || low > 27) wrong(start, 'there is a simple value that is not read')
    argument(start, low)
  }
  const tagged = (start: number, tag: number | undefined, depth: number): void => {
    if (tag === undefined) return void wrong(start, 'there is no item')
    const allowed = tags.get(tag)
    if (!allowed) return void wrong(start, `there is the tag ${tag}, which is not read,`)
    const from = at
    item(depth + 1, allowed)
    const initial = bytes[from] as number
    if (tag === 1) {
      if (initial >> 5 === 7 && (initial & 31) < 25) wrong(start, 'there is a date of what is no number')
      if (initial === 0x1b || initial === 0x3b) wideDates.push(from)
    }
    if (tag !== 2 && tag !== 3) return
    wideIntegers = true
    if (at - from > maxBignumBytes) wrong(start, `there is an integer of more than ${maxBignumBytes} bytes`)
  }
  const items = (start: number, major: number, count: number | undefined, depth: number): void => {
    if (count !== undefined) need(start, major === 5 ? count * 2 : count)
    for (let left = count ?? Infinity; left > 0; left--) {
      if (count === undefined && bytes[at] === 0xff) return void at++
      if (major === 5) item(depth + 1, mapKeys)
      item(depth + 1)
    }
  }

  item(0)
  if (at < bytes.length) wrong(at, 'there is more after the end')
  return { wideIntegers, wideDates }
}

/** Texts and integers: what an object can have as a name. */
const mapKeys: readonly number[] = [0, 1, 3]
