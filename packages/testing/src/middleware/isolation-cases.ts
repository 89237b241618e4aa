import assert from 'node:assert/strict'
import { ServiceError, type Middleware } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { MiddlewareSubject } from '../middleware-cases.js'
import { until } from '../wait.js'
import { labelOf, placesOf, type Passed } from './places.js'

const many = 100

async function dispose(middleware: Middleware & Partial<AsyncDisposable>): Promise<void> {
  await middleware[Symbol.asyncDispose]?.()
}

export const isolationCases: readonly Case<MiddlewareSubject>[] = [
  {
    name: 'many at a time are each answered by their own',
    async run(subject) {
      for (const { name, replies, argument, go } of placesOf(subject)) {
        const held: (() => void)[] = []
        const next = async (passed: Passed) => {
          await new Promise<void>((resolve) => held.push(resolve))
          return replies ? labelOf(passed) : undefined
        }
        const labels = Array.from({ length: many }, (_, i) => `${i}`)
        const under = Promise.all(labels.map((label) => go(argument(label), next)))
        await until(`${name} has all under way at a time`, () => held.length === many)
        for (const release of held.toReversed()) release()
        assert.deepEqual(await under, replies ? labels : labels.map(() => undefined), name)
      }
    },
  },
  {
    name: 'one that is made within another passes',
    async run(subject) {
      for (const { name, replies, argument, go } of placesOf(subject)) {
        const nested = (depth: number): Promise<unknown> =>
          go(argument(`${depth}`), async (passed) => {
            if (depth > 0) await nested(depth - 1)
            return replies ? labelOf(passed) : undefined
          })
        assert.equal(await nested(5), replies ? '5' : undefined, name)
      }
    },
  },
  {
    name: 'what happens in one service shows in no other',
    async run(subject) {
      const other = await subject.another()
      assert.notEqual(other, subject.middleware)
      const elsewhere = placesOf({ ...subject, middleware: other })
      for (const [i, { name, replies, argument, go }] of placesOf(subject).entries()) {
        const failure = new ServiceError('unavailable', 'out of reach')
        await Promise.allSettled(
          Array.from({ length: many }, (_, each) =>
            go(argument(`failing ${each}`), () => Promise.reject(failure)),
          ),
        )
        let release: () => void = () => undefined
        const gate = new Promise<void>((resolve) => (release = resolve))
        const held = Array.from({ length: many }, (_, each) => go(argument(`held ${each}`), () => gate))
        await go(argument('the same'), async () => (replies ? 'here' : undefined)).catch(() => undefined)
        const there = elsewhere[i]
        assert.equal(there?.name, name)
        let calls = 0
        const reply = await there.go(there.argument('the same'), async () => {
          calls++
          return replies ? 'there' : undefined
        })
        assert.deepEqual([calls, reply], [1, replies ? 'there' : undefined], name)
        release()
        await Promise.allSettled(held)
      }
      await dispose(other)
      for (const { name, argument, go } of placesOf(subject)) {
        let calls = 0
        await go(argument('after'), async () => void calls++)
        assert.equal(calls, 1, `${name} ended with the other`)
      }
    },
  },
]
