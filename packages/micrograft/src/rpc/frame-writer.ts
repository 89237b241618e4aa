import { errorCodes, ServiceError, type ErrorCode, type Metadata } from '@micrograft/contracts'
import { varintBytes, writeVarint } from '../transport/varint.js'
import {
  FrameType,
  magic,
  maxDetailBytes,
  maxNameBytes,
  Target,
  type CallTarget,
  type Hello,
} from './frame.js'
import { metadataBytes, writeMetadata } from './metadata.js'

/** How a target goes out: by its number, or written out and perhaps remembered. */
export interface WireTarget {
  readonly target: CallTarget
  /** `Target.literal`, `Target.remembered`, or the number in the table. */
  readonly reference: number
}

const noMetadata: Metadata = Object.freeze({})

export function helloFrame(hello: Hello): Buffer {
  const numbers = [
    hello.maxFrameBytes,
    hello.maxCalls,
    hello.maxTargets,
    hello.windowBytes,
    hello.windowMessages,
  ]
  const frame = Buffer.allocUnsafe(numbers.reduce((sum, each) => sum + varintBytes(each), 7))
  frame[0] = FrameType.hello
  frame.writeUInt32BE(magic, 1)
  frame[5] = hello.lowest
  frame[6] = hello.highest
  numbers.reduce((at, each) => writeVarint(frame, at, each), 7)
  return frame
}

export function goAwayFrame(code: ErrorCode, detail: string): Buffer {
  const { status } = errorCodes[code]
  const text = cut(detail)
  const frame = Buffer.allocUnsafe(1 + varintBytes(status) + textBytes(text))
  frame[0] = FrameType.goAway
  writeText(frame, writeVarint(frame, 1, status), text)
  return frame
}

/** @param type `FrameType.ping` or `FrameType.pong`. */
export function pingFrame(type: number, number: number): Buffer {
  const frame = Buffer.allocUnsafe(1 + varintBytes(number))
  frame[0] = type
  writeVarint(frame, 1, number)
  return frame
}

const fixedBytes = 512

/** Where the head of a frame is written before its body follows: the same bytes again and again. */
export class Scratch {
  readonly #fixed = Buffer.allocUnsafeSlow(fixedBytes)
  bytes: Buffer = this.#fixed

  /** At least `size` bytes, which are `bytes` until the next call. */
  room(size: number): Buffer {
    this.bytes = size <= fixedBytes ? this.#fixed : Buffer.allocUnsafe(size)
    return this.bytes
  }
}

/**
 * Writes all of a call but its body, or with `FrameType.open` the opening of a stream, and gives its length.
 * @param timeoutMs What is left of the deadline, whole milliseconds; 0 has none.
 * @throws `bad-request` for metadata that is none, and names that are too long.
 */
export function callHead(
  scratch: Scratch,
  type: number,
  slot: number,
  timeoutMs: number,
  { target, reference }: WireTarget,
  metadata: Metadata,
): number {
  const metadataSize = metadataBytes(metadata)
  const targetSize = varintBytes(reference) + (reference < Target.first ? literalBytes(target) : 0)
  const frame = scratch.room(1 + varintBytes(slot) + varintBytes(timeoutMs) + targetSize + metadataSize)
  frame[0] = type
  let at = writeVarint(frame, 1, slot)
  at = writeVarint(frame, at, timeoutMs)
  at = writeVarint(frame, at, reference)
  if (reference < Target.first) {
    at = writeText(frame, at, target.service)
    at = writeText(frame, at, target.endpoint)
    at = writeText(frame, at, target.contentType)
  }
  return writeMetadata(frame, at, metadata, metadataSize)
}

/**
 * Writes all of a reply but its body, and gives its length.
 * @param contentType Empty where it is the call's.
 * @throws `bad-request` for metadata that is none.
 */
export function replyHead(scratch: Scratch, slot: number, contentType: string, metadata: Metadata): number {
  const metadataSize = metadataBytes(metadata)
  const frame = scratch.room(1 + varintBytes(slot) + textBytes(contentType) + metadataSize)
  frame[0] = FrameType.reply
  const at = writeText(frame, writeVarint(frame, 1, slot), contentType)
  return writeMetadata(frame, at, metadata, metadataSize)
}

/** @param maxBytes The detail is cut so that the frame has no more, where that is possible. */
export function errorFrame(slot: number, error: ServiceError, maxBytes: number = Infinity): Buffer {
  const { id: from, code, detail, status } = error.toWire()
  const id = Buffer.byteLength(from) > maxNameBytes ? 'micrograft' : from
  const around = 1 + varintBytes(slot) + varintBytes(code) + textBytes(id) + textBytes(status)
  const text = cut(detail, maxBytes - around)
  const texts = [id, text, status]
  const size = around + textBytes(text)
  const frame = Buffer.allocUnsafe(size)
  frame[0] = FrameType.error
  texts.reduce(
    (at, each) => writeText(frame, at, each),
    writeVarint(frame, writeVarint(frame, 1, slot), code),
  )
  return frame
}

/** @param maxBytes As `errorFrame` has it. */
export function cancelFrame(
  slot: number,
  code: ErrorCode,
  detail: string,
  maxBytes: number = Infinity,
): Buffer {
  const { status } = errorCodes[code]
  const around = 1 + varintBytes(slot) + varintBytes(status)
  const text = cut(detail, maxBytes - around)
  const frame = Buffer.allocUnsafe(around + textBytes(text))
  frame[0] = FrameType.cancel
  writeText(frame, writeVarint(frame, writeVarint(frame, 1, slot), status), text)
  return frame
}

export function dataFrame(slot: number, body: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(1 + varintBytes(slot) + body.length)
  frame[0] = FrameType.data
  frame.set(body, writeVarint(frame, 1, slot))
  return frame
}

/** @throws `bad-request` for metadata that is none. */
export function endFrame(slot: number, metadata: Metadata = noMetadata): Buffer {
  const metadataSize = metadataBytes(metadata)
  const frame = Buffer.allocUnsafe(1 + varintBytes(slot) + metadataSize)
  frame[0] = FrameType.end
  writeMetadata(frame, writeVarint(frame, 1, slot), metadata, metadataSize)
  return frame
}

export function windowFrame(slot: number, bytes: number, messages: number): Buffer {
  const frame = Buffer.allocUnsafe(1 + varintBytes(slot) + varintBytes(bytes) + varintBytes(messages))
  frame[0] = FrameType.window
  writeVarint(frame, writeVarint(frame, writeVarint(frame, 1, slot), bytes), messages)
  return frame
}

function literalBytes({ service, endpoint, contentType }: CallTarget): number {
  return (
    nameBytes('service', service) + nameBytes('endpoint', endpoint) + nameBytes('content type', contentType)
  )
}

function nameBytes(what: string, name: string): number {
  const bytes = textBytes(name)
  // The varint of a length from 128 on has two bytes.
  if (bytes <= maxNameBytes + 2) return bytes
  throw new ServiceError(
    'bad-request',
    `the name of the ${what} has ${bytes - varintBytes(bytes)} bytes, at most ${maxNameBytes} may be`,
  )
}

function textBytes(text: string): number {
  if (text === '') return 1
  const bytes = Buffer.byteLength(text)
  return bytes + varintBytes(bytes)
}

function writeText(target: Buffer, offset: number, text: string): number {
  if (text === '') {
    target[offset] = 0
    return offset + 1
  }
  const at = writeVarint(target, offset, Buffer.byteLength(text))
  return at + target.write(text, at)
}

/** `text` in at most `maxDetailBytes`, and with its length before it in at most `maxBytes`. */
function cut(text: string, maxBytes = Infinity): string {
  const most = Math.min(maxDetailBytes, maxBytes - 3)
  if (Buffer.byteLength(text) <= most) return text
  // A character that is cut in two becomes U+FFFD, which takes three bytes.
  return Buffer.from(text).toString('utf8', 0, Math.max(0, most - 3))
}
