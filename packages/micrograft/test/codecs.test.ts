import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Codec } from '@micrograft/contracts'
import { codecCases, type CodecSubject } from '@micrograft/testing'
import { jsonCodec } from '../dist/codec/json-codec.js'
import { complyEveryWay } from './support/comply-every-way.js'

const subject =
  (rest: Omit<CodecSubject, 'codec'>) =>
  (codec: Codec): CodecSubject => ({ codec, ...rest })
const data = [{ a: [1, -2.5, null, true, 'ü💡'], b: {} }, [], 'text', 0, null, false]

complyEveryWay('json codec', codecCases, {
  type: 'codec',
  name: 'json',
  file: 'codec/json-codec',
  factory: 'jsonCodec',
  subject: subject({
    values: data,
    notWritable: [1n, circular()],
    notReadable: [
      Buffer.from('{'),
      Buffer.from(''),
      Buffer.from('{"a":undefined}'),
      Buffer.from('['.repeat(1000) + ']'.repeat(1000)),
    ],
  }),
})
complyEveryWay('msgpack codec', codecCases, {
  type: 'codec',
  name: 'msgpack',
  file: 'codec/msgpack-codec',
  factory: 'msgpackCodec',
  subject: subject({
    values: data,
    notWritable: [],
    notReadable: [Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]), Buffer.from([0x81])],
  }),
})
complyEveryWay('text codec', codecCases, {
  type: 'codec',
  name: 'text',
  file: 'codec/text-codec',
  factory: 'textCodec',
  subject: subject({
    values: ['', 'text', 'ü💡\n'],
    notWritable: [1, null, undefined, {}],
    notReadable: [Buffer.from([0xff, 0xfe])],
  }),
})
complyEveryWay('bytes codec', codecCases, {
  type: 'codec',
  name: 'bytes',
  file: 'codec/bytes-codec',
  factory: 'bytesCodec',
  subject: subject({
    values: [new Uint8Array(), new Uint8Array([0, 1, 255])],
    notWritable: ['text', null, [1]],
    notReadable: [],
  }),
})
complyEveryWay('protobuf codec', codecCases, {
  type: 'codec',
  name: 'protobuf',
  file: 'codec/protobuf-codec',
  factory: 'protobufCodec',
  subject: subject({
    values: [new Uint8Array([8, 1])],
    notWritable: ['text', null, { $typeName: 'no.Message' }],
    notReadable: [],
  }),
})

test('the json codec writes undefined as null, and reads as deep as it is told', () => {
  const codec = jsonCodec({ maxDepth: 3 })
  assert.equal(Buffer.from(codec.encode(undefined)).toString(), 'null')
  assert.deepEqual(codec.decode(Buffer.from('[[["[[[["]]]')), [[['[[[[']]])
  assert.throws(() => codec.decode(Buffer.from('[[[[1]]]]')), {
    code: 'bad-request',
    message: /deeper than 3/,
  })
  assert.throws(() => jsonCodec({ depth: 3 } as never), { code: 'invalid-option' })
})

test('the json codec takes any number of brackets that are not deep, and finds a deep one among texts', () => {
  const codec = jsonCodec({ maxDepth: 3 })
  const taken = [
    Array.from({ length: 100 }, (_, id) => ({ id, tags: ['{[', '"]}"', '\\'] })),
    { '"{': { '}"\\': ['[[[['] } },
  ]
  for (const value of taken) assert.deepEqual(codec.decode(codec.encode(value)), value)
  for (const before of ['"]"', '"\\""', '"\\\\"', '"}}}"', '"ü]"'])
    assert.throws(() => codec.decode(Buffer.from(`[${before},{"a":[[1]]}]`)), {
      code: 'bad-request',
      message: new RegExp(`deeper than 3 levels, at byte ${Buffer.byteLength(before) + 8}$`),
    })
})

function circular(): object {
  const value: Record<string, unknown> = {}
  value['self'] = value
  return value
}
