import { resolveOptions, ServiceError, type Codec } from '@micrograft/contracts'

export interface JsonCodecOptions {
  /** Deepest nesting that is read, in levels. @default 256 */
  readonly maxDepth?: number | undefined
}

/** JSON (RFC 8259) in UTF-8. `undefined` is written as `null`. */
export function jsonCodec(options?: JsonCodecOptions): Codec {
  const { maxDepth } = resolveOptions('the options of the json codec', { maxDepth: 256 }, options)
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
      const text = decodeUtf8(bytes)
      // JSON.parse itself takes any depth that the text has; most texts are too short to be deep.
      if (text.length > maxDepth) refuseDeeper(text, maxDepth)
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

function decodeUtf8(bytes: Uint8Array): string {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return buffer.toString('utf8')
}

function refuseDeeper(text: string, maxDepth: number): void {
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (inString) {
      if (code === 0x5c) i++
      else if (code === 0x22) inString = false
    } else if (code === 0x22) inString = true
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > maxDepth)
        throw new ServiceError(
          'bad-request',
          `the JSON is nested deeper than ${maxDepth} levels, at character ${i}`,
        )
    } else if (code === 0x5d || code === 0x7d) depth--
  }
}
