import assert from 'node:assert/strict'
import type { Codec } from '@micrograft/contracts'
import type { Case } from './case.js'

/** A codec with values that it writes, and things that it does not. */
export interface CodecSubject extends Partial<AsyncDisposable> {
  readonly codec: Codec
  readonly values: readonly unknown[]
  readonly notWritable: readonly unknown[]
  readonly notReadable: readonly Uint8Array[]
}

/** What every codec promises. */
export const codecCases: readonly Case<CodecSubject>[] = [
  {
    name: 'reads what it wrote',
    async run({ codec, values }) {
      for (const value of values) assert.deepEqual(codec.decode(codec.encode(value)), value)
    },
  },
  {
    name: 'names itself and its content types',
    async run({ codec }) {
      assert.match(codec.name, /^[a-z0-9-]+$/)
      assert.ok(codec.contentTypes.length > 0)
      for (const each of codec.contentTypes) assert.match(each, /^[a-z]+\/[a-z0-9.+-]+$/)
    },
  },
  {
    name: 'refuses what it cannot write, and bytes that it did not write, with bad-request',
    async run({ codec, notWritable, notReadable }) {
      for (const value of notWritable) assert.throws(() => codec.encode(value), { code: 'bad-request' })
      for (const bytes of notReadable) assert.throws(() => codec.decode(bytes), { code: 'bad-request' })
    },
  },
  {
    name: 'keeps nothing of one value for the next, and leaves its arguments alone',
    async run({ codec, values }) {
      const [first] = values
      const once = codec.encode(first)
      for (const value of values) codec.encode(value)
      assert.deepEqual(codec.encode(first), once)
      const copy = once.slice()
      codec.decode(once)
      assert.deepEqual(once, copy)
    },
  },
  {
    name: 'reads from a view into a larger buffer, and gives bytes that stay',
    async run({ codec, values }) {
      for (const value of values) {
        const bytes = codec.encode(value)
        const larger = new Uint8Array(bytes.length + 16).fill(0xff)
        larger.set(bytes, 8)
        const read = codec.decode(larger.subarray(8, 8 + bytes.length))
        larger.fill(0)
        assert.deepEqual(read, value)
      }
    },
  },
]
