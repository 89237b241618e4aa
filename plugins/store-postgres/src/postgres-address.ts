import { ServiceError } from '@micrograft/contracts'
import type { ClientConfig } from 'pg'

/** Where TLS is used the server's certificate is always verified. */
export interface PostgresTls {
  /** Certificates in PEM form that are trusted. @default those of Node */
  readonly ca?: string | undefined
  /** The client's own certificate in PEM form. @default none */
  readonly cert?: string | undefined
  /** Its key in PEM form. @default none */
  readonly key?: string | undefined
  /** The name that the server's certificate must have. @default the host's */
  readonly serverName?: string | undefined
}

export interface PostgresAccess {
  readonly user: string | undefined
  readonly password: string | undefined
  readonly database: string | undefined
  readonly tls: PostgresTls | boolean
}

export interface PostgresAddress {
  /** For messages: without an account. */
  readonly label: string
  readonly config: ClientConfig
}

/**
 * `host`, `host:port` or `postgres://user:password@host:port/database?sslmode=…`; options count before
 * what an address says.
 *
 * @throws `invalid-option`, without the address: it may hold a password.
 */
export function postgresAddress(address: string, access: PostgresAccess): PostgresAddress {
  const url = parse(address)
  const unknown = [...url.searchParams.keys()].find((name) => name !== 'sslmode')
  if (unknown !== undefined) throw invalid(`has the parameter ${JSON.stringify(unknown)}; there is sslmode`)
  const mode = url.searchParams.get('sslmode') ?? 'disable'
  if (!['disable', 'require', 'verify-ca', 'verify-full'].includes(mode))
    throw invalid(`has the sslmode ${JSON.stringify(mode)}; use disable, or verify-full`)
  const tls = access.tls === false && mode !== 'disable' ? true : access.tls
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? 5432 : Number(url.port)
  const text = (value: string) => (value === '' ? undefined : decodeURIComponent(value))
  return {
    label: `${url.hostname}:${port}`,
    config: {
      host,
      port,
      user: access.user ?? text(url.username),
      password: access.password ?? text(url.password),
      database: access.database ?? text(url.pathname.slice(1)),
      ssl: tls === false ? false : secure(tls === true ? {} : tls),
    },
  }
}

function secure({ ca, cert, key, serverName }: PostgresTls): NonNullable<ClientConfig['ssl']> {
  return {
    rejectUnauthorized: true,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  }
}

function parse(address: string): URL {
  if (typeof address !== 'string') throw invalid('is no text')
  const text = address.includes('://') ? address : `postgres://${address}`
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text))
    throw invalid('is none; write host:port or postgres://user:password@host:port/database')
  const url = new URL(text)
  if (url.hostname === '') throw invalid('names no host')
  try {
    decodeURIComponent(url.username + url.password + url.pathname)
  } catch {
    throw invalid('has a % that begins no escape; write %25 for it')
  }
  return url
}

function invalid(what: string): ServiceError {
  return new ServiceError('invalid-option', `an address of the postgres store ${what}`)
}
