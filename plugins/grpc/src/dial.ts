import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls'
import { ServiceError } from '@micrograft/contracts'

export interface ClientTls {
  /** Authorities to trust, as PEM. @default those of Node */
  readonly ca?: string | Buffer | readonly (string | Buffer)[] | undefined
  /** The name that the server's certificate must be for. @default the node's host */
  readonly servername?: string | undefined
  /** The client's own certificate, as PEM. @default none */
  readonly cert?: string | Buffer | undefined
  /** Its key, as PEM. @default none */
  readonly key?: string | Buffer | undefined
}

/** What `connect` of `node:net` takes. */
export type Place = { readonly host: string; readonly port: number } | { readonly path: string }

/** Certificates that were read. */
export interface DialTls {
  readonly context: SecureContext
  readonly servername: string | undefined
}

/** @throws `invalid-option` where a certificate or key is none. */
export function dialTls({ ca, servername, cert, key }: ClientTls): DialTls {
  try {
    const context = createSecureContext({
      ...(ca === undefined ? {} : { ca: ca as string | Buffer | (string | Buffer)[] }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    })
    return { context, servername }
  } catch (error) {
    throw new ServiceError(
      'invalid-option',
      `ca, cert or key of the options of the grpc client are none: ${(error as Error).message}`,
      { cause: error },
    )
  }
}

/** Begins to connect. */
export function dial(place: Place, tls: DialTls | undefined): Socket {
  const socket = connectTcp(place)
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 60_000)
  if (!tls) return socket
  const name = tls.servername ?? ('host' in place ? place.host : 'localhost')
  return connectTls({
    socket,
    ALPNProtocols: ['h2'],
    secureContext: tls.context,
    // The certificate is held against the host; RFC 6066 §3 lets no address be sent as the server's name.
    host: name,
    ...(isIP(name) === 0 ? { servername: name } : {}),
  })
}

/**
 * Takes `host:port`, `[::1]:port` or `unix:/path` apart.
 * @throws `bad-request`
 */
export function parseAddress(address: string): Place {
  if (address.startsWith('unix:')) return { path: address.slice('unix:'.length) }
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(address)
  const port = Number(match?.[3])
  if (!match || port > 65_535) {
    throw new ServiceError(
      'bad-request',
      `${JSON.stringify(address)} is no address of a gRPC server; it is host:port, or unix:/path`,
    )
  }
  return { host: match[1] ?? (match[2] as string), port }
}
