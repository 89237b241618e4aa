import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import {
  resolveOptions,
  ServiceError,
  type Account,
  type Auth,
  type CallOptions,
  type Resource,
  type Rule,
  type Token,
  type TokenOptions,
} from '@micrograft/contracts'
import { requireTtl } from '@micrograft/plugin-kit'
import { errors, jwtVerify, SignJWT } from 'jose'
import { Rules } from './rules.js'

export interface JwtAuthOptions {
  /** PEM, or PEM in base64 as go-micro's flag takes it. @default of the private key; with neither, a new pair that only this process knows */
  readonly publicKey?: string | undefined
  /** PEM, or PEM in base64. @default none: tokens are read and not made */
  readonly privateKey?: string | undefined
  /** Who makes the tokens, and whose are taken. @default `micrograft` */
  readonly issuer?: string | undefined
  /** Not used: here so that every auth takes the flag's options. */
  readonly addresses?: readonly string[] | undefined
}

/** Tokens as signed JSON (RFC 7519, RS256), with go-micro's claims: `type`, `scopes`, `metadata`, `sub`, `iss`, `exp`. */
export function jwtAuth(options?: JwtAuthOptions): Auth {
  const { publicKey, privateKey, issuer } = resolveOptions(
    'the options of the jwt auth',
    { publicKey: undefined, privateKey: undefined, issuer: 'micrograft', addresses: undefined },
    options,
  )
  if (publicKey === undefined && privateKey === undefined) {
    const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
    return new JwtAuth(pair.privateKey, pair.publicKey, issuer)
  }
  const signing = privateKey === undefined ? undefined : readKey('private', privateKey, createPrivateKey)
  return new JwtAuth(
    signing,
    publicKey === undefined
      ? createPublicKey(signing as KeyObject)
      : readKey('public', publicKey, createPublicKey),
    issuer,
  )
}

const algorithm = 'RS256'

class JwtAuth implements Auth {
  readonly name = 'jwt'
  readonly #privateKey: KeyObject | undefined
  readonly #publicKey: KeyObject
  readonly #issuer: string
  readonly #rules = new Rules()
  #closed = false

  constructor(privateKey: KeyObject | undefined, publicKey: KeyObject, issuer: string) {
    this.#privateKey = privateKey
    this.#publicKey = publicKey
    this.#issuer = issuer
  }

  async issue(account: Account, { signal, ttlMs = 60_000 }: TokenOptions = {}): Promise<Token> {
    this.#ready(signal)
    requireTtl(ttlMs)
    if (!this.#privateKey)
      throw new ServiceError(
        'unsupported',
        'the jwt auth has no private key and makes no tokens; give it one with --auth_private_key',
      )
    const createdAt = Date.now()
    const expiresAt = createdAt + ttlMs
    const accessToken = await new SignJWT({
      type: account.type,
      scopes: [...account.scopes],
      metadata: { ...account.metadata },
    })
      .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
      .setSubject(account.id)
      .setIssuer(this.#issuer)
      .setExpirationTime(Math.ceil(expiresAt / 1000))
      .sign(this.#privateKey)
    return { accessToken, refreshToken: undefined, createdAt, expiresAt }
  }

  async inspect(accessToken: string, { signal }: CallOptions = {}): Promise<Account> {
    this.#ready(signal)
    try {
      const { payload } = await jwtVerify(accessToken, this.#publicKey, {
        algorithms: [algorithm],
        issuer: this.#issuer,
      })
      const {
        sub = '',
        iss = '',
        type,
        scopes,
        metadata,
      } = payload as { sub?: string; iss?: string; type?: unknown; scopes?: unknown; metadata?: unknown }
      return {
        id: sub,
        type: typeof type === 'string' ? type : '',
        issuer: iss,
        scopes: Array.isArray(scopes) ? scopes.map(String) : [],
        metadata:
          typeof metadata === 'object' && metadata !== null
            ? Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, String(value)]))
            : {},
      }
    } catch (cause) {
      const why =
        cause instanceof errors.JWTExpired ? 'it has expired' : 'it is forged, damaged, or of another issuer'
      throw new ServiceError('unauthenticated', `the token is not good: ${why}`, { cause })
    }
  }

  async verify(
    account: Account | undefined,
    resource: Resource,
    { signal }: CallOptions = {},
  ): Promise<void> {
    this.#ready(signal)
    this.#rules.verify(account, resource)
  }

  async grant(rule: Rule, { signal }: CallOptions = {}): Promise<void> {
    this.#ready(signal)
    this.#rules.put(rule)
  }

  async revoke(id: string, { signal }: CallOptions = {}): Promise<void> {
    this.#ready(signal)
    this.#rules.delete(id)
  }

  async rules({ signal }: CallOptions = {}): Promise<readonly Rule[]> {
    this.#ready(signal)
    return this.#rules.all
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closed) throw new ServiceError('closed', 'the jwt auth was closed')
  }
}

function readKey(kind: string, text: string, read: (pem: string) => KeyObject): KeyObject {
  try {
    const key = read(text.includes('-----BEGIN') ? text : Buffer.from(text, 'base64').toString('utf8'))
    if (key.asymmetricKeyType === 'rsa') return longEnough(kind, key)
  } catch (cause) {
    if (cause instanceof ServiceError) throw cause
    throw new ServiceError(
      'invalid-option',
      `the ${kind} key of the jwt auth is not in PEM form, nor that in base64`,
      { cause },
    )
  }
  throw new ServiceError('invalid-option', `the ${kind} key of the jwt auth is not an RSA key`)
}

/** RFC 7518 §3.3 asks for it, and the library signs and reads with no other. */
function longEnough(kind: string, key: KeyObject): KeyObject {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (bits >= 2048) return key
  throw new ServiceError(
    'invalid-option',
    `the ${kind} key of the jwt auth has ${bits} bits; it needs 2048 at least`,
  )
}
