import {
  requireLimits,
  resolveOptions,
  ServiceError,
  type CallOptions,
  type ComponentContext,
  type Connection,
  type ConnectionHandler,
  type DialOptions,
  type Listener,
  type Transport,
  type TransportLimits,
} from '@micrograft/contracts'
import { formatHostAddress, parseHostAddress } from './host-address.js'
import { transportLimits } from './limits.js'
import { MemoryConnection } from './memory-connection.js'
import { defaultHub, type MemoryDoor, type MemoryHub } from './memory-hub.js'
import { dialError, noTlsError } from './socket-error.js'

export interface MemoryTransportOptions extends TransportLimits {
  /** Where it finds others; those with another hub do not meet. @default one for the whole process */
  readonly hub?: MemoryHub | undefined
  /** Not used: taken so that it can stand in for a transport that has some. */
  readonly addresses?: readonly string[] | undefined
}

/** Messages within one process, handed over as they are, never in the turn in which they are sent. Addresses are `name:port`. */
export function memoryTransport(
  options: MemoryTransportOptions | undefined,
  _context: ComponentContext,
): Transport {
  const defaults = { ...transportLimits, hub: undefined as MemoryHub | undefined, addresses: undefined }
  const what = 'the options of the memory transport'
  const { hub, addresses: _, ...limits } = resolveOptions(what, defaults, options)
  requireLimits(what, limits)
  return new MemoryTransport(hub ?? defaultHub(), limits)
}

const maxPort = 65_535
/** Of addresses that name none. */
const defaultHost = 'memory'

class MemoryTransport implements Transport {
  readonly name = 'memory'
  readonly #hub: MemoryHub
  readonly #limits: Readonly<Required<{ [K in keyof TransportLimits]: number }>>
  readonly #connections = new Set<MemoryConnection>()
  readonly #doors = new Set<string>()
  #disposed = false

  constructor(hub: MemoryHub, limits: Readonly<Required<{ [K in keyof TransportLimits]: number }>>) {
    this.#hub = hub
    this.#limits = limits
  }

  async listen(
    address: string,
    accept: (connection: Connection) => ConnectionHandler,
    { signal }: CallOptions = {},
  ): Promise<Listener> {
    this.#ready(signal)
    const key = this.#freeAddress(address)
    if (this.#hub.doors.has(key)) {
      throw new ServiceError('conflict', `${key} is taken; stop what listens there or choose another address`)
    }
    let accepted = 0
    const door: MemoryDoor = {
      accept: (dialled) => {
        if (accepted >= this.#limits.maxConnections) return undefined
        accepted++
        const connection = this.#connection('memory', () => accepted--)
        connection.join(dialled)
        connection.attach(accept(connection))
        return connection
      },
    }
    this.#hub.doors.set(key, door)
    this.#doors.add(key)
    return {
      address: key,
      [Symbol.asyncDispose]: async () => {
        if (this.#doors.delete(key)) this.#hub.doors.delete(key)
      },
    }
  }

  async dial(
    address: string,
    handler: ConnectionHandler,
    { signal, secure }: DialOptions = {},
  ): Promise<Connection> {
    this.#ready(signal)
    if (secure) throw noTlsError(this.name)
    const { host, port } = parseHostAddress(address)
    if (port === 0)
      throw new ServiceError('invalid-option', `${JSON.stringify(address)} has no port to connect to`)
    const connection = this.#connection(address)
    const key = formatHostAddress({ host: host || defaultHost, port })
    const other = this.#hub.doors.get(key)?.accept(connection)
    if (!other) {
      this.#connections.delete(connection)
      throw dialError(address, new Error('connection refused'))
    }
    connection.join(other)
    connection.attach(handler)
    return connection
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#disposed) {
      this.#disposed = true
      for (const key of this.#doors) this.#hub.doors.delete(key)
      this.#doors.clear()
      for (const connection of this.#connections) connection.destroy(this.#closedError())
    }
    while (this.#connections.size > 0) await new Promise((resolve) => setImmediate(resolve))
  }

  #connection(remote: string, onClosed?: () => void): MemoryConnection {
    const connection = new MemoryConnection(remote, this.#limits, (ended) => {
      this.#connections.delete(ended)
      onClosed?.()
    })
    this.#connections.add(connection)
    return connection
  }

  #freeAddress(address: string): string {
    const { host, port } = parseHostAddress(address)
    if (port > 0) return formatHostAddress({ host: host || defaultHost, port })
    for (let tries = 0; tries < maxPort; tries++) {
      const free = formatHostAddress({ host: host || defaultHost, port: this.#hub.nextPort })
      this.#hub.nextPort = (this.#hub.nextPort % maxPort) + 1
      if (!this.#hub.doors.has(free)) return free
    }
    throw new ServiceError('conflict', 'no port is free in the memory hub; dispose a listener first')
  }

  #ready(signal: AbortSignal | undefined): void {
    if (this.#disposed) throw this.#closedError()
    signal?.throwIfAborted()
  }

  #closedError(): ServiceError {
    return new ServiceError('closed', 'the memory transport was disposed')
  }
}
