import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pause, until } from '@micrograft/testing'
import { DeadlineWheel, type Timed } from '../dist/deadlines/deadline-wheel.js'

class Entry implements Timed {
  wheelSlot = -1
  wheelNext: Timed | undefined = undefined
  wheelPrevious: Timed | undefined = undefined
  toldAt = 0
  readonly dueAt: number
  constructor(dueAt: number) {
    this.dueAt = dueAt
  }
  expire(): void {
    assert.equal(this.toldAt, 0, 'it is told once')
    this.toldAt = DeadlineWheel.now()
  }
}

test('a deadline is told once, never early and at most a few milliseconds late', async () => {
  const wheel = new DeadlineWheel(true)
  const now = DeadlineWheel.now()
  const times = [0, 1, 3, 4, 5, 20, 21, 22, 23, 24, 100, 101, 250, 20, 20]
  const entries = times.map((ms) => new Entry(now + ms))
  for (const entry of entries) wheel.add(entry)
  // As late as timers are where the machine is busy.
  const timers = await Promise.all(times.map((ms) => pause(ms).then(() => DeadlineWheel.now())))
  await until('all are told', () => entries.every(({ toldAt }) => toldAt > 0))
  const late = entries.map(({ toldAt, dueAt }) => toldAt - dueAt)
  assert.ok(Math.min(...late) >= 0, `early by ${-Math.min(...late)} ms`)
  // The median, so that a stall between the two does not count.
  const later = entries.map(({ toldAt }, i) => toldAt - (timers[i] as number)).sort((a, b) => a - b)
  assert.ok((later[7] as number) < 10, `later than a timer by ${later[7]} ms`)
})

test('one that is removed is not told, whatever its place in the list', async () => {
  const wheel = new DeadlineWheel(true)
  const dueAt = DeadlineWheel.now() + 10
  const entries = [1, 2, 3, 4, 5].map(() => new Entry(dueAt))
  for (const entry of entries) wheel.add(entry)
  for (const each of [0, 2, 4]) wheel.remove(entries[each] as Entry)
  wheel.remove(entries[0] as Entry)
  await until('the others are told', () => entries[1]?.toldAt && entries[3]?.toldAt)
  assert.deepEqual(
    entries.map(({ toldAt }) => toldAt > 0),
    [false, true, false, true, false],
  )
})

test('one that is due after more than a revolution is not told before', async () => {
  const wheel = new DeadlineWheel(true)
  const far = new Entry(DeadlineWheel.now() + 4096 + 30)
  wheel.add(far)
  const near = new Entry(DeadlineWheel.now() + 30)
  wheel.add(near)
  await until('the near one is told', () => near.toldAt)
  assert.equal(far.toldAt, 0)
  wheel.remove(far)
})

test('a stopped wheel tells nothing', async () => {
  const wheel = new DeadlineWheel(true)
  const entry = new Entry(DeadlineWheel.now() + 5)
  wheel.add(entry)
  wheel.stop()
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.equal(entry.toldAt, 0)
})

test('one that is due already is told soon, also where the wheel has turned', async () => {
  const wheel = new DeadlineWheel(true)
  const far = new Entry(DeadlineWheel.now() + 60_000)
  const first = new Entry(DeadlineWheel.now() + 10)
  wheel.add(far)
  wheel.add(first)
  await until('the wheel has turned', () => first.toldAt)
  const past = new Entry(DeadlineWheel.now() - 20)
  wheel.add(past)
  await until('it is told', () => past.toldAt, 1000)
  wheel.remove(far)
})
