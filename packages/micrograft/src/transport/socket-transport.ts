import {
  connect,
  createServer,
  type ListenOptions,
  type Server,
  type Socket,
  type TcpNetConnectOpts,
} from 'node:net'
import {
  ServiceError,
  type CallOptions,
  type Connection,
  type ConnectionHandler,
  type DialOptions,
  type Listener,
  type Transport,
} from '@micrograft/contracts'
import type { ConnectionLimits } from './limits.js'
import { dialError, listenError } from './socket-error.js'
import { StreamConnection } from './stream-connection.js'
import { WriteBuffers } from './write-buffers.js'

/** How long a silent peer is left alone before the system asks it for a sign of life. */
const keepAliveMs = 60_000

const defaultDialTimeoutMs = 5000

/** Where to listen, once that is known. */
export interface Door {
  readonly listen: ListenOptions
  /** Called when the door is open; gives the address that peers dial. */
  opened(server: Server): Promise<string> | string
}

/** What one kind of socket adds to the rest. */
export interface SocketKind {
  readonly name: string
  /** @throws `invalid-option` for an address that is none of this kind. */
  door(address: string): Promise<Door> | Door
  /** Called where the address is taken; gives whether to try once more. */
  free(door: Door): Promise<boolean> | boolean
  /** @throws `invalid-option` for an address that is none of this kind. */
  target(address: string): Pick<TcpNetConnectOpts, 'host' | 'port'> | { readonly path: string }
  /** The peer, for logs. */
  remote(socket: Socket): string
}

export interface SocketLimits extends ConnectionLimits {
  readonly maxConnections: number
}

/** Messages over the sockets of one kind. */
export class SocketTransport implements Transport {
  readonly #kind: SocketKind
  readonly #limits: SocketLimits
  readonly #buffers = new WriteBuffers()
  readonly #connections = new Set<StreamConnection>()
  readonly #servers = new Set<Server>()
  readonly #disposed = new AbortController()

  constructor(kind: SocketKind, limits: SocketLimits) {
    this.#kind = kind
    this.#limits = limits
  }

  get name(): string {
    return this.#kind.name
  }

  async listen(
    address: string,
    accept: (connection: Connection) => ConnectionHandler,
    { signal }: CallOptions = {},
  ): Promise<Listener> {
    this.#ready(signal)
    const door = await this.#kind.door(address)
    const server = createServer({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
    })
    server.maxConnections = this.#limits.maxConnections
    server.on('connection', (socket) => {
      const connection = this.#connection(socket, this.#kind.remote(socket))
      connection.attach(accept(connection))
    })
    try {
      await open(server, door).catch(async (error: unknown) => {
        if (!isTaken(error) || !(await this.#kind.free(door))) throw error
        await open(server, door)
      })
    } catch (error) {
      throw listenError(address, error)
    }
    // Errors of accepting, e.g. too many open files, leave the door open.
    server.on('error', () => undefined)
    this.#servers.add(server)
    try {
      const dialable = await door.opened(server)
      this.#ready(signal)
      return { address: dialable, [Symbol.asyncDispose]: () => this.#shut(server) }
    } catch (error) {
      await this.#shut(server)
      throw error
    }
  }

  async dial(
    address: string,
    handler: ConnectionHandler,
    { signal, timeoutMs = defaultDialTimeoutMs }: DialOptions = {},
  ): Promise<Connection> {
    this.#ready(signal)
    const target = this.#kind.target(address)
    const socket = connect({
      ...target,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
    })
    try {
      await connected(socket, address, timeoutMs, [signal, this.#disposed.signal])
    } catch (error) {
      socket.destroy()
      throw error
    }
    const connection = this.#connection(socket, address)
    connection.attach(handler)
    return connection
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#disposed.signal.aborted) {
      this.#disposed.abort(this.#closedError())
      for (const connection of this.#connections) connection.destroy(this.#closedError())
    }
    await Promise.all([...this.#servers].map((server) => this.#shut(server)))
    while (this.#connections.size > 0) await new Promise((resolve) => setImmediate(resolve))
  }

  #connection(socket: Socket, remote: string): StreamConnection {
    const connection = new StreamConnection(socket, {
      remote,
      limits: this.#limits,
      buffers: this.#buffers,
      onClosed: (ended) => this.#connections.delete(ended),
    })
    this.#connections.add(connection)
    return connection
  }

  async #shut(server: Server): Promise<void> {
    if (!this.#servers.delete(server)) return
    // What `close` waits for is the connections; the door itself is shut in this turn of the loop.
    server.close()
    await new Promise((resolve) => setImmediate(resolve))
  }

  #ready(signal: AbortSignal | undefined): void {
    this.#disposed.signal.throwIfAborted()
    signal?.throwIfAborted()
  }

  #closedError(): ServiceError {
    return new ServiceError('closed', `the ${this.name} transport was disposed`)
  }
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
}

function open(server: Server, { listen }: Door): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      server.off('listening', done)
      reject(error)
    }
    const done = () => {
      server.off('error', fail)
      resolve()
    }
    server.once('error', fail).once('listening', done).listen(listen)
  })
}

function connected(
  socket: Socket,
  address: string,
  timeoutMs: number,
  signals: readonly (AbortSignal | undefined)[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error?: unknown) => {
      clearTimeout(timer)
      for (const signal of signals) signal?.removeEventListener('abort', aborted)
      socket.off('connect', end).off('error', failed)
      // Whatever the socket still has to say must not end the process.
      if (error) socket.on('error', () => undefined)
      if (error) reject(error as Error)
      else resolve()
    }
    const aborted = () => end(signals.find((signal) => signal?.aborted)?.reason)
    const failed = (error: Error) => end(dialError(address, error))
    const timer = setTimeout(() => {
      end(dialError(address, new Error(`no connection within ${timeoutMs} ms`)))
    }, timeoutMs)
    for (const signal of signals) signal?.addEventListener('abort', aborted)
    socket.once('connect', () => end()).once('error', failed)
  })
}
