import { timerMs } from '@micrograft/contracts'
import { connect, createServer, type ListenOptions, type Server, type Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer, type ConnectionOptions } from 'node:tls'
import type { HostAddress } from './host-address.js'
import { dialError } from './socket-error.js'
import type { Tls } from './tls-options.js'

/** How long a silent peer is left alone before the system asks it for a sign of life. */
const keepAliveMs = 60_000

const socketOptions = {
  allowHalfOpen: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: keepAliveMs,
}

/** TLS, and what the protocol above it is called (ALPN), where it has a name. */
export interface Secured {
  readonly tls: Tls
  readonly protocols: readonly string[] | undefined
}

/**
 * A server that is not open yet.
 * @param accepted Gets each socket once it is ready for messages.
 * @throws `invalid-option` where there is no certificate.
 */
export function makeServer(secured: Secured | undefined, accepted: (socket: Socket) => void): Server {
  if (!secured) return createServer(socketOptions, accepted)
  const options = { ...socketOptions, ...secured.tls.server(), ...protocolsOf(secured) }
  // Who does not get ready in time is not ended otherwise.
  return createTlsServer(options, accepted).on('tlsClientError', (_, socket) => socket.destroy())
}

/** Resolves when `server` is open. */
export function opened(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      server.off('listening', done)
      reject(error)
    }
    const done = () => {
      server.off('error', fail)
      resolve()
    }
    server.once('error', fail).once('listening', done).listen(options)
  })
}

/** Turns of the loop without anybody: then nobody waits any more. Each turn lets in one. */
const quietTurns = 4
/** Longest time that is taken, in milliseconds: somebody may come all the time. */
const longestMs = 1000

/**
 * Resolves when all are let in who have come to the door. The system resets who waits there when it is
 * shut, maybe with a call that has been sent.
 */
export async function letIn(server: Server): Promise<void> {
  let turns = 0
  const came = () => (turns = 0)
  server.on('connection', came)
  const end = performance.now() + longestMs
  while (turns++ < quietTurns && performance.now() < end)
    await new Promise((resolve) => setImmediate(resolve))
  server.off('connection', came)
}

/** A socket that is on its way to `target`. */
export function makeSocket(
  target: HostAddress | { readonly path: string },
  secured: Secured | undefined,
): Socket {
  if (!secured) return connect({ ...target, ...socketOptions })
  const options: ConnectionOptions & { readonly allowHalfOpen: true } = {
    ...target,
    ...secured.tls.client('path' in target ? '' : target.host),
    ...protocolsOf(secured),
    allowHalfOpen: true,
  }
  return connectTls(options).setNoDelay(true).setKeepAlive(true, keepAliveMs)
}

export interface ConnectedOptions {
  /** What the socket tells when it is ready for messages. */
  readonly event: 'connect' | 'secureConnect'
  /** For errors. */
  readonly address: string
  readonly timeoutMs: number
  readonly signals: readonly (AbortSignal | undefined)[]
}

/** Resolves when `socket` is ready. Where it rejects the caller destroys it. */
export function connected(
  socket: Socket,
  { event, address, timeoutMs, signals }: ConnectedOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error?: unknown) => {
      clearTimeout(timer)
      for (const signal of signals) signal?.removeEventListener('abort', aborted)
      socket.off(event, done).off('error', failed)
      // Whatever the socket still has to say must not end the process.
      if (error) socket.on('error', () => undefined)
      if (error) reject(error as Error)
      else resolve()
    }
    const done = () => end()
    const aborted = () => end(signals.find((signal) => signal?.aborted)?.reason)
    const failed = (error: Error) => end(dialError(address, error))
    const timer = setTimeout(() => {
      end(dialError(address, new Error(`no connection within ${timeoutMs} ms`)))
    }, timerMs(timeoutMs))
    for (const signal of signals) signal?.addEventListener('abort', aborted)
    socket.once(event, done).once('error', failed)
  })
}

function protocolsOf({ protocols }: Secured): { readonly ALPNProtocols?: string[] } {
  return protocols ? { ALPNProtocols: [...protocols] } : {}
}
