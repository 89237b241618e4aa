import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { abortable } from '@micrograft/plugin-kit'

test('work that can be aborted ends with the reason, and leaves no listener behind where it ends by itself', async () => {
  const controller = new AbortController()
  const reason = new Error('enough')
  const { signal } = controller
  assert.equal(await abortable(Promise.resolve(1), signal), 1)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(getEventListeners(signal, 'abort').length, 0)
  const waiting = abortable(new Promise(() => undefined), signal)
  controller.abort(reason)
  await assert.rejects(waiting, reason)
  await assert.rejects(abortable(new Promise(() => undefined), signal), reason)
  assert.equal(await abortable(Promise.resolve(2), undefined), 2)
})
