import { ServiceError, type Codec } from '@micrograft/contracts'

/** Text in UTF-8, as it is. */
export function textCodec(): Codec {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  return {
    name: 'text',
    contentTypes: ['text/plain'],
    text: true,
    encode(value) {
      if (typeof value !== 'string')
        throw new ServiceError(
          'bad-request',
          `the text codec writes a string, not ${typeof value}; choose another content type`,
        )
      return Buffer.from(value)
    },
    decode(bytes) {
      try {
        return decoder.decode(bytes)
      } catch (cause) {
        throw new ServiceError('bad-request', 'the bytes are not UTF-8', { cause })
      }
    },
  }
}
