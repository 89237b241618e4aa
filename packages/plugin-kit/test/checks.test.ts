import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  afterPrefix,
  keyBytes,
  lifetime,
  requireKey,
  requireLimit,
  requireQueue,
  requireValue,
  requireTopic,
  requireTtl,
} from '@micrograft/plugin-kit'

test('a key is a text of 1 to 512 bytes in UTF-8', () => {
  for (const key of ['k', ' ', 'a/b.c', 'ü'.repeat(256), '😀'.repeat(128)]) {
    requireKey(key)
    assert.equal(keyBytes(key).toString(), key)
  }
  for (const key of ['', 'x'.repeat(513), 'ü'.repeat(257), 'half \ud83d', 5, undefined]) {
    assert.throws(() => requireKey(key as string), { code: 'bad-request' }, String(key))
    assert.throws(() => keyBytes(key as string), { code: 'bad-request' }, String(key))
  }
})

test('a time to live is a positive number, in whole milliseconds, and one without end is none', () => {
  assert.deepEqual([1, 0.2, 1.5, 86_400_000].map(lifetime), [1, 1, 2, 86_400_000])
  assert.deepEqual([undefined, 1e13, Number.MAX_VALUE].map(lifetime), [undefined, undefined, undefined])
  for (const ttlMs of [0, -1, Number.NaN, Infinity, '5']) {
    assert.throws(() => requireTtl(ttlMs as number), { code: 'invalid-option' }, String(ttlMs))
    assert.throws(() => lifetime(ttlMs as number), { code: 'invalid-option' }, String(ttlMs))
  }
})

test('a value is bytes, at most those of the limit, and the error names the key and not the value', () => {
  for (const value of ['text', 5, null, undefined, [1], { length: 1 }])
    assert.throws(() => requireValue('k', value, 10), { code: 'bad-request', message: /of k is / })
  requireValue('k', new Uint8Array(10), 10)
  assert.throws(() => requireValue('k', new Uint8Array(11), 10), {
    code: 'too-large',
    message: /of k has 11 /,
  })
})

test('a limit is a whole number from 0 up', () => {
  for (const limit of [0, 1, 1e6]) requireLimit(limit)
  for (const limit of [-1, 0.5, Number.NaN, Infinity, '5'])
    assert.throws(() => requireLimit(limit as number), { code: 'invalid-option' }, String(limit))
})

test('what is after a prefix is after all that begin with it, and before what comes next', () => {
  for (const prefix of ['a', 'ab', 'ü', '😀', '\u{10ffff}']) {
    const end = afterPrefix(Buffer.from(prefix))
    for (const more of ['', 'z', '\u{10ffff}'])
      assert.ok(Buffer.compare(Buffer.from(prefix + more), end) < 0, prefix + more)
  }
  assert.deepEqual(afterPrefix(Buffer.from('a')), Buffer.from('b'))
})

test('a topic and a queue have the letters that they may have, and an error shows no more than their beginning', () => {
  for (const topic of ['t', 'a.b_c-D/0', 'x'.repeat(255)]) requireTopic(topic)
  for (const queue of [undefined, 'q', 'a.b_c-D0', 'x'.repeat(128)]) requireQueue(queue)
  for (const topic of ['', 'a b', 'a*', 'ü', 'x'.repeat(256), 5, undefined])
    assert.throws(() => requireTopic(topic as string), { code: 'bad-request' }, String(topic))
  for (const queue of ['', 'a/b', 'a b', 'x'.repeat(129), 5, null])
    assert.throws(() => requireQueue(queue as string), { code: 'bad-request' }, String(queue))
  assert.throws(
    () => requireTopic('?'.repeat(10_000)),
    ({ message }: Error) => message.length < 300,
  )
})
