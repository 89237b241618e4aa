import {
  resolveOptions,
  ServiceError,
  type ComponentContext,
  type Connection,
  type Dispatcher,
  type Listener,
  type Server,
  type ServerAddress,
  type ServerContext,
  type StopOptions,
} from '@micrograft/contracts'
import { DeadlineWheel } from '../deadlines/deadline-wheel.js'
import { checkRpcLimits, rpcLimits, type RpcLimits } from './rpc-limits.js'
import { ServerConnection, type ServerConnectionOwner } from './server-connection.js'

export interface RpcServerOptions extends RpcLimits {
  /** Most calls and streams under way on one connection. @default 10_000 */
  readonly maxCalls?: number | undefined
  /** Most streams among them. @default 1000 */
  readonly maxStreams?: number | undefined
  /** Most targets (service, endpoint and content type) that one connection may have remembered. @default 256 */
  readonly maxTargets?: number | undefined
  /** How long a new connection may be silent, in milliseconds. @default 10_000 */
  readonly helloTimeoutMs?: number | undefined
}

const defaults = { ...rpcLimits, maxCalls: 10_000, maxStreams: 1000, maxTargets: 256, helloTimeoutMs: 10_000 }

const defaultGraceMs = 10_000
/** How long a client may take to hear of a go-away: its process may be busy. */
const hearMs = 3000
/** How long a client that has heard may take to close its connection. */
const lingerMs = 500

/** Serves the project's own protocol (`docs/wire.md`) on the service's transport. Bodies of requests are Buffers. */
export function rpcServer(options: RpcServerOptions | undefined, context: ComponentContext): Server {
  const what = 'the options of the rpc server'
  const resolved = resolveOptions(what, defaults, options)
  checkRpcLimits(what, resolved)
  return new RpcServer(resolved, context)
}

class RpcServer implements Server {
  readonly name = 'rpc'
  readonly protocol = 'rpc'
  readonly #options: typeof defaults
  readonly #context: ComponentContext
  readonly #wheel = new DeadlineWheel(false)
  readonly #connections = new Set<ServerConnection>()
  #listener: Listener | undefined
  #starting: Promise<ServerAddress> | undefined
  #stopping: Promise<void> | undefined
  #stopped = false
  #graceful = true
  #sweep: NodeJS.Timeout | undefined
  /** Called whenever a handler or a connection has ended, while it stops. */
  #onChange: (() => void) | undefined

  constructor(options: typeof defaults, context: ComponentContext) {
    this.#options = options
    this.#context = context
  }

  async start(context: ServerContext): Promise<ServerAddress> {
    if (this.#stopped) throw closedError()
    if (this.#starting) throw new ServiceError('conflict', 'the rpc server was started already')
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
    const listener = await listen((connection) => this.#accept(connection, dispatcher))
    if (this.#stopped) {
      await listener[Symbol.asyncDispose]()
      throw closedError()
    }
    this.#listener = listener
    const { helloTimeoutMs } = this.#options
    this.#sweep = setInterval(() => this.#endSilent(), Math.max(5, helloTimeoutMs / 4)).unref()
    return {
      address: listener.address,
      metadata: { protocol: 'rpc', transport: transport.name, ...(listener.secure && { secure: 'true' }) },
    }
  }

  #accept(connection: Connection, dispatcher: Dispatcher): ServerConnection {
    const owner: ServerConnectionOwner = {
      dispatcher,
      options: this.#options,
      wheel: this.#wheel,
      changed: (changed) => {
        if (changed.over) this.#connections.delete(changed)
        this.#onChange?.()
      },
    }
    const accepted = new ServerConnection(connection, owner)
    this.#connections.add(accepted)
    if (this.#stopped) accepted.goAway()
    return accepted
  }

  async #stop(graceMs: number): Promise<void> {
    this.#stopped = true
    await this.#listener?.[Symbol.asyncDispose]()
    for (const connection of this.#connections) connection.goAway()
    const deadline = DeadlineWheel.now() + graceMs
    const atMost = (ms: number) => Math.min(ms, deadline - DeadlineWheel.now())
    await this.#until(() => !this.#busy(), graceMs)
    // Until a client knows, a call may be on its way; then it closes its connection.
    await this.#until(() => [...this.#connections].every(({ heardGoAway }) => heardGoAway), atMost(hearMs))
    await this.#until(() => !this.#busy() && this.#connections.size === 0, atMost(lingerMs))
    await this.#until(() => !this.#busy(), atMost(graceMs))
    this.#cut()
    clearInterval(this.#sweep)
    await Promise.all([...this.#connections].map((connection) => connection.close()))
    this.#wheel.stop()
  }

  #busy(): boolean {
    for (const { running } of this.#connections) if (running > 0) return true
    return false
  }

  /** Resolves when `reached` holds, after `ms`, or when it is cut short. */
  async #until(reached: () => boolean, ms: number): Promise<void> {
    if (reached() || !this.#graceful || ms <= 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
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
    const error = new ServiceError('unavailable', 'the server stopped before the call had ended')
    for (const connection of this.#connections) connection.abort(error)
    this.#onChange?.()
  }

  #endSilent(): void {
    const before = DeadlineWheel.now() - this.#options.helloTimeoutMs
    for (const connection of this.#connections) {
      if (!connection.greeted && connection.since < before) {
        connection.refuse(
          new ServiceError('protocol', `no hello came within ${this.#options.helloTimeoutMs} ms`),
        )
      }
    }
  }
}

function closedError(): ServiceError {
  return new ServiceError('closed', 'the rpc server was stopped')
}
