import type { ConnectionOptions as TlsOptions } from 'node:tls'
import {
  aCount,
  aTimer,
  requireNumbers,
  resolveOptions,
  ServiceError,
  type Resolved,
} from '@micrograft/contracts'
import type { IClientOptions } from 'mqtt'

export type MqttTlsOptions = Pick<
  TlsOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'servername' | 'rejectUnauthorized'
>

export interface MqttBrokerOptions {
  /**
   * `host`, `host:port`, `mqtt://user:password@host:port`, or `mqtts://…` for TLS. Several are doors to
   * one server or cluster, tried in turn; user, password and TLS are those of the first.
   * @default `127.0.0.1:1883`
   */
  readonly addresses?: readonly string[] | undefined
  /** Where the first address brings none. @default none */
  readonly username?: string | undefined
  /** Where the first address brings none. @default none */
  readonly password?: string | undefined
  /** Settings of TLS, which they turn on. The server's certificate is verified. @default none */
  readonly tls?: MqttTlsOptions | undefined
  /** Comes before every topic on the server, with a `/` between. @default nothing */
  readonly prefix?: string | undefined
  /** Longest wait for a connection, and for a subscription to be made, in milliseconds. @default 5000 */
  readonly connectTimeoutMs?: number | undefined
  /** Longest wait until the server has taken a message, that for a connection included, in milliseconds. @default 5000 */
  readonly publishTimeoutMs?: number | undefined
  /** A connection on which nothing came for one and a half times this is given up, in milliseconds; rounded up to seconds. @default 5000 */
  readonly keepAliveMs?: number | undefined
  /** How long the server keeps messages for a subscription whose connection was lost, in milliseconds; rounded up to seconds. @default 30_000 */
  readonly sessionExpiryMs?: number | undefined
  /** Longest time in which a subscription that is disposed handles what the server has put in line for it, in milliseconds. @default 10_000 */
  readonly drainMs?: number | undefined
  /** Largest body, in bytes. @default 4_194_304 (4 MiB) */
  readonly maxMessageBytes?: number | undefined
  /** Most messages that wait to be taken; a publisher is told `overloaded` above it. @default 10_000 */
  readonly maxPending?: number | undefined
}

const defaults = {
  addresses: ['127.0.0.1:1883'] as readonly string[],
  username: undefined,
  password: undefined,
  tls: undefined,
  prefix: '',
  connectTimeoutMs: 5000,
  publishTimeoutMs: 5000,
  keepAliveMs: 5000,
  sessionExpiryMs: 30_000,
  drainMs: 10_000,
  maxMessageBytes: 4_194_304,
  maxPending: 10_000,
}

type Absent = 'username' | 'password' | 'tls'

export type Settings = Omit<Resolved<MqttBrokerOptions, typeof defaults>, Absent> &
  Pick<MqttBrokerOptions, Absent>

const what = 'the options of the mqtt broker'

/** What a header may add to a message, in bytes. */
export const maxHeaderBytes = 524_288

/** @throws `invalid-option` for a name that is unknown and for a number or text that cannot be. */
export function resolveSettings(options: MqttBrokerOptions | undefined): Settings {
  const settings: Settings = resolveOptions(what, defaults, options)
  requireNumbers(what, settings, {
    connectTimeoutMs: aTimer,
    publishTimeoutMs: aTimer,
    keepAliveMs: { ...aTimer, max: 65_535_000 },
    sessionExpiryMs: { ...aTimer, min: 0, max: 4_294_967_295_000 },
    drainMs: { ...aTimer, min: 0 },
    maxMessageBytes: { ...aCount, max: 267_386_880 },
    maxPending: aCount,
  })
  if (!/^[A-Za-z0-9._/-]{0,128}$/.test(settings.prefix))
    throw wrong('prefix is none; use at most 128 letters, digits, ".", "_", "-" and "/"')
  return settings
}

/** What the library connects with. @throws `invalid-option` for an address that is none. */
export function clientOptions(settings: Settings): IClientOptions {
  if (!Array.isArray(settings.addresses)) throw wrong('addresses are no list')
  const urls = settings.addresses.map(parse)
  const [first] = urls
  if (!first) throw wrong('addresses are empty; give at least one')
  const secure = first.protocol === 'mqtts:' || settings.tls !== undefined
  const username = first.username ? decodeURIComponent(first.username) : settings.username
  const password = first.password ? decodeURIComponent(first.password) : settings.password
  return {
    protocolVersion: 5,
    protocol: secure ? 'mqtts' : 'mqtt',
    servers: urls.map((url) => ({
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: Number(url.port || (secure ? 8883 : 1883)),
    })),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(settings.tls as object | undefined),
    keepalive: Math.ceil(settings.keepAliveMs / 1000),
    connectTimeout: settings.connectTimeoutMs,
    // Not all at the same moment.
    reconnectPeriod: 300 + Math.floor(Math.random() * 300),
    reconnectOnConnackError: true,
    resubscribe: false,
    timerVariant: 'native',
  }
}

/** The addresses for messages: no users and no passwords. */
export function addressLabel({ addresses }: Settings): string {
  return addresses.map((address) => parse(address).host).join(', ')
}

function parse(address: string, index = 0): URL {
  try {
    const url = new URL(address.includes('://') ? address : `mqtt://${address}`)
    decodeURIComponent(url.username + url.password)
    if (['mqtt:', 'mqtts:'].includes(url.protocol) && url.hostname && url.pathname.length < 2) return url
  } catch {
    // Told below.
  }
  // Not quoted: it may hold a password.
  throw wrong(`address ${index + 1} is none; use host:port or mqtt://host:port`)
}

function wrong(message: string): ServiceError {
  return new ServiceError('invalid-option', `${what}: ${message}`)
}
