import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { RegistrySubject } from '../registry-cases.js'
import { until } from '../wait.js'
import { ids, record } from './records.js'

export const sharingCases: readonly Case<RegistrySubject>[] = [
  {
    name: 'two registries of one backend see the same nodes',
    async run({ registry, other }) {
      const second = await other()
      await registry.register(record('a'))
      assert.deepEqual(ids(await second.get('greeter')), ['a'])
      await second.register(record('b'))
      assert.deepEqual(ids(await registry.get('greeter')), ['a', 'b'])
      assert.deepEqual(ids(await second.list()), ['a', 'b'])
      await second.deregister(record('b'))
      await until('the node is gone', async () => ids(await registry.get('greeter')).join() === 'a')
    },
  },
  {
    name: 'many registrations at once are all kept',
    async run({ registry, other }) {
      const second = await other()
      const names = Array.from({ length: 40 }, (_, index) => `n${index}`)
      await Promise.all(names.map((id, index) => (index % 2 ? registry : second).register(record(id))))
      assert.deepEqual(ids(await registry.get('greeter')), names.toSorted())
      await Promise.all(names.map((id, index) => (index % 2 ? registry : second).deregister(record(id))))
      await until('all are gone', async () => (await registry.get('greeter')).length === 0)
    },
  },
]
