import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { RegistrySubject } from '../registry-cases.js'
import { nextOf, told } from './events.js'
import { methods } from './methods.js'
import { ids, record } from './records.js'

export const disposeCases: readonly Case<RegistrySubject>[] = [
  {
    name: 'every method rejects with closed after dispose',
    async run({ registry }) {
      await registry.register(record('a'))
      await registry[Symbol.asyncDispose]()
      for (const [name, call] of Object.entries(methods)) {
        await assert.rejects(call(registry), { code: 'closed' }, name)
      }
    },
  },
  {
    name: 'dispose ends watchers with closed',
    async run({ registry }) {
      const [waits, asks] = [await registry.watch(), await registry.watch()]
      const waiting = assert.rejects(waits.next(), { code: 'closed' })
      await registry[Symbol.asyncDispose]()
      await waiting
      await assert.rejects(asks.next(), { code: 'closed' })
      assert.equal((await asks.next()).done, true)
    },
  },
  {
    name: 'dispose is safe twice, at once, and without use',
    async run({ registry, other }) {
      await (await other())[Symbol.asyncDispose]()
      await registry.register(record('a'))
      await Promise.all([registry[Symbol.asyncDispose](), registry[Symbol.asyncDispose]()])
      await registry[Symbol.asyncDispose]()
    },
  },
  {
    name: 'dispose takes out its own nodes and leaves those of others',
    async run({ registry, other }) {
      const [leaving, watching] = [await other(), await other()]
      await registry.register(record('stays'))
      await leaving.register(record('goes'))
      await leaving.register(record('goes too'), { ttlMs: 60_000 })
      const watcher = await watching.watch()
      await leaving[Symbol.asyncDispose]()
      const events = [told(await nextOf(watcher)), told(await nextOf(watcher))]
      assert.deepEqual(events.sort(), ['delete goes', 'delete goes too'])
      assert.deepEqual(ids(await registry.get('greeter')), ['stays'])
    },
  },
  {
    name: 'a node that another registry took over stays when the first is disposed, and no watcher sees a gap',
    async run({ registry, other }) {
      const [before, after] = [await other(), await other()]
      await before.register(record('a'))
      const watcher = await registry.watch()
      await after.register(record('a'))
      await before[Symbol.asyncDispose]()
      assert.deepEqual(ids(await registry.get('greeter')), ['a'])
      await after.register(record('b'))
      assert.equal(told(await nextOf(watcher)), 'create b')
      assert.deepEqual(ids(await registry.get('greeter')), ['a', 'b'])
    },
  },
]
