import assert from 'node:assert/strict'
import type { CallContext, Delivery, PublishContext } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { MiddlewareSubject } from '../middleware-cases.js'
import { stillPending } from '../wait.js'
import { metadataOf, placesOf, valueOf, type Passed } from './places.js'

/** What `next` gives, and what must come back as the same thing. */
const results: readonly unknown[] = [
  Object.freeze({ msg: 'Hello' }),
  Object.freeze([1, 2]),
  new Uint8Array([1, 2]),
  '',
  0,
  false,
  null,
  undefined,
]

function about(passed: Passed): Partial<CallContext & PublishContext & Delivery> {
  if ('message' in passed) return { topic: passed.topic, redelivered: passed.redelivered }
  if ('payload' in passed) return { topic: passed.topic }
  return { service: passed.service, endpoint: passed.endpoint, stream: passed.stream }
}

export const passingCases: readonly Case<MiddlewareSubject>[] = [
  {
    name: 'it names itself, and goes around something',
    async run({ middleware }) {
      assert.equal(typeof middleware.name, 'string')
      assert.notEqual(middleware.name, '')
      assert.ok(
        placesOf({ middleware }).length > 0,
        `${middleware.name} has none of call, handle, publish and subscribe`,
      )
      for (const name of ['call', 'handle', 'publish', 'subscribe'] as const)
        assert.match(typeof middleware[name], /^(function|undefined)$/, name)
    },
  },
  {
    name: 'what goes in reaches next, and of its metadata nothing is lost',
    async run(subject) {
      for (const { name, argument, go } of placesOf(subject)) {
        const given = argument('one')
        let got: Passed | undefined
        await go(given, async (passed) => (got = passed) && undefined)
        assert.ok(got, `${name} does not call next`)
        assert.deepEqual(about(got), about(given), name)
        assert.equal(valueOf(got), valueOf(given), `${name} passes another value on`)
        for (const [key, value] of Object.entries(metadataOf(given)))
          assert.equal(metadataOf(got)[key], value, `${name} loses ${key}`)
      }
    },
  },
  {
    name: 'next is called once for what succeeds',
    async run(subject) {
      for (const { name, argument, go } of placesOf(subject)) {
        for (const label of ['one', 'two', 'one']) {
          let calls = 0
          await go(argument(label), async () => void calls++)
          assert.equal(calls, 1, `${name} calls next ${calls} times`)
        }
      }
    },
  },
  {
    name: 'what next gives comes back as it is',
    async run(subject) {
      for (const { name, replies, argument, go } of placesOf(subject)) {
        if (!replies) {
          assert.equal(await go(argument('one'), async () => undefined), undefined, name)
          continue
        }
        for (const [i, result] of results.entries())
          assert.equal(await go(argument(`${i}`), async () => result), result, name)
      }
    },
  },
  {
    name: 'nothing is over before next is',
    async run(subject) {
      for (const { name, argument, go } of placesOf(subject)) {
        let release: () => void = () => undefined
        const gate = new Promise<void>((resolve) => (release = resolve))
        const under = go(argument('one'), () => gate)
        assert.ok(await stillPending(under), `${name} does not wait for next`)
        release()
        await under
      }
    },
  },
  {
    name: 'what it was given is as it was',
    async run(subject) {
      for (const { name, argument, go } of placesOf(subject)) {
        // The rest is frozen: a change of it throws.
        const given = argument('one')
        await go(given, async () => undefined)
        await go(given, () => Promise.reject(new Error('failed'))).catch(() => undefined)
        assert.deepEqual(given, argument('one'), name)
      }
    },
  },
]
