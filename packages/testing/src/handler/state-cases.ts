import assert from 'node:assert/strict'
import type { HandlerSet } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { HandlerSubject } from '../handler-cases.js'
import { askAll, frozen } from './asking.js'

async function askEverything(handlers: HandlerSet, { asks }: HandlerSubject): Promise<void> {
  for (const each of asks) await askAll(handlers, each)
}

export const stateCases: readonly Case<HandlerSubject>[] = [
  {
    name: 'state is plain data, which a structured clone can copy',
    async run(subject) {
      const { handlers } = subject
      if (!handlers.dehydrate) return
      await handlers.dehydrate()
      await askEverything(handlers, subject)
      const state = handlers.dehydrate()
      // Of the instance of a class a structured clone makes a plain object: these are not equal.
      assert.deepStrictEqual(structuredClone(state), state)
    },
  },
  {
    name: 'giving the state away changes nothing: calls go on, and the state that was given stays',
    async run(subject) {
      const { handlers } = subject
      if (!handlers.dehydrate) return
      await askEverything(handlers, subject)
      const given = handlers.dehydrate()
      const copy = structuredClone(given)
      assert.deepEqual(handlers.dehydrate(), copy)
      await askEverything(handlers, subject)
      assert.deepEqual(given, copy)
    },
  },
  {
    name: 'a new one takes the state, and answers where the old one is disposed',
    async run(subject) {
      const { handlers } = subject
      if (!handlers.dehydrate) return
      await askEverything(handlers, subject)
      const state = structuredClone(handlers.dehydrate())
      const next = await subject.another(frozen(structuredClone(state)))
      try {
        assert.deepEqual(next.dehydrate?.(), state)
        await handlers[Symbol.asyncDispose]()
        await askEverything(next, subject)
      } finally {
        await next[Symbol.asyncDispose]()
      }
    },
  },
  {
    name: 'hydrate takes the state of another, and leaves nothing of its own',
    async run(subject) {
      const { handlers } = subject
      if (!handlers.dehydrate || !handlers.hydrate) return
      const state = structuredClone(handlers.dehydrate())
      const other = await subject.another()
      try {
        await askEverything(other, subject)
        assert.equal(other.hydrate?.(frozen(structuredClone(state))), undefined)
        assert.deepEqual(other.dehydrate?.(), state)
        await askEverything(other, subject)
      } finally {
        await other[Symbol.asyncDispose]()
      }
    },
  },
  {
    name: 'two of one process share no state',
    async run(subject) {
      const { handlers } = subject
      const other = await subject.another()
      try {
        const before = structuredClone(other.dehydrate?.())
        await askEverything(handlers, subject)
        assert.deepEqual(other.dehydrate?.(), before)
        await handlers[Symbol.asyncDispose]()
        await askEverything(other, subject)
      } finally {
        await other[Symbol.asyncDispose]()
      }
    },
  },
]
