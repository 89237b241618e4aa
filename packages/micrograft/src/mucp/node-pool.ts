import { ServiceError, type Transport } from '@micrograft/contracts'
import { DeadlineWheel } from '../deadlines/deadline-wheel.js'
import type { CallPlace, ClientCall } from './client-call.js'
import { PooledConnection, type PooledConnectionOwner } from './pooled-connection.js'

export interface NodePoolOptions {
  readonly connections: number
  readonly maxWaiting: number
  readonly idleMs: number
  readonly maxAgeMs: number
  readonly dialTimeoutMs: number
}

export interface NodeAddress {
  readonly transport: Transport
  readonly address: string
  readonly secure: boolean | undefined
}

export interface NodePoolOwner {
  readonly from: string
  /** Aborts when the client is disposed. */
  readonly signal: AbortSignal
  nextId(): string
  /** It holds nothing any more; told again after each time that it does. */
  empty(pool: NodePool): void
}

/**
 * The connections to one node. The one used last is used next, so that those too many grow old. Calls
 * for which there is none wait in the order in which they came.
 */
export class NodePool implements PooledConnectionOwner, CallPlace {
  readonly #node: NodeAddress
  readonly #options: NodePoolOptions
  readonly #owner: NodePoolOwner
  /** The one that was used last is at the end. */
  readonly #idle: PooledConnection[] = []
  /** Those that have a call, or can have one. */
  readonly #open = new Set<PooledConnection>()
  /** And those that the transport still has. */
  readonly #known = new Set<PooledConnection>()
  readonly #waiting = new Set<ClientCall>()
  #dialling = 0

  constructor(node: NodeAddress, options: NodePoolOptions, owner: NodePoolOwner) {
    this.#node = node
    this.#options = options
    this.#owner = owner
  }

  get from(): string {
    return this.#owner.from
  }

  nextId(): string {
    return this.#owner.nextId()
  }

  run(call: ClientCall): void {
    for (let connection = this.#takeIdle(); connection; connection = this.#takeIdle()) {
      const outcome = connection.start(call)
      if (outcome === 'failed') this.free(connection)
      if (outcome !== 'unsent') return
    }
    const { connections, maxWaiting } = this.#options
    if (this.#waiting.size >= maxWaiting) {
      call.failed(
        new ServiceError(
          'overloaded',
          `${maxWaiting} calls wait for one of ${connections} connections to ${this.#node.address}; raise connections of the mucp client`,
        ),
      )
      return
    }
    this.#waiting.add(call)
    call.place = this
    this.#grow()
  }

  abandon(call: ClientCall): void {
    this.#waiting.delete(call)
  }

  free(connection: PooledConnection): void {
    while (connection.usable) {
      const [next] = this.#waiting
      if (!next) {
        this.#idle.push(connection)
        return
      }
      // An old one ends between two calls, so that its calls go to where the address leads by now.
      if (this.#isOld(connection)) {
        connection.close()
        return
      }
      const outcome = connection.start(next)
      if (outcome !== 'unsent') this.#waiting.delete(next)
      if (outcome === 'started') return
    }
  }

  gone(connection: PooledConnection): void {
    this.#open.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at !== -1) this.#idle.splice(at, 1)
    this.#grow()
  }

  over(connection: PooledConnection): void {
    this.#known.delete(connection)
    this.#tellEmpty()
  }

  /** Closes what was not used for long. */
  tick(now: number): void {
    const over = this.#idle.filter(
      (connection) => now - connection.idleSince >= this.#options.idleMs || this.#isOld(connection),
    )
    for (const connection of over) connection.close()
  }

  destroy(error: ServiceError): void {
    for (const call of this.#waiting) call.failed(error)
    this.#waiting.clear()
    for (const connection of this.#known) connection.destroy(error)
  }

  #takeIdle(): PooledConnection | undefined {
    for (;;) {
      const connection = this.#idle.pop()
      if (!connection || !this.#isOld(connection)) return connection
      connection.close()
    }
  }

  #isOld({ createdAt }: PooledConnection): boolean {
    return DeadlineWheel.now() - createdAt >= this.#options.maxAgeMs
  }

  #grow(): void {
    if (this.#owner.signal.aborted) return
    while (
      this.#dialling < this.#waiting.size &&
      this.#open.size + this.#dialling < this.#options.connections
    )
      void this.#dial()
  }

  async #dial(): Promise<void> {
    this.#dialling++
    try {
      const { signal } = this.#owner
      const { transport, address, secure } = this.#node
      const timeoutMs = this.#options.dialTimeoutMs
      const connection = await PooledConnection.dial(transport, address, this, { signal, secure, timeoutMs })
      if (!connection.usable && !connection.moved) throw connection.error
      this.#dialling--
      if (connection.moved) {
        // It was asked to move before it could be used.
        this.#grow()
      } else if (signal.aborted) {
        connection.destroy()
      } else {
        this.#known.add(connection)
        this.#open.add(connection)
        this.free(connection)
      }
    } catch (error) {
      this.#dialling--
      this.#refused(error)
    }
    this.#tellEmpty()
  }

  /** One dial stands for one call; where nothing else is left to wait for, the last one for all. */
  #refused(error: unknown): void {
    for (const call of this.#waiting) {
      this.#waiting.delete(call)
      call.failed(error)
      if (this.#dialling > 0 || this.#open.size > 0) return
    }
  }

  #tellEmpty(): void {
    if (this.#dialling === 0 && this.#known.size === 0 && this.#waiting.size === 0) this.#owner.empty(this)
  }
}
