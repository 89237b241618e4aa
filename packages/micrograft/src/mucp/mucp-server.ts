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
import { MucpServerConnection, type MucpConnectionOwner } from './server-connection.js'

export interface MucpServerOptions {
  /** Calls that may be under way on one connection; while they are, it is not read. @default 1000 */
  readonly maxCalls?: number | undefined
  /** Bytes that their bodies may have; while they have, it is not read. @default 16_777_216 (16 MiB) */
  readonly maxCallBytes?: number | undefined
  /** Most streams under way on one connection. @default 100 */
  readonly maxStreams?: number | undefined
  /** How long a connection with nothing under way is kept, in milliseconds; longer than clients keep one. @default 180_000 */
  readonly idleMs?: number | undefined
}

const defaults = { maxCalls: 1000, maxCallBytes: 16_777_216, maxStreams: 100, idleMs: 180_000 }

const defaultGraceMs = 10_000

/** Serves go-micro's protocol on the service's transport; go-micro's own is `http`. Bodies of requests are views of what came. */
export function mucpServer(options: MucpServerOptions | undefined, context: ComponentContext): Server {
  const what = 'the options of the mucp server'
  const resolved = resolveOptions(what, defaults, options)
  for (const [name, value] of Object.entries(resolved)) {
    if (!(Number.isInteger(value) && value > 0))
      throw new ServiceError('invalid-option', `${name} of ${what} is no whole number above 0`)
  }
  return new MucpServer(resolved, context)
}

class MucpServer implements Server {
  readonly name = 'mucp'
  readonly protocol = 'mucp'
  readonly #options: typeof defaults
  readonly #context: ComponentContext
  readonly #wheel = new DeadlineWheel(false)
  readonly #connections = new Set<MucpServerConnection>()
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
    if (this.#starting) throw new ServiceError('conflict', 'the mucp server was started already')
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
    const everyMs = Math.max(5, Math.min(5000, this.#options.idleMs / 4))
    this.#sweep = setInterval(() => this.#endIdle(), everyMs).unref()
    return {
      address: listener.address,
      // What go-micro's nodes say: its clients take the old envelopes where the protocol is missing.
      metadata: {
        protocol: 'mucp',
        server: 'mucp',
        transport: transport.name,
        ...(listener.secure && { secure: 'true' }),
      },
    }
  }

  #accept(connection: Connection, dispatcher: Dispatcher): MucpServerConnection {
    const owner: MucpConnectionOwner = {
      dispatcher,
      options: this.#options,
      wheel: this.#wheel,
      changed: (changed) => {
        if (changed.over) this.#connections.delete(changed)
        this.#onChange?.()
      },
    }
    const accepted = new MucpServerConnection(connection, owner)
    this.#connections.add(accepted)
    if (this.#stopped) accepted.retire()
    return accepted
  }

  async #stop(graceMs: number): Promise<void> {
    this.#stopped = true
    // Shutting the door resets who has come and was not let in yet, maybe with a call: a few turns of the
    // loop let in all who came before.
    const turns = graceMs > 0 ? 4 : 0
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
    await this.#listener?.[Symbol.asyncDispose]()
    for (const connection of this.#connections) connection.retire()
    await this.#until(() => !this.#busy(), graceMs)
    this.#cut()
    clearInterval(this.#sweep)
    await Promise.all([...this.#connections].map((connection) => connection.close()))
    this.#wheel.stop()
  }

  /** Whether a handler runs, or a connection still waits for what may be on its way. */
  #busy(): boolean {
    for (const { running, lingers } of this.#connections) if (running > 0 || lingers) return true
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

  #endIdle(): void {
    const before = DeadlineWheel.now() - this.#options.idleMs
    for (const connection of this.#connections) if (connection.idleSince < before) void connection.close()
  }
}

function closedError(): ServiceError {
  return new ServiceError('closed', 'the mucp server was stopped')
}
