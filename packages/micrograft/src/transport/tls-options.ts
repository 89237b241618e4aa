import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import {
  createSecureContext,
  type ConnectionOptions,
  type SecureContext,
  type SecureContextOptions,
  type TlsOptions as NodeTlsOptions,
} from 'node:tls'
import { requireLimits, resolveOptions, ServiceError, timerMs } from '@micrograft/contracts'

/** PEM: the text or bytes of it, or else the path of a file that holds it. Files are read once, when the transport is made. */
export type Pem = string | Uint8Array

/** TLS of a transport. `{}` is enough to dial servers with certificates of well-known authorities. */
export interface TlsOptions {
  /** This side's certificate, followed by those between it and its authority. A door needs one. @default none */
  readonly cert?: Pem | undefined
  /** The private key of `cert`, not encrypted. @default none */
  readonly key?: Pem | undefined
  /** The authorities whose certificates are believed, instead of the well-known ones. @default those of Node */
  readonly ca?: Pem | readonly Pem[] | undefined
  /** Whether a server whose certificate is not in order is refused. `false` makes TLS worth little. @default true */
  readonly rejectUnauthorized?: boolean | undefined
  /** The name that certificates of servers must have. @default the host that is dialled */
  readonly servername?: string | undefined
  /** Whether clients are asked for a certificate, and whether one that `ca` vouches for is required. @default 'none' */
  readonly clientCert?: 'none' | 'request' | 'require' | undefined
  /** @default 'TLSv1.2' */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined
  /** How long a client has to get ready, in milliseconds. @default 10_000 */
  readonly handshakeTimeoutMs?: number | undefined
}

const defaults = {
  cert: undefined,
  key: undefined,
  ca: undefined,
  rejectUnauthorized: true,
  servername: undefined,
  clientCert: 'none' as 'none' | 'request' | 'require',
  minVersion: 'TLSv1.2' as 'TLSv1.2' | 'TLSv1.3',
  handshakeTimeoutMs: 10_000,
}

/** TLS options that were checked. */
export interface Tls {
  /** What a door is opened with. @throws `invalid-option` where there is no certificate. */
  server(): NodeTlsOptions
  /** What `host` is dialled with. */
  client(host: string): ConnectionOptions
}

/**
 * @param what Names the options' owner in errors, e.g. `the tcp transport`.
 * @throws `invalid-option` for unknown names and values, a file that cannot be read, and what is no certificate or key.
 */
export function resolveTls(what: string, options: TlsOptions | undefined): Tls | undefined {
  if (options === undefined) return undefined
  const owner = `the tls options of ${what}`
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ServiceError(
      'invalid-option',
      `${owner} are no object; {} dials with TLS, { cert, key } also listens`,
    )
  }
  const resolved = resolveOptions(owner, defaults, options)
  const { cert, key, ca, rejectUnauthorized, servername, clientCert, minVersion, handshakeTimeoutMs } =
    resolved
  oneOf(owner, 'clientCert', clientCert, ['none', 'request', 'require'])
  oneOf(owner, 'minVersion', minVersion, ['TLSv1.2', 'TLSv1.3'])
  requireLimits(owner, { handshakeTimeoutMs })
  oneOf(owner, 'rejectUnauthorized', rejectUnauthorized, [true, false])
  if ((cert === undefined) !== (key === undefined)) {
    throw new ServiceError('invalid-option', `${owner} have only one of cert and key; give both`)
  }
  if (clientCert === 'require' && ca === undefined) {
    throw new ServiceError(
      'invalid-option',
      `${owner} require certificates of clients; say with ca who issues them`,
    )
  }
  const credentials = {
    minVersion,
    cert: cert === undefined ? undefined : readPem(`cert of ${owner}`, cert),
    key: key === undefined ? undefined : readPem(`key of ${owner}`, key),
    ca: ca === undefined ? undefined : [ca].flat().map((each) => readPem(`ca of ${owner}`, each as Pem)),
  }
  const secureContext = makeContext(owner, credentials)
  return {
    server() {
      if (cert === undefined) {
        throw new ServiceError(
          'invalid-option',
          `${owner} have no certificate to listen with; give cert and key`,
        )
      }
      return {
        ...credentials,
        requestCert: clientCert !== 'none',
        rejectUnauthorized: clientCert === 'require',
        handshakeTimeout: timerMs(handshakeTimeoutMs),
      }
    },
    client: (host) => ({ secureContext, rejectUnauthorized, ...nameOf(host, servername) }),
  }
}

/** An IP address is no server name (RFC 6066 §3); it is held against the certificate all the same. */
function nameOf(host: string, servername: string | undefined): ConnectionOptions {
  return { servername: servername ?? (isIP(host) ? '' : host) }
}

function makeContext(owner: string, options: SecureContextOptions): SecureContext {
  try {
    return createSecureContext(options)
  } catch (cause) {
    const why = (cause as Error).message.replace(/^error:[0-9A-F]+:/, '')
    throw new ServiceError('invalid-option', `${owner} do not fit together or are no PEM: ${why}`, { cause })
  }
}

function readPem(what: string, pem: Pem): string | Buffer {
  if (pem instanceof Uint8Array) return Buffer.from(pem)
  if (typeof pem !== 'string' || pem === '') {
    throw new ServiceError('invalid-option', `${what} is neither PEM nor the path of a file`)
  }
  if (pem.includes('-----BEGIN ')) return pem
  try {
    return readFileSync(pem)
  } catch (cause) {
    throw new ServiceError('invalid-option', `cannot read ${what}: ${(cause as Error).message}`, { cause })
  }
}

function oneOf<T>(owner: string, name: string, value: T, allowed: readonly T[]): void {
  if (allowed.includes(value)) return
  const known = allowed.map((each) => JSON.stringify(each)).join(', ')
  throw new ServiceError(
    'invalid-option',
    `${name} of ${owner} is ${JSON.stringify(value)}; it is one of ${known}`,
  )
}
