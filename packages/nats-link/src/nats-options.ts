import { readFileSync } from 'node:fs'
import { aCount, aTimer, requireNumbers, resolveOptions, ServiceError } from '@micrograft/contracts'
import type { ConnectionOptions } from '@nats-io/transport-node'

/** Encrypts the connection, and checks the server's certificate. */
export interface NatsTlsOptions {
  /** File of the authorities to believe, in PEM. @default those of Node */
  readonly caFile?: string | undefined
  /** File of this client's certificate, in PEM. @default none */
  readonly certFile?: string | undefined
  /** File of its key, in PEM. @default none */
  readonly keyFile?: string | undefined
  /** Encrypts before the server has said a word, as the server must be set to. @default false */
  readonly handshakeFirst?: boolean | undefined
}

/** How the server is reached. */
export interface NatsConnectionOptions {
  /** Servers of one cluster: `host:port`, `nats://user:password@host:port` or `tls://host:port`. @default `127.0.0.1:4222` */
  readonly addresses?: readonly string[] | undefined
  /** @default none */
  readonly user?: string | undefined
  /** @default none */
  readonly password?: string | undefined
  /** Instead of user and password. @default none */
  readonly token?: string | undefined
  /** `true` asks for an encrypted connection with Node's authorities. @default as the server wants it */
  readonly tls?: boolean | NatsTlsOptions | undefined
  /** Longest wait for a connection, in milliseconds. @default 5000 */
  readonly connectTimeoutMs?: number | undefined
  /** Longest wait for the server's answer to one request, in milliseconds. @default 5000 */
  readonly timeoutMs?: number | undefined
  /** Between tries to connect again, in milliseconds; there is no last one. @default 500 */
  readonly reconnectDelayMs?: number | undefined
  /** How often the server is asked whether it is there, in milliseconds; a connection is given up when two questions stay open. @default 10_000 */
  readonly pingIntervalMs?: number | undefined
  /** Most bytes that wait until the server has them; what is above is refused with `overloaded`. @default 67_108_864 (64 MiB) */
  readonly maxPendingBytes?: number | undefined
}

export const connectionDefaults = {
  addresses: ['127.0.0.1:4222'] as readonly string[],
  user: undefined,
  password: undefined,
  token: undefined,
  tls: undefined,
  connectTimeoutMs: 5000,
  timeoutMs: 5000,
  reconnectDelayMs: 500,
  pingIntervalMs: 10_000,
  maxPendingBytes: 67_108_864,
}

const tlsDefaults = { caFile: undefined, certFile: undefined, keyFile: undefined, handshakeFirst: undefined }

export interface NatsPlace {
  readonly host: string
  readonly port: number
}

export interface NatsSettings {
  readonly places: readonly NatsPlace[]
  readonly handshakeFirst: boolean
  readonly connectTimeoutMs: number
  readonly timeoutMs: number
  readonly maxPendingBytes: number
  readonly client: ConnectionOptions
}

/** @throws `invalid-option` */
export function natsSettings(options: NatsConnectionOptions, name: string): NatsSettings {
  const given = { ...connectionDefaults, ...defined(options) }
  requireNumbers('the options of the NATS connection', given, {
    connectTimeoutMs: aTimer,
    timeoutMs: aTimer,
    reconnectDelayMs: aTimer,
    pingIntervalMs: aTimer,
    maxPendingBytes: aCount,
  })
  const { addresses, maxPendingBytes } = given
  if (!Array.isArray(addresses) || addresses.length === 0)
    throw invalid('there is no address; give host:port')
  const urls = (addresses as readonly string[]).map(placeOf)
  // The client library has one login for all servers.
  const { user, password } = urls.find((each) => each.user !== undefined) ?? {}
  const tls = given.tls ?? (urls.some(({ encrypted }) => encrypted) || undefined)
  const client: ConnectionOptions = {
    servers: urls.map(({ host, port }) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)),
    name,
    timeout: given.connectTimeoutMs,
    reconnectTimeWait: given.reconnectDelayMs,
    pingInterval: given.pingIntervalMs,
    maxPingOut: 2,
    maxReconnectAttempts: -1,
    // A password that is wrong for a while must not end the connection for good.
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
  }
  const name_ = given.user ?? user
  if (given.token !== undefined) client.token = given.token
  else if (name_ !== undefined) {
    client.user = name_
    client.pass = given.password ?? password ?? ''
  }
  if (tls) client.tls = tls === true ? {} : tlsOf(tls)
  return {
    places: urls,
    handshakeFirst: typeof tls === 'object' && tls.handshakeFirst === true,
    connectTimeoutMs: given.connectTimeoutMs,
    timeoutMs: given.timeoutMs,
    maxPendingBytes,
    client,
  }
}

interface Url extends NatsPlace {
  readonly user: string | undefined
  readonly password: string | undefined
  readonly encrypted: boolean
}

function placeOf(address: string): Url {
  const url = /^(?:nats|tls):\/\//.test(address) ? address : `nats://${address}`
  let parsed: URL
  let user: string
  let password: string
  try {
    parsed = new URL(url)
    user = decodeURIComponent(parsed.username)
    password = decodeURIComponent(parsed.password)
  } catch {
    throw invalid(`${JSON.stringify(hidden(address))} is no address; write host:port`)
  }
  const { protocol, hostname, port, pathname, search, hash } = parsed
  if (
    hostname === '' ||
    !['', '/'].includes(pathname) ||
    search !== '' ||
    hash !== '' ||
    /\s/.test(address)
  ) {
    throw invalid(`${JSON.stringify(hidden(address))} is no address; write host:port`)
  }
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? 4222 : Number(port),
    user: user || undefined,
    password: password || undefined,
    encrypted: protocol === 'tls:',
  }
}

/** Read here, so that a missing file is told at once and by its name. */
function tlsOf(options: NatsTlsOptions): Record<string, unknown> {
  const { caFile, certFile, keyFile, handshakeFirst } = resolveOptions(
    'the tls options',
    tlsDefaults,
    options,
  )
  return defined({ ca: read(caFile), cert: read(certFile), key: read(keyFile), handshakeFirst })
}

function read(file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new ServiceError('invalid-option', `cannot read ${file} for tls: ${(cause as Error).message}`, {
      cause,
    })
  }
}

/** An address without its password, for messages. */
function hidden(address: string): string {
  return address.replace(/\/\/[^@]*@/, '//')
}

function defined<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T
}

function invalid(message: string): ServiceError {
  return new ServiceError('invalid-option', message)
}
