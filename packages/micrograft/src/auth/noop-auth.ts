import { ServiceError, type Account, type Auth, type Rule, type Token } from '@micrograft/contracts'

/** Lets everybody do everything, and knows nobody. */
export function noopAuth(): Auth {
  return new NoopAuth()
}

const anybody: Account = Object.freeze({
  id: 'anybody',
  type: 'user',
  issuer: 'noop',
  scopes: Object.freeze([]),
  metadata: Object.freeze({}),
})

class NoopAuth implements Auth {
  readonly name = 'noop'

  issue(): Promise<Token> {
    return Promise.reject(
      new ServiceError('unsupported', 'the noop auth makes no tokens; choose another with --auth'),
    )
  }
  inspect(): Promise<Account> {
    return Promise.resolve(anybody)
  }
  verify(): Promise<void> {
    return Promise.resolve()
  }
  grant(): Promise<void> {
    return Promise.resolve()
  }
  revoke(): Promise<void> {
    return Promise.resolve()
  }
  rules(): Promise<readonly Rule[]> {
    return Promise.resolve([])
  }
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}
