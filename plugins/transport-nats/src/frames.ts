import { ServiceError, type Message } from '@micrograft/contracts'

/*
 * What two peers of Micrograft send each other, one frame a NATS message:
 *
 *   kind u8 · number u32 · content
 *
 * Numbers count the frames of one direction from 0. The content of a message is `length u32 · header in
 * JSON · body`; where it is above what fits, `part` frames come first, and the `message` frame has its end.
 */
export const kinds = {
  message: 1,
  part: 2,
  credit: 3,
  ping: 4,
  end: 5,
  reset: 6,
  welcome: 7,
  refused: 8,
} as const

export type FrameKind = (typeof kinds)[keyof typeof kinds]

export interface Frame {
  readonly kind: number
  readonly number: number
  readonly content: Buffer
}

export const frameHeadBytes = 5
/** Most entries in the header of one message. */
const maxHeaderEntries = 256

/** A frame without its number, which it gets when it is sent. */
export function encodeFrame(kind: FrameKind, content: Uint8Array = empty): Buffer {
  const frame = Buffer.alloc(frameHeadBytes + content.byteLength)
  frame[0] = kind
  frame.set(content, frameHeadBytes)
  return frame
}

export function numberFrame(frame: Buffer, number: number): void {
  frame.writeUInt32BE(number >>> 0, 1)
}

const empty = new Uint8Array(0)

/** @throws `protocol` for what is shorter than a frame's head. */
export function decodeFrame(data: Uint8Array): Frame {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  if (bytes.length < frameHeadBytes) throw malformed('it has no head')
  return { kind: bytes[0] as number, number: bytes.readUInt32BE(1), content: bytes.subarray(frameHeadBytes) }
}

/** The size as the limits count it: names, values and the body. @throws `too-large` for too many entries. */
export function messageBytes({ header, body }: Message): number {
  let bytes = body.length
  let count = 0
  for (const name in header) {
    count++
    bytes += Buffer.byteLength(name) + Buffer.byteLength(header[name] as string)
  }
  if (count > maxHeaderEntries) {
    throw new ServiceError('too-large', `a header has ${count} entries, at most ${maxHeaderEntries} may be`)
  }
  return bytes
}

export function encodeContent({ header, body }: Message): Buffer {
  const head = Buffer.from(JSON.stringify(header))
  const content = Buffer.allocUnsafe(4 + head.length + body.length)
  content.writeUInt32BE(head.length, 0)
  head.copy(content, 4)
  content.set(body, 4 + head.length)
  return content
}

/** @throws `protocol` */
export function decodeContent(content: Buffer): Message {
  const length = content.length < 4 ? Infinity : content.readUInt32BE(0)
  if (4 + length > content.length) throw malformed('its header is cut off')
  let header: unknown
  try {
    header = JSON.parse(content.toString('utf8', 4, 4 + length))
  } catch (cause) {
    throw malformed(`its header is not JSON: ${(cause as Error).message}`)
  }
  return { header: headerOf(header), body: content.subarray(4 + length) }
}

/** Checked, with names in lower case. @throws `protocol` */
export function headerOf(value: unknown): Message['header'] {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed('its header is no object')
  const entries = Object.entries(value)
  if (entries.length > maxHeaderEntries) throw malformed(`its header has ${entries.length} entries`)
  for (const [name, each] of entries)
    if (typeof each !== 'string') throw malformed(`${name} in its header is no text`)
  return Object.fromEntries(entries.map(([name, each]) => [name.toLowerCase(), each as string]))
}

export function malformed(message: string): ServiceError {
  return new ServiceError('protocol', `malformed message: ${message}`)
}
