import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tryEach } from '@micrograft/plugin-kit'

/** Fails with each of the errors in turn, and has been done then. */
function failing(...errors: string[]): () => Promise<number> {
  let done = 0
  return () => {
    const error = errors[done++]
    return error === undefined ? Promise.resolve(done) : Promise.reject(new Error(error))
  }
}

const isElsewhere = (error: unknown) => (error as Error).message === 'read only'

test('what fails at one server in a way of its own is tried at each of the others, once', async () => {
  assert.equal(await tryEach(3, failing(), isElsewhere), 1)
  assert.equal(await tryEach(3, failing('read only', 'read only'), isElsewhere), 3)
  await assert.rejects(tryEach(2, failing('read only', 'read only'), isElsewhere), /read only/)
})

test('what would fail at every server is tried once', async () => {
  await assert.rejects(tryEach(3, failing('forbidden'), isElsewhere), /forbidden/)
})
