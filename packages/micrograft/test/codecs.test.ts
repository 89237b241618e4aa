import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Codec } from '@micrograft/contracts'
import { codecCases, type CodecSubject } from '@micrograft/testing'
import { jsonCodec } from '../dist/codec/json-codec.js'
import { msgpackCodec } from '../dist/codec/msgpack-codec.js'
import { protobufCodec } from '../dist/codec/protobuf-codec.js'
import { textCodec } from '../dist/codec/text-codec.js'
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

test('the text codec gives text back as it was, with what looks like a byte order mark', () => {
  const codec = textCodec()
  for (const text of ['\ufeffhello', '\ufeff']) assert.equal(codec.decode(codec.encode(text)), text)
})

test('a record that a message of MessagePack defines changes no other message', () => {
  const codec = msgpackCodec()
  // Defines the record 0x40 with one field, and then a value of it.
  const hostile = Buffer.from([0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 0x01])
  try {
    codec.decode(hostile)
  } catch {
    // It may be refused.
  }
  assert.deepEqual(codec.decode(Buffer.from([0x92, 0x40, 0x41])), [64, 65])
})

test('MessagePack that is nested without end is refused', () => {
  const codec = msgpackCodec()
  assert.throws(() => codec.decode(Buffer.alloc(200_000, 0x91)), { code: 'bad-request' })
})

test('the protobuf codec says which message it cannot write', async () => {
  const { createRegistry, create } = await import('@bufbuild/protobuf')
  const { Int32ValueSchema } = await import('@bufbuild/protobuf/wkt')
  const codec = await protobufCodec({ registry: createRegistry(Int32ValueSchema) })
  const message = create(Int32ValueSchema)
  message.value = 2 ** 40
  assert.throws(() => codec.encode(message), {
    code: 'bad-request',
    message: /google\.protobuf\.Int32Value/,
  })
})
