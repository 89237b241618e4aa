import type { ConnectionOptions as TlsOptions } from 'node:tls'
import {
  aCount,
  aTimer,
  requireNumbers,
  resolveOptions,
  ServiceError,
  type Resolved,
} from '@micrograft/contracts'
import type { ConnectionOptions } from 'rabbitmq-client'

export type RabbitmqTlsOptions = Pick<
  TlsOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'servername' | 'rejectUnauthorized'
>

export interface RabbitmqBrokerOptions {
  /**
   * `host`, `host:port`, `amqp://user:password@host:port/vhost`, or `amqps://…` for TLS. Several are
   * nodes of one cluster, tried in turn; user, password, virtual host and TLS are those of the first.
   * @default `127.0.0.1:5672`
   */
  readonly addresses?: readonly string[] | undefined
  /** Where the first address brings none. @default `guest` */
  readonly username?: string | undefined
  /** Where the first address brings none. @default `guest` */
  readonly password?: string | undefined
  /** Where the first address brings none. @default `/` */
  readonly vhost?: string | undefined
  /** Settings of TLS, which they turn on. The server's certificate is verified. @default none */
  readonly tls?: RabbitmqTlsOptions | undefined
  /** The durable topic exchange that messages go through; the names of queues begin with it. @default `micro` */
  readonly exchange?: string | undefined
  /** What the queues of queue names are; `quorum` needs a cluster to make sense. @default `classic` */
  readonly queueType?: 'classic' | 'quorum' | undefined
  /** Longest wait for a connection, and for a subscription to be made, in milliseconds. @default 5000 */
  readonly connectTimeoutMs?: number | undefined
  /** Longest wait until the server has confirmed a message, that for a connection included, in milliseconds. @default 5000 */
  readonly publishTimeoutMs?: number | undefined
  /** A connection on which nothing came for twice this is given up, in milliseconds; rounded up to seconds. @default 5000 */
  readonly heartbeatMs?: number | undefined
  /** Largest body, in bytes; keep the server's `max_message_size` above it. @default 4_194_304 (4 MiB) */
  readonly maxMessageBytes?: number | undefined
  /** Most messages that wait to be confirmed, also those whose callers were told `timeout`; a publisher is told `overloaded` above it. @default 10_000 */
  readonly maxPending?: number | undefined
  /** Pause before a message whose handler rejected is delivered again, in milliseconds; it doubles each time. @default 1000 */
  readonly retryMs?: number | undefined
  /** Longest such pause, in milliseconds. @default 60_000 */
  readonly maxRetryMs?: number | undefined
  /** How often a message is delivered again before it goes to the dead letters. @default 5 */
  readonly maxRedeliveries?: number | undefined
}

const defaults = {
  addresses: ['127.0.0.1:5672'] as readonly string[],
  username: 'guest',
  password: 'guest',
  vhost: '/',
  tls: undefined,
  exchange: 'micro',
  queueType: 'classic' as 'classic' | 'quorum',
  connectTimeoutMs: 5000,
  publishTimeoutMs: 5000,
  heartbeatMs: 5000,
  maxMessageBytes: 4_194_304,
  maxPending: 10_000,
  retryMs: 1000,
  maxRetryMs: 60_000,
  maxRedeliveries: 5,
}

export type Settings = Omit<Resolved<RabbitmqBrokerOptions, typeof defaults>, 'tls'> & {
  readonly tls: RabbitmqTlsOptions | undefined
}

const what = 'the options of the rabbitmq broker'

/** @throws `invalid-option` for a name that is unknown and for a number or text that cannot be. */
export function resolveSettings(options: RabbitmqBrokerOptions | undefined): Settings {
  const settings: Settings = resolveOptions(what, defaults, options)
  requireNumbers(what, settings, {
    connectTimeoutMs: aTimer,
    publishTimeoutMs: aTimer,
    heartbeatMs: aTimer,
    retryMs: aTimer,
    maxRetryMs: aTimer,
    maxMessageBytes: aCount,
    maxPending: aCount,
    maxRedeliveries: { ...aCount, min: 0 },
  })
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(settings.exchange) || settings.exchange.startsWith('amq.'))
    throw wrong('exchange is none; use 1 to 64 letters, digits, ".", "_" and "-", not beginning with "amq."')
  if (settings.queueType !== 'classic' && settings.queueType !== 'quorum')
    throw wrong(`queueType is ${JSON.stringify(settings.queueType)}; it is "classic" or "quorum"`)
  return settings
}

/** What the library connects with. @throws `invalid-option` for an address that is none. */
export function connectionOptions(settings: Settings): ConnectionOptions {
  if (!Array.isArray(settings.addresses)) throw wrong('addresses are no list')
  const urls = settings.addresses.map(parse)
  const [first] = urls
  if (!first) throw wrong('addresses are empty; give at least one')
  const secure = first.protocol === 'amqps:' || settings.tls !== undefined
  const port = secure ? 5671 : 5672
  const hosts = urls.map((url) => ({
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || port),
  }))
  if (hosts.length > 1 && hosts.some(({ hostname }) => hostname.includes(':')))
    throw wrong('an IPv6 address stands alone; give names of hosts where there are several')
  const path = first.pathname.slice(1)
  return {
    ...(hosts.length === 1 ? hosts[0] : { hosts: hosts.map(({ hostname, port }) => `${hostname}:${port}`) }),
    username: first.username ? decodeURIComponent(first.username) : settings.username,
    password: first.password ? decodeURIComponent(first.password) : settings.password,
    vhost: path ? decodeURIComponent(path) : settings.vhost,
    ...(secure ? { tls: { ...settings.tls } } : {}),
    noDelay: true,
    // Headers go into one frame, and a frame of the server's own size carries a body in fewer pieces.
    frameMax: 131_072,
    heartbeat: Math.ceil(settings.heartbeatMs / 1000),
    acquireTimeout: settings.connectTimeoutMs,
    connectionTimeout: settings.connectTimeoutMs,
    retryLow: 100,
    retryHigh: 1000,
  }
}

/** The addresses for messages: no users and no passwords. */
export function addressLabel({ addresses }: Settings): string {
  return addresses.map((address) => parse(address).host).join(', ')
}

function parse(address: string, index = 0): URL {
  try {
    const url = new URL(address.includes('://') ? address : `amqp://${address}`)
    decodeURIComponent(url.username + url.password + url.pathname)
    if (['amqp:', 'amqps:'].includes(url.protocol) && url.hostname) return url
  } catch {
    // Told below.
  }
  // Not quoted: it may hold a password.
  throw wrong(`address ${index + 1} is none; use host:port or amqp://host:port/vhost`)
}

function wrong(message: string): ServiceError {
  return new ServiceError('invalid-option', `${what}: ${message}`)
}
