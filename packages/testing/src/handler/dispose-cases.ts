import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { HandlerSubject } from '../handler-cases.js'
import { until } from '../wait.js'
import { within } from '../within.js'
import { askAll } from './asking.js'

/** What keeps a process from ending, by kind. */
function keeping(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return counts
}

/** What there is more of than `before`. */
function more(before: ReadonlyMap<string, number>): readonly string[] {
  return [...keeping()].filter(([kind, count]) => count > (before.get(kind) ?? 0)).map(([kind]) => kind)
}

export const disposeCases: readonly Case<HandlerSubject>[] = [
  {
    name: 'dispose is safe twice, at the same time, and on what was never used',
    async run({ handlers, another, asks }) {
      const unused = await another()
      await Promise.all([unused[Symbol.asyncDispose](), unused[Symbol.asyncDispose]()])
      await unused[Symbol.asyncDispose]()
      for (const each of asks) await askAll(handlers, each)
      await Promise.all([handlers[Symbol.asyncDispose](), handlers[Symbol.asyncDispose]()])
      await handlers[Symbol.asyncDispose]()
    },
  },
  {
    name: 'what was disposed lets the process end',
    async run({ another, asks }) {
      const before = keeping()
      const used = await another()
      for (const each of asks) await askAll(used, each)
      await within(5000, 'it is disposed', Promise.resolve(used[Symbol.asyncDispose]()))
      await until('nothing is left', () => more(before).length === 0, 2000).catch(() =>
        assert.fail(`left behind: ${more(before).join(', ')}`),
      )
    },
  },
]
