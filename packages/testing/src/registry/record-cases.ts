import assert from 'node:assert/strict'
import type { ServiceRecord } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { RegistrySubject } from '../registry-cases.js'
import { hello, ids, plain, record } from './records.js'

export const recordCases: readonly Case<RegistrySubject>[] = [
  {
    name: 'get gives what was registered: version, metadata, endpoints and nodes',
    async run({ registry }) {
      const given = record('a', { metadata: { team: 'blue' } })
      await registry.register(given)
      assert.deepEqual(plain(await registry.get('greeter')), plain([given]))
    },
  },
  {
    name: 'get of a service that has no node is empty',
    async run({ registry }) {
      await registry.register(record('a'))
      assert.deepEqual(await registry.get('nobody'), [])
      assert.deepEqual(await registry.get('toString'), [])
    },
  },
  {
    name: 'list gives every service, sorted by name and version',
    async run({ registry }) {
      assert.deepEqual(await registry.list(), [])
      await registry.register(record('c', { name: 'zebra' }))
      await registry.register(record('b', { version: '2.0.0' }))
      await registry.register(record('a'))
      const listed = (await registry.list()).map(({ name, version }) => `${name} ${version}`)
      assert.deepEqual(listed, ['greeter 1.0.0', 'greeter 2.0.0', 'zebra 1.0.0'])
    },
  },
  {
    name: 'nodes of one version that were registered apart are merged',
    async run({ registry }) {
      await registry.register(record('b'))
      await registry.register(record('a'))
      const [merged, ...more] = await registry.get('greeter')
      assert.equal(more.length, 0)
      assert.deepEqual(ids([merged as ServiceRecord]), ['a', 'b'])
      assert.deepEqual(plain(merged?.endpoints), plain([hello]))
    },
  },
  {
    name: 'versions of a service are told apart',
    async run({ registry }) {
      await registry.register(record('a'))
      await registry.register(record('b', { version: '2.0.0' }))
      const found = (await registry.get('greeter')).map((each) => `${each.version} ${ids([each]).join()}`)
      assert.deepEqual(found, ['1.0.0 a', '2.0.0 b'])
    },
  },
  {
    name: 'registering a node again replaces it',
    async run({ registry }) {
      await registry.register(record('a'))
      const changed = record('a', {
        nodes: [{ id: 'a', address: '127.0.0.2:4002', metadata: { zone: 'b' } }],
      })
      await registry.register(changed)
      assert.deepEqual(plain(await registry.get('greeter')), plain([changed]))
    },
  },
  {
    name: 'a thousand nodes are registered, found and taken out',
    async run({ registry, other }) {
      const second = await other()
      const nodes = Array.from({ length: 1000 }, (_, index) => ({
        id: `n${String(index).padStart(4, '0')}`,
        address: `127.0.0.1:${4000 + index}`,
        metadata: { protocol: 'rpc' },
      }))
      const all = record('', { nodes })
      await registry.register(all)
      const [found] = await second.get('greeter')
      assert.equal(found?.nodes.length, nodes.length)
      assert.deepEqual(
        found.nodes.map(({ id, address }) => `${id} ${address}`).sort(),
        nodes.map(({ id, address }) => `${id} ${address}`),
      )
      await registry.deregister(all)
      assert.deepEqual(await registry.get('greeter'), [])
    },
  },
]
