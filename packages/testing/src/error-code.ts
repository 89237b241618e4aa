import assert from 'node:assert/strict'
import { ServiceError, type ErrorCode } from '@micrograft/contracts'

/** For `assert.rejects` and `assert.throws`: that the error is a `ServiceError` of this code. */
export function code(expected: ErrorCode): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof ServiceError, `${String(error)} is no ServiceError`)
    assert.equal(error.code, expected, error.message)
    return true
  }
}
