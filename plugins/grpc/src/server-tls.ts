import { createServer, type Server, type TLSSocket } from 'node:tls'
import { ServiceError } from '@micrograft/contracts'

export interface ServerTlsOptions {
  readonly cert: string | Buffer
  readonly key: string | Buffer | undefined
  readonly ca: string | Buffer | readonly (string | Buffer)[] | undefined
  readonly helloTimeoutMs: number
  /** Gets a socket on which HTTP/2 was agreed on; others are closed. */
  readonly serve: (socket: TLSSocket) => void
}

/**
 * What sockets are given to, as `connection`, to speak TLS.
 * @throws `invalid-option` where certificate or key are none.
 */
export function serverTls({ cert, key, ca, helloTimeoutMs, serve }: ServerTlsOptions): Server {
  try {
    const server = createServer({
      cert,
      key,
      ALPNProtocols: ['h2'],
      handshakeTimeout: helloTimeoutMs,
      ...(ca === undefined
        ? {}
        : { ca: ca as string | Buffer | (string | Buffer)[], requestCert: true, rejectUnauthorized: true }),
    })
    server.on('secureConnection', (socket: TLSSocket) => {
      socket.on('error', () => undefined)
      if (socket.alpnProtocol === 'h2') serve(socket)
      else socket.destroy()
    })
    server.on('tlsClientError', (_, socket) => socket.destroy())
    return server
  } catch (error) {
    throw new ServiceError(
      'invalid-option',
      `cert, key or ca of the options of the grpc server are none: ${(error as Error).message}`,
      { cause: error },
    )
  }
}
