import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Delivery } from 'micrograft'
import { OnceEach } from '../dist/components/keepers/once-each.js'

const delivery = (id: string): Delivery => ({
  topic: 't',
  message: { header: { 'micro-id': id }, body: Buffer.alloc(0) },
  redelivered: 0,
})

test('a copy ends as the first does, and one that was not handled may come again', async () => {
  const once = new OnceEach()
  let handled = 0
  const well = async () => void handled++
  await once.handle(delivery('a'), well)
  await once.handle(delivery('a'), well)
  assert.equal(handled, 2, 'one broker alone may deliver again')

  once.begin()
  await Promise.all([once.handle(delivery('b'), well), once.handle(delivery('b'), well)])
  assert.equal(handled, 3)
  const fail = () => Promise.reject(new Error('not now'))
  const copies = [once.handle(delivery('c'), fail), once.handle(delivery('c'), fail)]
  for (const each of copies) await assert.rejects(each, /not now/)
  await once.handle(delivery('c'), well)
  assert.equal(handled, 4)
  once[Symbol.dispose]()
})

test('ids are kept for a while after an overlap and then forgotten, also where swaps never end', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const once = new OnceEach()
  let handled = 0
  const handle = (id: string) => once.handle(delivery(id), async () => void handled++)
  once.begin()
  await handle('a')
  t.mock.timers.tick(10_000)
  await handle('a')
  assert.equal(handled, 1, 'still known a turn later')
  // Another swap begins before the last has rested.
  once.begin()
  t.mock.timers.tick(20_000)
  await handle('a')
  assert.equal(handled, 2, 'forgotten by now')
  once.rest()
  t.mock.timers.tick(10_000)
  await handle('a')
  assert.equal(handled, 2, 'a late copy after the overlap is known')
  t.mock.timers.tick(10_000)
  await handle('a')
  assert.equal(handled, 3, 'one broker is left')
})
