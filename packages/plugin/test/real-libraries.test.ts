import assert from 'node:assert/strict'
import { test } from 'node:test'
import protobuf from 'protobufjs'
import { life } from './support/life.js'
import { workshop } from './support/workshop.js'

test('zod validates in a plugin', async (t) => {
  const shop = await workshop(t)
  const built = await shop.plugin(
    'order',
    `import { z } from 'zod'

    const Order = z.object({
      id: z.uuid(),
      lines: z.array(z.object({ sku: z.string().min(3), count: z.number().int().positive() })).nonempty(),
      placed: z.coerce.date(),
    }).meta({ title: 'Order' })
    type Order = z.infer<typeof Order>

    export function total(value: unknown): number {
      const order: Order = Order.parse(value)
      return order.lines.reduce((sum, { count }) => sum + count, 0)
    }
    export function problems(value: unknown): string[] {
      const result = Order.safeParse(value)
      return result.success ? [] : result.error.issues.map(({ path, code }) => path.join('.') + ' ' + code)
    }
    export const title = (): string | undefined => z.globalRegistry.get(Order)?.title
    `,
  )
  const lines = [
    { sku: 'abc', count: 2 },
    { sku: 'def', count: 3 },
  ]
  interface Order {
    total(value: unknown): number
    problems(value: unknown): string[]
    title(): string | undefined
  }
  const leftovers = await life<Order>(shop, built, async (plugin) => {
    const id = '9f5b1c7e-3a4d-4e8f-9b2a-1c3d5e7f9a0b'
    assert.equal(plugin.lookup('total')({ id, lines, placed: '2026-01-02' }), 5)
    assert.deepEqual(
      plugin.lookup('problems')({ id: 'x', lines: [{ sku: 'a', count: 1.5 }], placed: '2026' }),
      ['id invalid_format', 'lines.0.sku too_small', 'lines.0.count invalid_type'],
    )
    assert.equal(plugin.lookup('title')(), 'Order')
  })
  assert.deepEqual(leftovers, [])
})

const person = {
  type: 'object',
  properties: { name: { type: 'string', minLength: 1 }, age: { type: 'integer', even: true } },
  required: ['name'],
  additionalProperties: false,
}

test('ajv compiles a schema and validates in a plugin', async (t) => {
  const shop = await workshop(t)
  const built = await shop.plugin(
    'schema',
    `import { Ajv, type ErrorObject } from 'ajv'

    const schema = ${JSON.stringify(person)}
    const ajv = new Ajv({ allErrors: true })
    ajv.addKeyword({ keyword: 'even', type: 'number', validate: (_: boolean, value: number) => value % 2 === 0 })
    const validate = ajv.compile(schema)

    export function check(value: unknown): string[] {
      validate(value)
      return (validate.errors ?? []).map((error: ErrorObject) => error.instancePath + ' ' + error.keyword)
    }
    `,
  )
  const leftovers = await life<{ check(value: unknown): string[] }>(shop, built, async (plugin) => {
    const check = plugin.lookup('check')
    assert.deepEqual(check({ name: 'Ada', age: 36 }), [])
    assert.deepEqual(check({ name: '', age: 35 }), ['/name minLength', '/age even'])
    assert.deepEqual(check({ age: 36, extra: 1 }), [' required', ' additionalProperties'])
  })
  assert.deepEqual(leftovers, [])
})

const proto = `syntax = "proto3";
package greet;
enum Mood { NEUTRAL = 0; GLAD = 1; }
message Greeting {
  string text = 1;
  Mood mood = 2;
  repeated sint32 offsets = 3;
  map<string, bytes> parts = 4;
  oneof who { string name = 5; uint32 number = 6; }
}
`

test('protobufjs parses a .proto text, encodes and decodes in a plugin, as it does outside', async (t) => {
  const shop = await workshop(t)
  await shop.write('greet-src/greet.proto', proto)
  const built = await shop.plugin(
    'greet',
    `import protobuf from 'protobufjs'
    import text from './greet.proto'

    const Greeting = protobuf.parse(text).root.lookupType('greet.Greeting')

    export const encode = (value: object): Uint8Array => Greeting.encode(Greeting.fromObject(value)).finish()
    export const decode = (bytes: Uint8Array): string =>
      JSON.stringify(Greeting.toObject(Greeting.decode(bytes), { enums: String, bytes: String, oneofs: true }))
    export const refuse = (value: object): string | null => Greeting.verify(value)
    `,
  )
  const value = {
    text: 'héllo',
    mood: 'GLAD',
    offsets: [-1, 0, 2_000_000_000],
    parts: { a: 'AQID' },
    name: 'Ada',
  }
  interface Greet {
    encode(value: object): Uint8Array
    decode(bytes: Uint8Array): string
    refuse(value: object): string | null
  }
  const leftovers = await life<Greet>(shop, built, async (plugin) => {
    const bytes = plugin.lookup('encode')(value)
    const outside = protobuf.parse(proto).root.lookupType('greet.Greeting')
    assert.deepEqual(Buffer.from(bytes), Buffer.from(outside.encode(outside.fromObject(value)).finish()))
    assert.deepEqual(JSON.parse(plugin.lookup('decode')(bytes)), { ...value, who: 'name' })
    assert.equal(plugin.lookup('refuse')({ text: 1 }), 'text: string expected')
  })
  assert.deepEqual(leftovers, [])
})

test('msgpackr packs and unpacks in a plugin, without its native part', async (t) => {
  const shop = await workshop(t)
  const built = await shop.plugin(
    'pack',
    `import { Packr, unpack, isNativeAccelerationEnabled } from 'msgpackr'

    const packr = new Packr({ structuredClone: true, useRecords: true })

    export const native = isNativeAccelerationEnabled
    export const pack = (value: unknown): Uint8Array => packr.pack(value)
    export const back = (bytes: Uint8Array): unknown => structuredClone(packr.unpack(bytes as Buffer))
    export const plain = (bytes: Uint8Array): unknown => unpack(bytes)
    `,
  )
  assert.deepEqual(
    built.inputs.filter((input) => input.includes('msgpackr-extract')),
    [],
  )
  const value = {
    text: 'héllo '.repeat(20),
    when: new Date('2026-01-02T03:04:05.678Z'),
    set: new Set([1, 'two']),
    map: new Map([['k', { nested: [1.5, -7, null, true] }]]),
    big: 2n ** 60n,
    bytes: new Uint8Array([1, 2, 3]),
    rows: Array.from({ length: 50 }, (_, i) => ({ i, name: `row ${i}` })),
  }
  interface Pack {
    native: boolean
    pack(value: unknown): Uint8Array
    back(bytes: Uint8Array): typeof value
    plain(bytes: Uint8Array): unknown
  }
  const leftovers = await life<Pack>(shop, built, async (plugin) => {
    assert.equal(plugin.lookup('native'), false)
    const got = plugin.lookup('back')(plugin.lookup('pack')(value))
    assert.deepEqual({ ...got, bytes: new Uint8Array(got.bytes) }, value)
    // MessagePack of another hand: { a: [1, "x"] }.
    assert.deepEqual(plugin.lookup('plain')(Uint8Array.of(0x81, 0xa1, 0x61, 0x92, 1, 0xa1, 0x78)), {
      a: [1, 'x'],
    })
  })
  assert.deepEqual(leftovers, [])
})
