import { ServiceError } from '@micrograft/contracts'
import type { PoolOptions, SslOptions } from 'mysql2'

/** Where TLS is used the server's certificate is always verified. */
export interface MysqlTls {
  /** Certificates in PEM form that are trusted. @default those of Node */
  readonly ca?: string | undefined
  /** The client's own certificate in PEM form. @default none */
  readonly cert?: string | undefined
  /** Its key in PEM form. @default none */
  readonly key?: string | undefined
}

export interface MysqlAccess {
  readonly user: string | undefined
  readonly password: string | undefined
  readonly database: string | undefined
  readonly tls: MysqlTls | boolean
}

export interface MysqlAddress {
  /** For messages: without an account. */
  readonly label: string
  readonly config: PoolOptions
}

/**
 * `host`, `host:port` or `mysql://user:password@host:port/database?ssl-mode=…`; options count before
 * what an address says.
 *
 * @throws `invalid-option`, without the address: it may hold a password.
 */
export function mysqlAddress(address: string, access: MysqlAccess): MysqlAddress {
  const url = parse(address)
  const unknown = [...url.searchParams.keys()].find((name) => name !== 'ssl-mode')
  if (unknown !== undefined) throw invalid(`has the parameter ${JSON.stringify(unknown)}; there is ssl-mode`)
  const mode = (url.searchParams.get('ssl-mode') ?? 'disabled').toLowerCase()
  if (!['disabled', 'required', 'verify_ca', 'verify_identity'].includes(mode))
    throw invalid(`has the ssl-mode ${JSON.stringify(mode)}; use disabled, or verify_identity`)
  const tls = access.tls === false && mode !== 'disabled' ? true : access.tls
  const port = url.port === '' ? 3306 : Number(url.port)
  const text = (value: string) => (value === '' ? undefined : decodeURIComponent(value))
  return {
    label: `${url.hostname}:${port}`,
    config: {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port,
      ...given('user', access.user ?? text(url.username)),
      ...given('password', access.password ?? text(url.password)),
      database: access.database ?? text(url.pathname.slice(1)) ?? 'micrograft',
      ...(tls === false ? {} : { ssl: secure(tls === true ? {} : tls) }),
    },
  }
}

function secure({ ca, cert, key }: MysqlTls): SslOptions {
  return {
    rejectUnauthorized: true,
    // Without this the library takes any name that a trusted certificate is for.
    verifyIdentity: true,
    ...given('ca', ca),
    ...given('cert', cert),
    ...given('key', key),
  }
}

function given<K extends string>(name: K, value: string | undefined): { [N in K]?: string } {
  return (value === undefined ? {} : { [name]: value }) as { [N in K]?: string }
}

function parse(address: string): URL {
  if (typeof address !== 'string') throw invalid('is no text')
  const text = address.includes('://') ? address : `mysql://${address}`
  if (!/^(mysql|mariadb):\/\//.test(text) || !URL.canParse(text))
    throw invalid('is none; write host:port or mysql://user:password@host:port/database')
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
  return new ServiceError('invalid-option', `an address of the mysql store ${what}`)
}
