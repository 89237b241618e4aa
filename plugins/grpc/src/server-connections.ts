import type { Socket } from 'node:net'
import type { Server as TlsServer } from 'node:tls'
import type { ByteStream } from '@micrograft/contracts'
import {
  ServerConnection,
  stoppedError,
  type ConnectionOwner,
  type ServerLimits,
} from './server-connection.js'
import { serverTls, type ServerTlsOptions } from './server-tls.js'

export interface ServerConnectionsOptions extends ServerLimits, Pick<ServerTlsOptions, 'key' | 'ca'> {
  /** Without one, no TLS is spoken. */
  readonly cert: string | Buffer | undefined
  readonly maxConnections: number
}

/** How long a peer may take to read the last of what is sent to it. */
const farewellMs = 1000

/** The connections of one server, from the socket that is accepted to the end of the last. */
export class ServerConnections {
  readonly #options: ServerConnectionsOptions
  readonly #sockets = new Set<Socket>()
  readonly #connections = new Set<ServerConnection>()
  readonly #tls: TlsServer | undefined
  #owner: ConnectionOwner | undefined
  #sweep: NodeJS.Timeout | undefined
  #closing = false
  #cutShort = false
  /** Called whenever a handler or a connection has ended, while it stops. */
  #onChange: (() => void) | undefined

  /** @throws `invalid-option` where certificate or key are none. */
  constructor(options: ServerConnectionsOptions) {
    const { cert } = options
    this.#options = options
    const serve = (socket: Socket) => this.#serve(socket)
    this.#tls = cert === undefined ? undefined : serverTls({ ...options, cert, serve })
  }

  get secure(): boolean {
    return this.#tls !== undefined
  }

  /** Says whom calls are for; none is accepted before. */
  serve(whom: Omit<ConnectionOwner, 'limits' | 'changed'>): void {
    this.#owner = {
      ...whom,
      limits: this.#options,
      changed: (connection) => {
        if (connection.over) this.#connections.delete(connection)
        this.#onChange?.()
      },
    }
  }

  accept(stream: ByteStream): void {
    const socket = stream as Socket
    socket.on('error', () => undefined)
    if (this.#closing || this.#sockets.size >= this.#options.maxConnections) {
      socket.destroy()
      return
    }
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    if (this.#tls) this.#tls.emit('connection', socket)
    else this.#serve(socket)
  }

  /** Asks each for a sign of life now and then, until `end`. */
  watchOver(): void {
    const { pingIntervalMs, pingTimeoutMs } = this.#options
    this.#sweep = setInterval(
      () => {
        const now = performance.now()
        for (const connection of this.#connections) connection.tick(now)
      },
      Math.max(5, Math.min(1000, pingIntervalMs / 4, pingTimeoutMs / 4)),
    ).unref()
  }

  /** Accepts no more. */
  close(): void {
    this.#closing = true
  }

  /** Lets what is under way end, for `graceMs`, aborts the rest, and resolves when none is left. */
  async end(graceMs: number): Promise<void> {
    for (const connection of this.#connections) connection.leave()
    await this.#settled(graceMs, () => ![...this.#connections].some(({ busy }) => busy))
    this.cut()
    this.#cutShort = false
    await this.#settled(farewellMs, () => this.#connections.size === 0)
    clearInterval(this.#sweep)
    for (const connection of this.#connections) connection.destroy()
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all([...this.#connections].map(({ closed }) => closed))
  }

  /** Aborts what is under way; `end` waits no longer for it. */
  cut(): void {
    this.#cutShort = true
    for (const connection of this.#connections) connection.abort(stoppedError())
    this.#onChange?.()
  }

  #serve(socket: Socket): void {
    if (this.#closing || socket.destroyed) {
      socket.destroy()
      return
    }
    const remote =
      socket.remotePort === undefined ? 'unknown' : `${socket.remoteAddress}:${socket.remotePort}`
    this.#connections.add(new ServerConnection(socket, remote, this.#owner as ConnectionOwner))
  }

  /** Resolves when `condition` holds, after `ms`, or when it is cut short. */
  async #settled(ms: number, condition: () => boolean): Promise<void> {
    if (condition() || this.#cutShort || ms <= 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#onChange = () => {
        if (!condition() && !this.#cutShort) return
        clearTimeout(timer)
        resolve()
      }
    })
    this.#onChange = undefined
  }
}
