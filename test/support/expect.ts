import assert from 'node:assert/strict'
import type { Fleet, Outcome } from '@micrograft/bench/dist/swap/fleet.js'
import type { MemoryReading } from '@micrograft/bench/dist/swap/member-protocol.js'

/** Expects that nothing was lost, doubled or failed, and that there was something to lose. */
export function expectNothingLost(outcome: Outcome): void {
  const { calls, keeps, streams, channels, published, ...wrong } = outcome
  assert.deepEqual(wrong, {
    failed: 0,
    doubled: 0,
    lost: 0,
    messagesLost: 0,
    messagesDoubled: 0,
    uncounted: 0,
    failures: [],
  })
  for (const [what, count] of Object.entries({ calls, keeps, streams, channels, published }))
    assert.ok(count > 0, `no ${what}`)
}

type Reading = Readonly<Record<'greeter' | 'caller', MemoryReading>>

/** What the heap may grow by for other reasons than swaps, such as compiled code. */
const mostHeapGrowth = 2_000_000

/** Expects that swaps between two readings have left nothing. */
export function expectFlat({ neededFiles }: Fleet, early: Reading, late: Reading): void {
  for (const role of ['greeter', 'caller'] as const) {
    const grown = late[role].heapUsed - early[role].heapUsed
    assert.ok(grown < mostHeapGrowth, `the heap of the ${role} grew by ${grown} bytes`)
    assert.equal(late[role].plugins, neededFiles[role], `open plugin files of the ${role}`)
    const more = (late[role].descriptors ?? 0) - (early[role].descriptors ?? 0)
    assert.ok(more <= 2, `the ${role} has ${more} more open descriptors`)
  }
}
