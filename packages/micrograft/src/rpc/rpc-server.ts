import {
  resolveOptions,
  ServiceError,
  type ComponentContext,
  type Connection,
  type Server,
} from '@micrograft/contracts'
import { DeadlineWheel } from '../deadlines/deadline-wheel.js'
import { ConnectionServer, type ConnectionOwner, type Until } from '../serve/connection-server.js'
import { checkRpcOptions, rpcLimits, type RpcLimits } from './rpc-limits.js'
import { ServerConnection } from './server-connection.js'

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

/** How long a client may take to hear of a go-away: its process may be busy. */
const hearMs = 3000
/** How long a client that has heard may take to close its connection. */
const lingerMs = 500

/** Serves the project's own protocol (`docs/wire.md`) on the service's transport. Bodies of requests are Buffers. */
export function rpcServer(options: RpcServerOptions | undefined, context: ComponentContext): Server {
  const what = 'the options of the rpc server'
  const resolved = resolveOptions(what, defaults, options)
  checkRpcOptions(what, resolved)
  return new RpcServer(resolved, context)
}

class RpcServer extends ConnectionServer<ServerConnection> {
  protected readonly sweepEveryMs: number
  readonly #options: typeof defaults
  #sweptAt = DeadlineWheel.now()

  constructor(options: typeof defaults, context: ComponentContext) {
    super('rpc', context)
    this.#options = options
    this.sweepEveryMs = Math.max(5, Math.min(1000, options.helloTimeoutMs / 4))
  }

  protected accept(connection: Connection, owner: ConnectionOwner): ServerConnection {
    return new ServerConnection(connection, owner, this.#options)
  }

  /** Ends those that say nothing, and tells the others that what they send is coming. */
  protected sweep(): void {
    const { helloTimeoutMs } = this.#options
    const now = DeadlineWheel.now()
    const isLate = now - this.#sweptAt > this.sweepEveryMs * 2
    this.#sweptAt = now
    // After a stall what came meanwhile is still unread.
    if (isLate) return
    const before = now - helloTimeoutMs
    for (const connection of this.connections) {
      if (!connection.greeted && connection.since < before)
        connection.refuse(new ServiceError('protocol', `no hello came within ${helloTimeoutMs} ms`))
      else connection.tick()
    }
  }

  /** Also as long as a client has not read what it was answered. */
  protected override busy(): boolean {
    return super.busy() || [...this.connections].some(({ congested }) => congested)
  }

  protected override async drain(until: Until, graceMs: number): Promise<void> {
    const deadline = DeadlineWheel.now() + graceMs
    const atMost = (ms: number) => Math.min(ms, deadline - DeadlineWheel.now())
    await until(() => !this.busy(), graceMs)
    // Until a client knows, a call may be on its way; then it closes its connection.
    await until(() => [...this.connections].every(({ heardGoAway }) => heardGoAway), atMost(hearMs))
    await until(() => !this.busy() && this.connections.size === 0, atMost(lingerMs))
    await until(() => !this.busy(), atMost(graceMs))
  }
}
