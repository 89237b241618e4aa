import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { HandlerSubject } from '../handler-cases.js'
import { askAll, definitionsOf, frozen, valid } from './asking.js'

export const answerCases: readonly Case<HandlerSubject>[] = [
  {
    name: 'every endpoint answers as its kind says',
    async run({ handlers, asks }) {
      const asked = new Set(asks.map(({ endpoint }) => endpoint))
      assert.deepEqual(
        [...definitionsOf(handlers).keys()].filter((name) => !asked.has(name)),
        [],
        'there is nothing to ask some endpoints',
      )
      for (const each of asks) await askAll(handlers, each)
    },
  },
  {
    name: 'what is answered is what the schema of the output takes',
    async run({ handlers, asks }) {
      for (const each of asks) {
        const { replies, asked } = await askAll(handlers, each)
        for (const reply of replies) await valid(asked.definition.output, reply)
      }
    },
  },
  {
    name: 'reply metadata can travel',
    async run({ handlers, asks }) {
      for (const each of asks) {
        const { replyMetadata } = (await askAll(handlers, each)).asked.context
        assert.ok(Object.keys(replyMetadata).length <= 64, each.endpoint)
        for (const [name, value] of Object.entries(replyMetadata)) {
          assert.match(name, /^[a-z0-9._-]{1,128}$/, each.endpoint)
          // eslint-disable-next-line no-control-regex -- these are what a value must not have
          assert.match(value, /^[^\r\n\0]{0,8192}$/, `${name} of ${each.endpoint}`)
        }
      }
    },
  },
  {
    name: 'many are answered at a time',
    async run({ handlers, asks }) {
      await Promise.all(Array.from({ length: 20 }, () => asks.map((each) => askAll(handlers, each))).flat())
    },
  },
  {
    name: 'requests are as they were',
    async run({ handlers, asks }) {
      // A change of what is frozen throws.
      for (const each of asks) {
        const given = structuredClone(each)
        await askAll(handlers, frozen(given))
        assert.deepEqual(given, each)
      }
    },
  },
]
