import type { CallOptions } from './values.js'

/** Who calls. */
export interface Account {
  readonly id: string
  readonly type: string
  readonly issuer: string
  readonly scopes: readonly string[]
  readonly metadata: Readonly<Record<string, string>>
}

export interface Token {
  readonly accessToken: string
  readonly refreshToken: string | undefined
  /** Milliseconds since 1970. */
  readonly createdAt: number
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

/** What is asked for: `{ type: 'service', name: 'greeter', endpoint: 'Say.Hello' }`. */
export interface Resource {
  readonly type: string
  readonly name: string
  readonly endpoint: string
}

/**
 * Who may do what. `*` stands for anything, and `Say.*` for what begins so. Of the rules that fit a
 * resource and an account, the one of the highest priority counts; among equals a denial does.
 */
export interface Rule {
  readonly id: string
  /** A scope that the account has, `*` for any account, empty for anybody. */
  readonly scope: string
  readonly resource: Resource
  readonly access: 'granted' | 'denied'
  readonly priority: number
}

export interface TokenOptions extends CallOptions {
  /** In milliseconds. @default 60_000 */
  readonly ttlMs?: number | undefined
}

/** Knows accounts, makes and reads their tokens, and holds the rules. */
export interface Auth extends AsyncDisposable {
  readonly name: string
  /** @throws `unsupported` where this one cannot make tokens. */
  issue(account: Account, options?: TokenOptions): Promise<Token>
  /** The account that a token is for. @throws `unauthenticated` where it is expired, forged or none. */
  inspect(accessToken: string, options?: CallOptions): Promise<Account>
  /** @throws `forbidden`, or `unauthenticated` where there is no account and one is needed. */
  verify(account: Account | undefined, resource: Resource, options?: CallOptions): Promise<void>
  grant(rule: Rule, options?: CallOptions): Promise<void>
  revoke(id: string, options?: CallOptions): Promise<void>
  rules(options?: CallOptions): Promise<readonly Rule[]>
}
