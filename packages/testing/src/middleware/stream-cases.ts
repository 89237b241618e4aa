import assert from 'node:assert/strict'
import { ServiceError } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { MiddlewareSubject } from '../middleware-cases.js'
import { until } from '../wait.js'
import { callPlacesOf, type CallPlace } from './places.js'

/** More than this is not read ahead of who takes. */
const maxAhead = 16

/** Numbers without end, and what became of their source. */
class Numbers {
  given = 0
  left = false
  async *[Symbol.asyncIterator](): AsyncGenerator<number> {
    try {
      for (;;) yield this.given++
    } finally {
      this.left = true
    }
  }
}

async function* failing(count: number, failure: unknown): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) yield i
  throw failure
}

async function take(count: number, messages: AsyncIterable<unknown>): Promise<unknown[]> {
  const taken: unknown[] = []
  for await (const each of messages) if (taken.push(each) === count) break
  return taken
}

/** All messages until the end or the failure, and that. */
async function drain(messages: AsyncIterable<unknown>): Promise<readonly [unknown[], unknown]> {
  const taken: unknown[] = []
  try {
    for await (const each of messages) taken.push(each)
  } catch (error) {
    return [taken, error]
  }
  return [taken, undefined]
}

/** Sends a stream through; `answer` gets the messages as `next` does. */
function stream(
  { argument, go }: CallPlace,
  request: unknown,
  answer: (messages: AsyncIterable<unknown>) => unknown,
): Promise<AsyncIterable<unknown>> {
  return go(argument('stream', { stream: true, request }), async (context) =>
    answer(context.request as AsyncIterable<unknown>),
  ) as Promise<AsyncIterable<unknown>>
}

export const streamCases: readonly Case<MiddlewareSubject>[] = [
  {
    name: 'messages of a stream pass both ways, each as it comes',
    async run(subject) {
      for (const place of callPlacesOf(subject)) {
        let answered = 0
        const questions = (async function* () {
          for (let i = 0; i < 5; i++) {
            await until(`${place.name} gives the answer before the next question`, () => answered === i)
            yield { question: i }
          }
        })()
        const answers = await stream(place, questions, async function* (messages) {
          for await (const each of messages) yield [each]
        })
        for await (const each of answers) assert.deepEqual(each, [{ question: answered++ }], place.name)
        assert.equal(answered, 5, place.name)
      }
    },
  },
  {
    name: 'where one side of a stream is a single value, that passes as it is',
    async run(subject) {
      for (const place of callPlacesOf(subject)) {
        const request = Object.freeze({ to: 3 })
        const count = await stream(place, request, async function* (got) {
          assert.equal(got, request, place.name)
          yield 1
        })
        assert.deepEqual(await drain(count), [[1], undefined], place.name)
        const reply = Object.freeze({ sum: 3 })
        const sum = await stream(place, new Numbers(), async (messages) => {
          await take(3, messages)
          return reply
        })
        assert.equal(sum, reply, place.name)
      }
    },
  },
  {
    name: 'leaving what comes back early reaches its source, of which nothing was read ahead',
    async run(subject) {
      for (const place of callPlacesOf(subject)) {
        const numbers = new Numbers()
        const replies = await stream(place, [], () => numbers)
        assert.deepEqual(await take(3, replies), [0, 1, 2], place.name)
        await until(`${place.name} tells the source`, () => numbers.left)
        assert.ok(numbers.given <= 3 + maxAhead, `${place.name} read ${numbers.given} ahead`)
      }
    },
  },
  {
    name: 'leaving what is sent early reaches its source, of which nothing was read ahead',
    async run(subject) {
      for (const place of callPlacesOf(subject)) {
        const numbers = new Numbers()
        const replies = await stream(place, numbers, async function* (messages) {
          yield await take(3, messages)
        })
        assert.deepEqual(await drain(replies), [[[0, 1, 2]], undefined], place.name)
        await until(`${place.name} tells the source`, () => numbers.left)
        assert.ok(numbers.given <= 3 + maxAhead, `${place.name} read ${numbers.given} ahead`)
      }
    },
  },
  {
    name: 'an error within a stream comes after the messages before it, as it is, both ways',
    async run(subject) {
      for (const place of callPlacesOf(subject)) {
        for (const failure of [new ServiceError('unavailable', 'lost'), new Error('a bug')]) {
          const replies = await stream(place, [], () => failing(3, failure))
          const [taken, error] = await drain(replies)
          assert.deepEqual(taken, [0, 1, 2], place.name)
          assert.equal(error, failure, place.name)
          let sent: readonly [unknown[], unknown] | undefined
          await drain(
            await stream(place, failing(3, failure), async function* (messages) {
              sent = await drain(messages)
              yield 'ended'
            }),
          )
          assert.deepEqual(sent?.[0], [0, 1, 2], place.name)
          assert.equal(sent?.[1], failure, place.name)
        }
      }
    },
  },
  {
    name: 'a stream that is tried again begins with its first message',
    async run(subject) {
      for (const place of callPlacesOf(subject)) {
        const first: unknown[] = []
        const failure = new ServiceError('unavailable', 'out of reach')
        const under = stream(place, new Numbers(), async (messages) => {
          first.push(...(await take(1, messages)))
          throw failure
        })
        await assert.rejects(under, (error) => error === failure, place.name)
        assert.deepEqual(new Set(first), new Set([0]), `${place.name} tries again with what is left`)
      }
    },
  },
]
