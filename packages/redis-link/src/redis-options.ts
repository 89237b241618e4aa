import type { ConnectionOptions } from 'node:tls'
import { aTimer, requireNumbers, ServiceError } from '@micrograft/contracts'

/** How a server is reached. */
export interface RedisOptions {
  /**
   * `host`, `host:port`, `redis://user:password@host:port/database`, `rediss://…` for TLS, or
   * `unix:/path`. Several are the same data: one primary and its replicas. They are tried in turn,
   * and a replica is passed over. @default `127.0.0.1:6379`
   */
  readonly addresses?: readonly string[] | undefined
  /** For addresses that bring none. @default the server's `default` user */
  readonly username?: string | undefined
  /** For addresses that bring none. @default none */
  readonly password?: string | undefined
  /** Number of the database, for addresses that bring none. @default 0 */
  readonly database?: number | string | undefined
  /** Settings of TLS, which they turn on for all addresses. The server's certificate is verified. @default none */
  readonly tls?: RedisTlsOptions | undefined
  /** Longest wait for a connection, the first one included, in milliseconds. @default 5000 */
  readonly connectTimeoutMs?: number | undefined
  /** Longest wait for the answer to a command, that for a connection included, in milliseconds. @default 5000 */
  readonly commandTimeoutMs?: number | undefined
  /** Longest pause between two tries to connect, in milliseconds; they begin at 50 and never end. @default 2000 */
  readonly maxReconnectDelayMs?: number | undefined
}

export type RedisTlsOptions = Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'servername' | 'rejectUnauthorized'
>

export interface RedisDefaults {
  readonly addresses: readonly string[]
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number | string | undefined
  readonly tls: RedisTlsOptions | undefined
  readonly connectTimeoutMs: number
  readonly commandTimeoutMs: number
  readonly maxReconnectDelayMs: number
}

/** The defaults of `RedisOptions`, for `resolveOptions`. */
export const redisDefaults: RedisDefaults = {
  addresses: ['127.0.0.1:6379'],
  username: undefined,
  password: undefined,
  database: undefined,
  tls: undefined,
  connectTimeoutMs: 5000,
  commandTimeoutMs: 5000,
  maxReconnectDelayMs: 2000,
}

/** One server, as the library's client takes it. */
export interface RedisEndpoint {
  /** For messages: no user and no password. */
  readonly label: string
  readonly username?: string
  readonly password?: string
  readonly database?: number
  readonly socket:
    | { readonly host: string; readonly port: number }
    | ({ readonly host: string; readonly port: number; readonly tls: true } & RedisTlsOptions)
    | { readonly path: string; readonly tls: false }
}

/** @throws `invalid-option` for an address or a number that is none. */
export function redisEndpoints(what: string, options: RedisDefaults): readonly RedisEndpoint[] {
  requireNumbers(what, options, {
    connectTimeoutMs: aTimer,
    commandTimeoutMs: aTimer,
    maxReconnectDelayMs: aTimer,
  })
  if (!Array.isArray(options.addresses) || options.addresses.length === 0)
    throw invalidOption(what, 'addresses are empty; give at least one')
  return options.addresses.map((address, index) => endpoint(what, options, address, index))
}

export function invalidOption(what: string, message: string): ServiceError {
  return new ServiceError('invalid-option', `${what}: ${message}`)
}

function endpoint(what: string, options: RedisDefaults, address: string, index: number): RedisEndpoint {
  const shared = { ...login(options.username, options.password), ...database(what, options.database) }
  if (address === 'unix:') throw invalidOption(what, `address ${index + 1} has no path; use unix:/path`)
  if (address.startsWith('unix:'))
    return { ...shared, label: address, socket: { path: address.slice('unix:'.length), tls: false } }
  const url = parse(address)
  // Not quoted: it may hold a password.
  if (!url) throw invalidOption(what, `address ${index + 1} is none; use host:port or redis://host:port`)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = Number(url.port || 6379)
  const secure = url.protocol === 'rediss:' || options.tls !== undefined
  const path = url.pathname.slice(1)
  return {
    ...shared,
    ...(url.username ? login(text(url.username), undefined) : {}),
    ...(url.password ? login(undefined, text(url.password)) : {}),
    ...(path ? database(what, path) : {}),
    label: url.host,
    socket: secure ? { ...options.tls, host, port, tls: true } : { host, port },
  }
}

function parse(address: string): URL | undefined {
  try {
    const url = new URL(address.includes('://') ? address : `redis://${address}`)
    text(url.username + url.password)
    // What others write after a question mark would be passed over in silence.
    const plain = url.search === '' && url.hash === ''
    return ['redis:', 'rediss:'].includes(url.protocol) && url.hostname && plain ? url : undefined
  } catch {
    return undefined
  }
}

function text(encoded: string): string {
  return decodeURIComponent(encoded)
}

function login(username: string | undefined, password: string | undefined): Partial<RedisEndpoint> {
  return { ...(username === undefined ? {} : { username }), ...(password === undefined ? {} : { password }) }
}

function database(what: string, value: number | string | undefined): Partial<RedisEndpoint> {
  if (value === undefined) return {}
  const number = typeof value === 'string' && /^\d{1,6}$/.test(value) ? Number(value) : value
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 0)
    throw invalidOption(what, `database is ${JSON.stringify(value)}; give its number, from 0 up`)
  return { database: number }
}
