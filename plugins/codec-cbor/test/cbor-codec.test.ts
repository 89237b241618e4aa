import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Plugin } from '@micrograft/codec-cbor'
import type { CborCodecOptions } from '@micrograft/codec-cbor'
import type { Codec } from '@micrograft/contracts'
import { componentContext } from '@micrograft/testing'

const make = (options: CborCodecOptions = {}) => Plugin.newFunc(options as never, componentContext()) as Codec
const hex = (text: string) => Buffer.from(text, 'hex')

// RFC 8949, appendix A.
const vectors: readonly [string, unknown][] = [
  ['00', 0],
  ['1864', 100],
  ['1b000000e8d4a51000', 1_000_000_000_000],
  ['1bffffffffffffffff', 18_446_744_073_709_551_615n],
  ['c249010000000000000000', 18_446_744_073_709_551_616n],
  ['3bffffffffffffffff', -18_446_744_073_709_551_616n],
  ['3903e7', -1000],
  ['f90001', 5.960464477539063e-8],
  ['fa47c35000', 100_000],
  ['fb3ff199999999999a', 1.1],
  ['f97c00', Infinity],
  ['f4', false],
  ['f6', null],
  ['f7', undefined],
  ['c074323031332d30332d32315432303a30343a30305a', new Date('2013-03-21T20:04:00Z')],
  ['c11a514b67b0', new Date('2013-03-21T20:04:00Z')],
  ['4401020304', new Uint8Array([1, 2, 3, 4])],
  ['62c3bc', 'ü'],
  ['8301820203820405', [1, [2, 3], [4, 5]]],
  ['a26161016162820203', { a: 1, b: [2, 3] }],
  ['9f018202039f0405ffff', [1, [2, 3], [4, 5]]],
  ['bf6346756ef563416d7421ff', { Fun: true, Amt: -2 }],
]

test('the cbor codec reads what RFC 8949 gives as examples', () => {
  const codec = make()
  for (const [bytes, value] of vectors) assert.deepEqual(codec.decode(hex(bytes)), value, bytes)
})

test('the cbor codec reads integers of 64 bits as numbers where a number holds them, wherever they are', () => {
  const codec = make()
  const big = '1b000000012a05f200'
  assert.deepEqual(codec.decode(hex(`a2616182${big}1b7fffffffffffffff6162d9010281${big}`)), {
    a: [5_000_000_000, 2n ** 63n - 1n],
    b: new Set([5_000_000_000]),
  })
  assert.equal(codec.decode(codec.encode(1n)), 1)
})

test('the cbor codec reads and writes as deep as it is told, and tells the byte where it goes wrong', () => {
  const codec = make({ maxDepth: 3 })
  assert.deepEqual(codec.decode(hex('81818101')), [[[1]]])
  assert.throws(() => codec.decode(hex('8181818101')), {
    code: 'bad-request',
    message: /deeper than 3 levels at byte 4/,
  })
  assert.throws(() => codec.encode([[[[1]]]]), { code: 'bad-request', message: /deeper than 3/ })
  assert.throws(() => make().decode(hex('81'.repeat(100_000))), { code: 'bad-request' })
  assert.throws(() => make().decode(hex('8301ff02')), { code: 'bad-request', message: /at byte 2/ })
  assert.throws(() => make({ depth: 3 } as never), { code: 'invalid-option' })
})

test('the cbor codec writes well after a value that it could not write', () => {
  const codec = make()
  const before = codec.encode({ a: 1 })
  assert.throws(() => codec.encode({ a: 'x'.repeat(5000), b: () => 1 }))
  assert.deepEqual(codec.encode({ a: 1 }), before)
})

test('the cbor codec gives bytes that stay, and takes no memory for sizes that are only claimed', () => {
  const codec = make()
  const first = codec.encode({ a: 'first' })
  const copy = first.slice()
  for (let i = 0; i < 1000; i++) codec.encode({ a: `other ${i}` })
  assert.deepEqual(first, copy)
  const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed
  for (const claim of ['9a06ffffff', 'ba00ffffff', '5affffffff', '9b0000000006ffffff'])
    assert.throws(() => codec.decode(hex(claim)), { code: 'bad-request' })
  assert.ok(process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before < 16_777_216)
})

test('the cbor codec refuses integers that would take long to read', () => {
  const digits = 'ff'.repeat(60_000)
  assert.throws(() => make().decode(hex(`c259ea60${digits}`)), { code: 'bad-request', message: /1024 bytes/ })
})

test('the cbor codec reads integers of any length as numbers where a number holds them', () => {
  const codec = make()
  assert.equal(codec.decode(hex('c24101')), 1)
  assert.equal(codec.decode(hex('c240')), 0)
  assert.equal(codec.decode(hex('c34101')), -2)
  assert.deepEqual(codec.decode(hex('82c241011b0000000000000001')), [1, 1])
})

test('the cbor codec reads dates whose seconds are written in 64 bits', () => {
  const codec = make()
  assert.deepEqual(codec.decode(hex('c11b0000000100000000')), new Date(2 ** 32 * 1000))
  assert.deepEqual(codec.decode(hex('c13b0000000100000000')), new Date((-(2 ** 32) - 1) * 1000))
})

test('the cbor codec reads no date of what is no number', () => {
  for (const each of ['c1f4', 'c1f5', 'c1f6', 'c1f7'])
    assert.throws(() => make().decode(hex(each)), { code: 'bad-request' }, each)
})

test('the cbor codec refuses what the stack does not bear, however deep it may go', () => {
  for (const maxDepth of [NaN, 0, -1, 1.5, Infinity, '3'])
    assert.throws(() => make({ maxDepth: maxDepth as number }), { code: 'invalid-option' }, String(maxDepth))
  const codec = make({ maxDepth: 1e9 })
  for (const nested of ['81', 'a100', 'd90103a100', 'd9010281'])
    assert.throws(() => codec.decode(hex(`${nested.repeat(100_000)}1b0000000100000000`)), {
      code: 'bad-request',
    })
  codec.decode(codec.encode(codec.decode(hex(`${'81'.repeat(1000)}00`))))
})

test('the cbor codec keeps what a peer names within the value', () => {
  const value = make().decode(
    hex('a3695f5f70726f746f5f5fa16161016b636f6e7374727563746f720268746f537472696e6703'),
  ) as Record<string, unknown>
  assert.equal(Object.getPrototypeOf(value), Object.prototype)
  assert.equal(({} as Record<string, unknown>)['a'], undefined)
  assert.deepEqual(Object.keys(value), ['__proto_', 'constructor', 'toString'])
  assert.deepEqual(make().decode(hex('a3616101616102616103')), { a: 3 })
})
