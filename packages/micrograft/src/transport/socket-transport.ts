import { setMaxListeners } from 'node:events'
import type { ListenOptions, Server, Socket } from 'node:net'
import {
  ServiceError,
  type CallOptions,
  type Connection,
  type ConnectionHandler,
  type DialOptions,
  type Listener,
  type Transport,
} from '@micrograft/contracts'
import type { Framing } from './framing.js'
import { formatHostAddress, type HostAddress } from './host-address.js'
import type { ConnectionLimits } from './limits.js'
import { listenError, noTlsError } from './socket-error.js'
import { connected, letIn, makeServer, makeSocket, opened, type Secured } from './sockets.js'
import { StreamConnection } from './stream-connection.js'
import { resolveTls, type Tls } from './tls-options.js'
import { WriteBuffers } from './write-buffers.js'

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
  readonly framing: Framing
  /** Where there is one, doors are open to TLS alone and nothing is dialled without. */
  readonly tls?: Tls | undefined
  /** Whether it can be dialled with TLS. */
  readonly canSecure: boolean
  /** What the framing is called where TLS negotiates it (ALPN). */
  readonly protocols?: readonly string[] | undefined
  /** @throws `invalid-option` for an address that is none of this kind. */
  door(address: string): Promise<Door> | Door
  /** Called where the address is taken; gives whether to try once more. */
  free(door: Door): Promise<boolean> | boolean
  /** @throws `invalid-option` for an address that is none of this kind. */
  target(address: string): HostAddress | { readonly path: string }
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
  /** Sockets of TLS doors. What is ready for messages is a connection as well. */
  readonly #unready = new Set<Socket>()
  #wellKnown: Tls | undefined
  readonly #disposed = new AbortController()

  constructor(kind: SocketKind, limits: SocketLimits) {
    this.#kind = kind
    this.#limits = limits
    // Every dial that is under way listens to it.
    setMaxListeners(0, this.#disposed.signal)
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
    const server = makeServer(this.#secured(this.#kind.tls), (socket) => {
      const connection = this.#connection(socket, this.#kind.remote(socket))
      connection.attach(accept(connection))
    })
    server.maxConnections = this.#limits.maxConnections
    if (this.#kind.tls) this.#watchUnready(server)
    try {
      await opened(server, door.listen).catch(async (error: unknown) => {
        if (!isTaken(error) || !(await this.#kind.free(door))) throw error
        await opened(server, door.listen)
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
      return {
        address: dialable,
        secure: this.#kind.tls !== undefined,
        [Symbol.asyncDispose]: async () => {
          await letIn(server)
          await this.#shut(server)
        },
      }
    } catch (error) {
      await this.#shut(server)
      throw error
    }
  }

  async dial(
    address: string,
    handler: ConnectionHandler,
    { signal, timeoutMs = defaultDialTimeoutMs, secure = false }: DialOptions = {},
  ): Promise<Connection> {
    this.#ready(signal)
    const target = this.#kind.target(address)
    const tls = this.#kind.tls ?? (secure ? this.#plainTls() : undefined)
    const socket = makeSocket(target, this.#secured(tls))
    const event = tls ? 'secureConnect' : 'connect'
    try {
      await connected(socket, { event, address, timeoutMs, signals: [signal, this.#disposed.signal] })
    } catch (error) {
      socket.destroy()
      throw error
    }
    const dialled = 'path' in target ? address : formatHostAddress(target)
    const connection = this.#connection(socket, address, dialled)
    connection.attach(handler)
    return connection
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#disposed.signal.aborted) {
      this.#disposed.abort(this.#closedError())
      for (const connection of this.#connections) connection.destroy(this.#closedError())
      for (const socket of this.#unready) socket.destroy()
    }
    await Promise.all([...this.#servers].map((server) => this.#shut(server)))
    while (this.#connections.size > 0) await new Promise((resolve) => setImmediate(resolve))
  }

  #secured(tls: Tls | undefined): Secured | undefined {
    return tls && { tls, protocols: this.#kind.protocols }
  }

  #watchUnready(server: Server): void {
    server.on('connection', (socket: Socket) => {
      this.#unready.add(socket)
      socket.once('close', () => this.#unready.delete(socket))
    })
  }

  /** What a node is dialled with that asks for TLS, by a transport that was not made for it. */
  #plainTls(): Tls {
    if (!this.#kind.canSecure) throw noTlsError(this.name)
    return (this.#wellKnown ??= resolveTls(`the ${this.name} transport`, {}) as Tls)
  }

  #connection(socket: Socket, remote: string, dialled?: string): StreamConnection {
    const connection = new StreamConnection(socket, {
      remote,
      dialled,
      framing: this.#kind.framing,
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
