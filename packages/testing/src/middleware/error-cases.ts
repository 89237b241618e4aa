import assert from 'node:assert/strict'
import { errorCodes, ServiceError, type ErrorCode } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { MiddlewareSubject } from '../middleware-cases.js'
import { placesOf, type Passed, type Place } from './places.js'

const codes = Object.keys(errorCodes) as ErrorCode[]

/** What `next` may reject with: every code, and what is no `ServiceError`. */
const failures: readonly unknown[] = [
  ...codes.map((code) => new ServiceError(code, `failed with ${code}`, { id: 'greeter' })),
  new TypeError('a bug'),
  new DOMException('given up', 'AbortError'),
  'a text',
  undefined,
]

/** Sends one call in that always fails, and gives how often it was tried and what came back. */
async function failing(
  { go }: Place,
  argument: Passed,
  failure: unknown,
): Promise<{ readonly calls: number; readonly outcome: PromiseSettledResult<unknown> }> {
  let calls = 0
  const [outcome] = await Promise.allSettled([
    go(argument, () => {
      calls++
      // eslint-disable-next-line prefer-promise-reject-errors -- whatever it is must pass
      return Promise.reject(failure)
    }),
  ])
  return { calls, outcome }
}

export const errorCases: readonly Case<MiddlewareSubject>[] = [
  {
    name: 'an error comes back as it is',
    async run(subject) {
      for (const place of placesOf(subject)) {
        for (const failure of failures) {
          const { outcome } = await failing(place, place.argument('one'), failure)
          assert.equal(outcome.status, 'rejected', `${place.name} hides ${String(failure)}`)
          assert.equal(outcome.reason, failure, `${place.name} makes another error of ${String(failure)}`)
        }
      }
    },
  },
  {
    name: 'next is called no more often than it says',
    async run(subject) {
      const { maxAttempts = 1 } = subject
      for (const place of placesOf(subject)) {
        for (const failure of failures) {
          const { calls } = await failing(place, place.argument('one'), failure)
          assert.ok(
            calls >= 1 && calls <= maxAttempts,
            `${place.name} calls next ${calls} times, not up to ${maxAttempts}`,
          )
        }
      }
    },
  },
  {
    name: 'an error that another try cannot help is not tried again',
    async run(subject) {
      for (const place of placesOf(subject)) {
        for (const code of codes.filter((each) => !errorCodes[each].retryable)) {
          const { calls } = await failing(place, place.argument('one'), new ServiceError(code, 'failed'))
          assert.equal(calls, 1, `${place.name} tries ${code} ${calls} times`)
        }
      }
    },
  },
  {
    name: 'what comes after a failure passes',
    async run(subject) {
      for (const place of placesOf(subject)) {
        const { name, replies, argument, go } = place
        for (const [i, failure] of failures.slice(0, 3).entries()) {
          await failing(place, argument(`failing ${i}`), failure)
          const reply = replies ? { i } : undefined
          assert.equal(await go(argument(`passing ${i}`), async () => reply), reply, name)
        }
      }
    },
  },
]
