import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { RegistrySubject } from '../registry-cases.js'
import { ids, record } from './records.js'

export const deregisterCases: readonly Case<RegistrySubject>[] = [
  {
    name: "deregister takes out the record's nodes and no others",
    async run({ registry }) {
      await registry.register(record('a'))
      await registry.register(record('b'))
      await registry.deregister(record('a'))
      assert.deepEqual(ids(await registry.get('greeter')), ['b'])
      await registry.deregister(record('b'))
      assert.deepEqual(await registry.get('greeter'), [])
      assert.deepEqual(await registry.list(), [])
    },
  },
  {
    name: 'deregister takes out what another registry registered',
    async run({ registry, other }) {
      const second = await other()
      await registry.register(record('a'))
      await second.deregister(record('a'))
      assert.deepEqual(await registry.get('greeter'), [])
    },
  },
  {
    name: 'deregistering what is not there is no error',
    async run({ registry }) {
      await registry.deregister(record('a'))
      await registry.register(record('a'))
      await registry.deregister(record('b'))
      await registry.deregister(record('a', { name: 'other' }))
      assert.deepEqual(ids(await registry.get('greeter')), ['a'])
    },
  },
]
