import { fileURLToPath } from 'node:url'
import { Plugin } from '@micrograft/codec-cbor'
import type { Codec } from '@micrograft/contracts'
import { complyPlugin } from '@micrograft/test-support'
import { codecCases, type CodecSubject } from '@micrograft/testing'

function circular(): object {
  const value: Record<string, unknown> = {}
  value['self'] = value
  return value
}

const hex = (text: string) => Buffer.from(text, 'hex')

complyPlugin('cbor codec', codecCases, {
  plugin: Plugin,
  entry: fileURLToPath(new URL('../src/index.ts', import.meta.url)),
  subject: (codec: Codec): CodecSubject => ({
    codec,
    values: [
      { a: [1, -2.5, null, true, 'ü💡'], b: {} },
      [],
      'text',
      0,
      null,
      false,
      undefined,
      new Uint8Array([0, 1, 255]),
      new Date(1_000_000_000_000),
      2n ** 63n,
      -(2n ** 100n),
      Number.MAX_SAFE_INTEGER,
      -4_294_967_296,
      new Set([1, 'a']),
      new Float64Array([0.5, -1]),
    ],
    notWritable: [circular(), () => 1, Symbol('s'), { deep: () => 1 }, /regular/, new Error('e'), '\ud800'],
    notReadable: [
      hex(''),
      hex('81'),
      hex('0001'),
      hex('9bffffffffffffffff'),
      hex('bb00000000ffffffff'),
      hex('7affffffff61'),
      hex('62c328'),
      hex('ff'),
      hex('f8ff'),
      hex('1c'),
      hex('d81c81d81d00'),
      hex('a1f501'),
    ],
  }),
})
