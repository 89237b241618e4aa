import assert from 'node:assert/strict'
import type { RegistryWatcher } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { RegistrySubject } from '../registry-cases.js'
import { nextOf, told } from './events.js'
import { ids, plain, record } from './records.js'

export const watchCases: readonly Case<RegistrySubject>[] = [
  {
    name: 'registering a node under another version moves it',
    async run({ registry }) {
      await registry.register(record('a'))
      const watcher = await registry.watch()
      await registry.register(record('a', { version: '2.0.0' }))
      const event = await nextOf(watcher)
      assert.equal(`${told(event)} ${event.service.version}`, 'update a 2.0.0')
      await registry.deregister(record('a'))
      assert.deepEqual(
        (await registry.get('greeter')).map(({ version }) => version),
        ['2.0.0'],
      )
    },
  },
  {
    name: 'a watcher is told of create, update and delete, in this order',
    async run({ registry }) {
      const watcher = await registry.watch()
      await registry.register(record('a'))
      const created = await nextOf(watcher)
      assert.equal(told(created), 'create a')
      assert.deepEqual(plain(created.service), plain(record('a')))
      const moved = record('a', { nodes: [{ id: 'a', address: '127.0.0.9:9', metadata: {} }] })
      await registry.register(moved)
      const updated = await nextOf(watcher)
      assert.equal(told(updated), 'update a')
      assert.deepEqual(plain(updated.service), plain(moved))
      await registry.deregister(moved)
      assert.equal(told(await nextOf(watcher)), 'delete a')
    },
  },
  {
    name: 'a watcher of another registry is told in time',
    async run({ registry, other }) {
      const second = await other()
      const watcher = await second.watch({ service: 'greeter' })
      const { visibleWithinMs } = registry.capabilities
      for (const id of ['a', 'b', 'c']) {
        await registry.register(record(id))
        assert.equal(told(await nextOf(watcher, visibleWithinMs + 400)), `create ${id}`)
      }
      await registry.deregister(record('b'))
      assert.equal(told(await nextOf(watcher)), 'delete b')
    },
  },
  {
    name: 'a watcher is told nothing of what was there before, nor of what did not change',
    async run({ registry }) {
      await registry.register(record('a'))
      const watcher = await registry.watch()
      await registry.register(record('a'))
      await registry.register(record('b'))
      assert.equal(told(await nextOf(watcher)), 'create b')
    },
  },
  {
    name: 'a watcher of one service is told of no other',
    async run({ registry }) {
      const watcher = await registry.watch({ service: 'greeter' })
      await registry.register(record('a', { name: 'other' }))
      await registry.register(record('b'))
      assert.equal(told(await nextOf(watcher)), 'create b')
    },
  },
  {
    name: 'what a slow watcher reads leads to what is there',
    async run({ registry, other }) {
      const writer = await other()
      await registry.register(record('old'))
      const watcher = await registry.watch()
      const known = new Set(['old'])
      for (const id of ['ghost', 'a']) {
        await writer.register(record(id))
        await writer.deregister(record(id))
      }
      await writer.register(record('b'))
      await registry.deregister(record('old'))
      await registry.register(record('old', { version: '3.0.0' }))
      await writer.register(record('a'))
      await writer.register(record('last'))
      const there = ids(await registry.get('greeter')).join()
      while ([...known].sort().join() !== there) {
        const { type, service } = await nextOf(watcher)
        for (const { id } of service.nodes) {
          assert.equal(known.has(id), type !== 'create', `${type} of ${id}`)
          if (type === 'delete') known.delete(id)
          else known.add(id)
        }
      }
      assert.equal(there, 'a,b,last,old')
    },
  },
  {
    name: 'two watchers are each told of everything',
    async run({ registry }) {
      const [first, second] = [await registry.watch(), await registry.watch()]
      await registry.register(record('a'))
      assert.equal(told(await nextOf(first)), 'create a')
      await first.return?.()
      await registry.register(record('b'))
      assert.equal(told(await nextOf(second)), 'create a')
      assert.equal(told(await nextOf(second)), 'create b')
    },
  },
  {
    name: 'return and dispose end a watcher, and a next that waits for it',
    async run({ registry }) {
      for (const end of [
        (watcher: RegistryWatcher) => watcher.return?.() ?? Promise.resolve(),
        (watcher: RegistryWatcher) => watcher[Symbol.asyncDispose](),
      ]) {
        const watcher = await registry.watch()
        const waiting = watcher.next()
        await end(watcher)
        assert.equal((await waiting).done, true)
        await registry.register(record('a'))
        assert.equal((await watcher.next()).done, true)
        await end(watcher)
      }
    },
  },
]
