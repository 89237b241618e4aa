import assert from 'node:assert/strict'
import type { ServiceRecord } from '@micrograft/contracts'
import type { Case } from '../case.js'
import type { RegistrySubject } from '../registry-cases.js'
import { plain, record } from './records.js'

export const argumentCases: readonly Case<RegistrySubject>[] = [
  {
    name: 'what a call was given is copied and left as it was',
    async run({ registry }) {
      const nodes = [{ id: 'a', address: '127.0.0.1:1', metadata: { zone: 'a' } }]
      const given = record('a', { nodes })
      const options = Object.freeze({ ttlMs: 60_000 })
      const before = structuredClone(given)
      await registry.register(given, options)
      assert.deepEqual(given, before)
      ;(nodes[0] as { metadata: Record<string, string> }).metadata['zone'] = 'changed'
      nodes.push({ id: 'b', address: '127.0.0.1:2', metadata: { zone: 'b' } })
      assert.deepEqual(plain(await registry.get('greeter')), plain([before]))
    },
  },
  {
    name: 'changing what a call gave changes nothing in the registry',
    async run({ registry }) {
      await registry.register(record('a'))
      const before = plain(await registry.get('greeter'))
      const [found] = (await registry.get('greeter')) as unknown as {
        nodes: unknown[]
        metadata: Record<string, string>
      }[]
      const [node] = (found?.nodes ?? []) as { metadata: Record<string, string> }[]
      for (const change of [
        () => found?.nodes.pop(),
        () => Object.assign(found?.metadata ?? {}, { x: 'y' }),
        () => Object.assign(node?.metadata ?? {}, { x: 'y' }),
      ]) {
        try {
          change()
        } catch {
          // Frozen: as good.
        }
      }
      assert.deepEqual(plain(await registry.get('greeter')), before)
    },
  },
  {
    name: 'a record without name, id or address is refused with bad-request, whole',
    async run({ registry }) {
      const good = { id: 'good', address: '127.0.0.1:1', metadata: {} }
      for (const broken of [
        record('a', { name: '' }),
        record('a', { nodes: [good, { ...good, id: '' }] }),
        record('a', { nodes: [good, { ...good, address: '' }] }),
        record('a', { nodes: [{ ...good, metadata: { count: 1 as unknown as string } }] }),
        record('a', { nodes: [{ ...good, id: 'line\nend' }] }),
        undefined as unknown as ServiceRecord,
      ]) {
        await assert.rejects(registry.register(broken), { code: 'bad-request' })
      }
      assert.deepEqual(await registry.list(), [])
    },
  },
]
