import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { RegistrySubject } from '../registry-cases.js'
import { pause, until } from '../wait.js'
import { nextOf, told } from './events.js'
import { ids, record } from './records.js'

export const expiryCases: readonly Case<RegistrySubject>[] = [
  {
    name: 'a node is gone when its time to live has passed, and watchers are told',
    async run({ registry, other }) {
      if (!registry.capabilities.expiry) return
      const second = await other()
      const watcher = await second.watch({ service: 'greeter' })
      await registry.register(record('a'), { ttlMs: 2000 })
      await registry.register(record('b'))
      const events = [told(await nextOf(watcher)), told(await nextOf(watcher)), told(await nextOf(watcher))]
      assert.deepEqual(events.sort(), ['create a', 'create b', 'delete a'])
      await until('it is gone', async () => ids(await registry.get('greeter')).join() === 'b')
    },
  },
  {
    name: 'registering again renews the time to live',
    async run({ registry, other }) {
      if (!registry.capabilities.expiry) return
      const second = await other()
      const watcher = await second.watch()
      const register = () => registry.register(record('a'), { ttlMs: 1000 })
      await register()
      assert.equal(told(await nextOf(watcher)), 'create a')
      const started = Date.now()
      while (Date.now() - started < 1500) {
        await pause(200)
        await register()
        assert.deepEqual(ids(await second.get('greeter')), ['a'])
      }
      assert.equal(told(await nextOf(watcher)), 'delete a')
      assert.deepEqual(await second.get('greeter'), [])
    },
  },
  {
    name: 'a time to live that is none is refused with invalid-option',
    async run({ registry }) {
      for (const ttlMs of [0, -1, Number.NaN, '5' as unknown as number]) {
        await assert.rejects(registry.register(record('a'), { ttlMs }), { code: 'invalid-option' })
      }
      assert.deepEqual(await registry.get('greeter'), [])
    },
  },
]
