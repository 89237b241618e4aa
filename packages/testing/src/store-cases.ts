import assert from 'node:assert/strict'
import type { Store } from '@micrograft/contracts'
import type { Case } from './case.js'
import { pause, until } from './wait.js'

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (value: Uint8Array | undefined) =>
  value === undefined ? undefined : new TextDecoder().decode(value)
const closed = { code: 'closed' }

/** What every store promises. */
export const storeCases: readonly Case<Store>[] = [
  {
    name: 'gives what was set, and undefined for what was not',
    async run(store) {
      assert.equal(await store.get('a'), undefined)
      await store.set('a', bytes('1'))
      await store.set('b', new Uint8Array())
      assert.equal(text(await store.get('a')), '1')
      assert.equal((await store.get('b'))?.length, 0)
      await store.set('a', bytes('2'))
      assert.equal(text(await store.get('a')), '2')
    },
  },
  {
    name: 'keeps any bytes under any key',
    async run(store) {
      const value = Uint8Array.from({ length: 256 }, (_, i) => i)
      const keys = ['/', '..', '../../etc/passwd', 'a b', 'ü', '💡', '\u0000', 'k'.repeat(512), '%2F', 'CON']
      for (const key of keys) await store.set(key, value)
      for (const key of keys)
        assert.deepEqual([...((await store.get(key)) ?? [])], [...value], JSON.stringify(key))
      assert.equal((await store.list()).length, keys.length)
    },
  },
  {
    name: 'leaves the bytes that it was given alone, and gives bytes that are the caller’s',
    async run(store) {
      const value = bytes('mine')
      await store.set('a', value)
      value.fill(0)
      const got = (await store.get('a')) as Uint8Array
      assert.equal(text(got), 'mine')
      got.fill(0)
      assert.equal(text(await store.get('a')), 'mine')
    },
  },
  {
    name: 'deletes, and says whether there was something',
    async run(store) {
      await store.set('a', bytes('1'))
      assert.equal(await store.delete('a'), true)
      assert.equal(await store.delete('a'), false)
      assert.equal(await store.get('a'), undefined)
      assert.deepEqual(await store.list(), [])
    },
  },
  {
    name: 'forgets what has expired, and setting again renews or takes the expiry away',
    async run(store) {
      let got: Uint8Array | undefined
      for (const ttlMs of [60, 600, 6000]) {
        const before = performance.now()
        await store.set('short', bytes('1'), { ttlMs })
        got = await store.get('short')
        // On a busy machine its time may be over before it was asked for.
        if (performance.now() - before < ttlMs) break
      }
      assert.equal(text(got), '1')
      await store.set('renewed', bytes('1'), { ttlMs: 60 })
      await store.set('renewed', bytes('2'))
      await until('the entry expires', async () => (await store.get('short')) === undefined, 20_000)
      await pause(70)
      assert.equal(text(await store.get('renewed')), '2')
      assert.deepEqual(await store.list(), ['renewed'])
      assert.equal(await store.delete('short'), false)
    },
  },
  {
    name: 'lists keys in the order of their bytes, by prefix, by suffix, and page by page',
    async run(store) {
      for (const key of ['b/2', 'a', 'b/1', '\uffff', '💡', 'b/10', 'B']) await store.set(key, bytes('x'))
      assert.deepEqual(await store.list(), ['B', 'a', 'b/1', 'b/10', 'b/2', '\uffff', '💡'])
      assert.deepEqual(await store.list({ prefix: 'b/' }), ['b/1', 'b/10', 'b/2'])
      assert.deepEqual(await store.list({ prefix: 'b/', suffix: '0' }), ['b/10'])
      assert.deepEqual(await store.list({ limit: 2 }), ['B', 'a'])
      assert.deepEqual(await store.list({ limit: 2, after: 'a' }), ['b/1', 'b/10'])
      assert.deepEqual(await store.list({ limit: 0 }), [])
      assert.deepEqual(await store.list({ prefix: 'none' }), [])
    },
  },
  {
    name: 'a get sees one of the values that are set at the same time, whole',
    async run(store) {
      const values = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(50_000))
      await store.set('k', bytes(values[0] as string))
      const writes = values.map((value) => store.set('k', bytes(value)))
      for (let i = 0; i < 10; i++) assert.ok(values.includes(text(await store.get('k')) as string))
      await Promise.all(writes)
      assert.ok(values.includes(text(await store.get('k')) as string))
    },
  },
  {
    name: 'refuses a key that is none with bad-request',
    async run(store) {
      for (const key of ['', 'k'.repeat(513), 'ü'.repeat(300), 'half \ud800 of a pair']) {
        await assert.rejects(store.get(key), { code: 'bad-request' })
        await assert.rejects(store.set(key, bytes('1')), { code: 'bad-request' })
        await assert.rejects(store.delete(key), { code: 'bad-request' })
      }
    },
  },
  {
    name: 'refuses a value that is no bytes with bad-request, and keeps what was there',
    async run(store) {
      await store.set('a', bytes('1'))
      for (const value of ['text', 5, null, undefined, [1], { length: 1 }])
        await assert.rejects(store.set('a', value as never), { code: 'bad-request' })
      assert.equal(text(await store.get('a')), '1')
    },
  },
  {
    name: 'refuses a lifetime and a limit that are none with invalid-option',
    async run(store) {
      for (const ttlMs of [0, -1, NaN])
        await assert.rejects(store.set('a', bytes('1'), { ttlMs }), { code: 'invalid-option' })
      await assert.rejects(store.list({ limit: -1 }), { code: 'invalid-option' })
      assert.equal(await store.get('a'), undefined)
    },
  },
  {
    name: 'rejects with the reason of a signal that is aborted, and does nothing',
    async run(store) {
      const reason = new Error('enough')
      const signal = AbortSignal.abort(reason)
      await assert.rejects(store.set('a', bytes('1'), { signal }), reason)
      await assert.rejects(store.get('a', { signal }), reason)
      await assert.rejects(store.delete('a', { signal }), reason)
      await assert.rejects(store.list({ signal }), reason)
      assert.equal(await store.get('a'), undefined)
    },
  },
  {
    name: 'rejects with closed after it was disposed, which is safe twice and at the same time',
    async run(store) {
      await store.set('a', bytes('1'))
      await Promise.all([store[Symbol.asyncDispose](), store[Symbol.asyncDispose]()])
      await store[Symbol.asyncDispose]()
      await assert.rejects(store.get('a'), closed)
      await assert.rejects(store.set('a', bytes('1')), closed)
      await assert.rejects(store.delete('a'), closed)
      await assert.rejects(store.list(), closed)
    },
  },
]
