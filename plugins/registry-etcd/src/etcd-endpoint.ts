import { Agent as HttpAgent, request as httpRequest, type RequestOptions } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { ClientRequest } from 'node:http'
import { ServiceError } from '@micrograft/contracts'

/** Where TLS is used the server's certificate is always verified. */
export interface EtcdTls {
  /** Certificates in PEM form that are trusted. @default those of Node */
  readonly ca?: string | undefined
  /** The client's own certificate in PEM form. @default none */
  readonly cert?: string | undefined
  /** Its key in PEM form. @default none */
  readonly key?: string | undefined
  /** The name that the server's certificate must have. @default the host's */
  readonly serverName?: string | undefined
}

export interface EtcdAccount {
  readonly user: string
  readonly password: string
}

/** Connections that wait for answers at a time; watches have their own. */
const maxSockets = 32

/** One member of etcd, and the connections to it. */
export class EtcdEndpoint implements Disposable {
  /** For messages: without an account. */
  readonly label: string
  /** What the address itself says. */
  readonly account: EtcdAccount | undefined
  readonly #url: URL
  readonly #secure: boolean
  readonly #calls: HttpAgent | HttpsAgent
  readonly #streams: HttpAgent | HttpsAgent

  /**
   * @param address `host:port`, or `https://user:password@host:port`.
   * @throws `invalid-option`, without the address: it may hold a password.
   */
  constructor(address: string, tls: EtcdTls | undefined) {
    if (typeof address !== 'string') throw invalid('is no text')
    const text = address.includes('://') ? address : `${tls ? 'https' : 'http'}://${address}`
    if (!/^https?:\/\/[^/?#]+\/?$/.test(text) || !URL.canParse(text))
      throw invalid('is none; write host:port or https://user:password@host:port')
    const url = new URL(text)
    if (url.port === '' && !/:(80|443)\/?$/.test(text)) url.port = '2379'
    this.account = accountOf(url)
    url.username = url.password = ''
    this.#url = url
    this.#secure = url.protocol === 'https:'
    this.label = url.host
    const options = {
      keepAlive: true,
      keepAliveMsecs: 10_000,
      ...(this.#secure ? given({ ...tls, servername: tls?.serverName, serverName: undefined }) : {}),
    }
    const Agent = this.#secure ? HttpsAgent : HttpAgent
    this.#calls = new Agent({ ...options, maxSockets })
    this.#streams = new Agent({ ...options, keepAlive: false })
  }

  /** A POST whose body is still to be written. */
  post(path: string, headers: Readonly<Record<string, string | number>>, stream: boolean): ClientRequest {
    const options: RequestOptions = {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      agent: stream ? this.#streams : this.#calls,
    }
    return (this.#secure ? httpsRequest : httpRequest)(new URL(path, this.#url), options)
  }

  [Symbol.dispose](): void {
    this.#calls.destroy()
    this.#streams.destroy()
  }
}

function accountOf({ username, password }: URL): EtcdAccount | undefined {
  if (username === '') return undefined
  try {
    return { user: decodeURIComponent(username), password: decodeURIComponent(password) }
  } catch {
    throw invalid('has a % that begins no escape; write %25 for it')
  }
}

function invalid(what: string): ServiceError {
  return new ServiceError('invalid-option', `an address of the etcd registry ${what}`)
}

function given(values: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}
