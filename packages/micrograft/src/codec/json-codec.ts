import { requireNumber, resolveOptions, ServiceError, type Codec } from '@micrograft/contracts'

export interface JsonCodecOptions {
  /** Deepest nesting that is read, in levels. @default 256 */
  readonly maxDepth?: number | undefined
}

/** JSON (RFC 8259) in UTF-8. `undefined` is written as `null`. */
export function jsonCodec(options?: JsonCodecOptions): Codec {
  const { maxDepth } = resolveOptions('the options of the json codec', { maxDepth: 256 }, options)
  requireNumber('maxDepth of the json codec', maxDepth, { min: 0 })
  return {
    name: 'json',
    contentTypes: ['application/json'],
    text: true,
    encode(value) {
      try {
        return Buffer.from(JSON.stringify(value) ?? 'null')
      } catch (cause) {
        throw new ServiceError('bad-request', `cannot write the value as JSON: ${(cause as Error).message}`, {
          cause,
        })
      }
    },
    decode(bytes) {
      const buffer = asBuffer(bytes)
      const text = buffer.toString('utf8')
      // JSON.parse itself takes any depth that the text has; most texts are too short to be deep.
      if (text.length > maxDepth && mayBeDeeper(text, maxDepth)) refuseDeeper(buffer, maxDepth)
      try {
        return JSON.parse(text) as unknown
      } catch (cause) {
        throw new ServiceError('bad-request', `the bytes are not JSON: ${(cause as Error).message}`, {
          cause,
        })
      }
    },
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Whether so much is opened, in strings too, that it may be that deep. To look at every character takes as long as to parse it. */
function mayBeDeeper(text: string, maxDepth: number): boolean {
  let opened = 0
  for (const opener of ['{', '['])
    for (let at = text.indexOf(opener); at !== -1; at = text.indexOf(opener, at + 1))
      if (++opened > maxDepth) return true
  return false
}

const quote = 0x22
const backslash = 0x5c

function refuseDeeper(bytes: Uint8Array, maxDepth: number): void {
  let depth = 0
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]
    if (byte === quote) {
      for (i++; i < bytes.length && bytes[i] !== quote; i++) if (bytes[i] === backslash) i++
    } else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > maxDepth)
        throw new ServiceError(
          'bad-request',
          `the JSON is nested deeper than ${maxDepth} levels, at byte ${i}`,
        )
    } else if (byte === 0x5d || byte === 0x7d) depth--
  }
}
