import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { RegistrySubject } from '../registry-cases.js'
import { methods } from './methods.js'

export const abortCases: readonly Case<RegistrySubject>[] = [
  {
    name: 'an abort before a call rejects with its reason and leaves things as they were',
    async run({ registry }) {
      const reason = new Error('given up')
      for (const [name, call] of Object.entries(methods)) {
        await assert.rejects(call(registry, AbortSignal.abort(reason)), reason, name)
      }
      assert.deepEqual(await registry.list(), [])
    },
  },
  {
    name: 'an abort during a call rejects with its reason, unless the call was faster',
    async run({ registry }) {
      for (const [name, call] of Object.entries(methods)) {
        const controller = new AbortController()
        const reason = new Error('given up')
        const called = call(registry, controller.signal)
        controller.abort(reason)
        await called.catch((error: unknown) => assert.equal(error, reason, name))
      }
    },
  },
  {
    name: 'an abort ends a watcher, whose next rejects with the reason',
    async run({ registry }) {
      const controller = new AbortController()
      const watcher = await registry.watch({ signal: controller.signal })
      const waiting = watcher.next()
      const reason = new Error('given up')
      controller.abort(reason)
      await assert.rejects(waiting, reason)
      assert.equal((await watcher.next()).done, true)
    },
  },
]
