import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HandlerSet } from '@micrograft/contracts'
import { Slot } from '../dist/components/slot.js'
import type { Candidate } from '../dist/components/generation.js'
import type { Keeper } from '../dist/components/keeper.js'

/** A slot of handlers, and what happens to them, in order. */
function slotOf(keeper: Partial<Keeper<HandlerSet>> = {}) {
  const log: string[] = []
  const candidate = (label: string): Candidate<HandlerSet> => ({
    name: label,
    label,
    options: {},
    make: async () => ({
      endpoints: {},
      [Symbol.asyncDispose]: async () => void log.push(`disposed ${label}`),
    }),
  })
  const slot = new Slot('handler', { shares: true, keeper: () => ({ methods: {}, ...keeper }) })
  const first = candidate('1')
  const filled = first.make().then((set) => slot.fill(first, set))
  return { slot, log, candidate, filled }
}

test('a rollback at the moment at which all calls are given to the new component goes before, and that fails', async () => {
  const { slot, log, candidate, filled } = slotOf()
  await filled
  await slot.swap(candidate('2'), { share: 0.5 })
  const [back, all] = await Promise.allSettled([slot.rollback(), slot.share(1)])
  assert.equal(back.status, 'fulfilled')
  assert.equal(all.status === 'rejected' && (all.reason as { code?: string }).code, 'canceled')
  assert.equal(slot.label, '1')
  assert.deepEqual(log, ['disposed 2'])
  await slot.swap(candidate('3'), { watchMs: 0 })
  assert.equal(slot.label, '3')
  await slot[Symbol.asyncDispose]()
})

test('all calls given to the new component before a rollback are given, and then taken back', async () => {
  const { slot, candidate, filled } = slotOf()
  await filled
  await slot.swap(candidate('2'), { share: 0.5, watchMs: 10_000 })
  const [all, back] = await Promise.allSettled([slot.share(1), slot.rollback()])
  assert.equal(back.status, 'fulfilled')
  assert.equal(all.status, 'rejected')
  assert.equal(slot.label, '1')
  await slot[Symbol.asyncDispose]()
})

test('a component whose place cannot be prepared is disposed', async () => {
  const { slot, log, candidate, filled } = slotOf({
    prepare: async () => {
      throw new Error('no room')
    },
  })
  await filled
  await assert.rejects(slot.swap(candidate('2')), /no room/)
  assert.equal(slot.label, '1')
  assert.deepEqual(log, ['disposed 2'])
  await slot[Symbol.asyncDispose]()
  assert.deepEqual(log, ['disposed 2', 'disposed 1'])
})
