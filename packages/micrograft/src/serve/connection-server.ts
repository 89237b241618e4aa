import {
  ServiceError,
  timerMs,
  type ComponentContext,
  type Connection,
  type ConnectionHandler,
  type Dispatcher,
  type Listener,
  type Server,
  type ServerAddress,
  type ServerContext,
  type StopOptions,
} from '@micrograft/contracts'
import { DeadlineWheel } from '../deadlines/deadline-wheel.js'

const defaultGraceMs = 10_000

/** One connection of a client. */
export interface ServedConnection extends ConnectionHandler {
  readonly remote: string
  /** Handlers that have not ended. */
  readonly running: number
  readonly over: boolean
  /** Asks the client to make its calls elsewhere; those that cross this are still answered. */
  retire(): void
  /** Answers what is open with `error` and aborts it, and takes nothing more. */
  abort(error: ServiceError): void
  close(): Promise<void>
}

/** What the connections of one server share. */
export interface ConnectionOwner {
  readonly dispatcher: Dispatcher
  readonly wheel: DeadlineWheel
  /** A handler has ended, or the connection has. */
  changed(connection: ServedConnection): void
}

/** Resolves when `reached` holds, after `ms`, or when the server is cut short. */
export type Until = (reached: () => boolean, ms: number) => Promise<void>

/**
 * A server that answers over the service's transport: opens the door, lets what is under way end when
 * it stops, and cuts it short at the end of its grace. What a protocol has of its own is in subclasses.
 */
export abstract class ConnectionServer<C extends ServedConnection> implements Server {
  readonly name: string
  readonly protocol: string
  protected readonly connections: Set<C> = new Set()
  readonly #context: ComponentContext
  readonly #wheel = new DeadlineWheel(false)
  #listener: Listener | undefined
  #starting: Promise<ServerAddress> | undefined
  #stopping: Promise<void> | undefined
  #stopped = false
  #graceful = true
  #sweep: NodeJS.Timeout | undefined
  /** Called whenever a handler or a connection has ended, while it stops. */
  #onChange: (() => void) | undefined

  constructor(protocol: string, context: ComponentContext) {
    this.name = protocol
    this.protocol = protocol
    this.#context = context
  }

  /** How often `sweep` is called, in milliseconds. */
  protected abstract readonly sweepEveryMs: number

  protected abstract accept(connection: Connection, owner: ConnectionOwner): C

  /** Ends connections that are of no use. */
  protected abstract sweep(): void

  /** What the node says beside protocol and transport. */
  protected metadata(): Readonly<Record<string, string>> {
    return {}
  }

  /** Waits until what is under way has ended, once every client was asked to go away. */
  protected async drain(until: Until, graceMs: number): Promise<void> {
    await until(() => !this.busy(), graceMs)
  }

  protected busy(): boolean {
    for (const { running } of this.connections) if (running > 0) return true
    return false
  }

  async start(context: ServerContext): Promise<ServerAddress> {
    if (this.#stopped) throw this.#closedError()
    if (this.#starting) throw new ServiceError('conflict', `the ${this.name} server was started already`)
    this.#starting = this.#start(context)
    try {
      return await this.#starting
    } catch (error) {
      this.#starting = undefined
      throw error
    }
  }

  async stop({ graceMs = defaultGraceMs, signal }: StopOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    this.#stopping ??= this.#stop(graceMs)
    if (!signal) return this.#stopping
    const cut = () => this.#cut()
    signal.addEventListener('abort', cut, { once: true })
    try {
      await this.#stopping
    } finally {
      signal.removeEventListener('abort', cut)
    }
    signal.throwIfAborted()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping ??= this.#stop(0)
    this.#cut()
    await this.#stopping
  }

  async #start({ dispatcher, listen }: ServerContext): Promise<ServerAddress> {
    const transport = this.#context.use('transport')
    const owner: ConnectionOwner = {
      dispatcher,
      wheel: this.#wheel,
      changed: (connection) => {
        if (connection.over) this.connections.delete(connection as C)
        this.#onChange?.()
      },
    }
    const listener = await listen((connection) => {
      const accepted = this.accept(connection, owner)
      this.connections.add(accepted)
      if (this.#stopped) accepted.retire()
      // It was in a handshake when the door was shut.
      if (!this.#graceful) {
        accepted.abort(this.#cutError())
        void accepted.close()
      }
      return accepted
    })
    if (this.#stopped) {
      await listener[Symbol.asyncDispose]()
      throw this.#closedError()
    }
    this.#listener = listener
    this.#sweep = setInterval(() => this.sweep(), timerMs(this.sweepEveryMs)).unref()
    const { protocol } = this
    const secure = listener.secure && { secure: 'true' }
    return {
      address: listener.address,
      metadata: { protocol, transport: transport.name, ...this.metadata(), ...secure },
    }
  }

  async #stop(graceMs: number): Promise<void> {
    this.#stopped = true
    await this.#listener?.[Symbol.asyncDispose]()
    for (const connection of this.connections) connection.retire()
    await this.drain((reached, ms) => this.#until(reached, ms), graceMs)
    this.#cut()
    clearInterval(this.#sweep)
    await Promise.all([...this.connections].map((connection) => connection.close()))
    this.#wheel.stop()
  }

  async #until(reached: () => boolean, ms: number): Promise<void> {
    if (reached() || !this.#graceful || ms <= 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timerMs(ms))
      this.#onChange = () => {
        if (!reached() && this.#graceful) return
        clearTimeout(timer)
        resolve()
      }
    })
    this.#onChange = undefined
  }

  /** Aborts what is under way. */
  #cut(): void {
    this.#graceful = false
    const error = this.#cutError()
    for (const connection of this.connections) connection.abort(error)
    this.#onChange?.()
  }

  #cutError(): ServiceError {
    return new ServiceError('unavailable', 'the server stopped before the call had ended')
  }

  #closedError(): ServiceError {
    return new ServiceError('closed', `the ${this.name} server was stopped`)
  }
}
