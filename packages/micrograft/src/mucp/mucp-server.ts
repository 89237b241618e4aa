import {
  aCount,
  requireNumbers,
  resolveOptions,
  type ComponentContext,
  type Connection,
  type Server,
} from '@micrograft/contracts'
import { DeadlineWheel } from '../deadlines/deadline-wheel.js'
import { ConnectionServer, type ConnectionOwner } from '../serve/connection-server.js'
import { MucpServerConnection } from './server-connection.js'

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

/** Serves go-micro's protocol on the service's transport; go-micro's own is `http`. Bodies of requests are views of what came. */
export function mucpServer(options: MucpServerOptions | undefined, context: ComponentContext): Server {
  const what = 'the options of the mucp server'
  const resolved = resolveOptions(what, defaults, options)
  requireNumbers(what, resolved, {
    maxCalls: aCount,
    maxCallBytes: aCount,
    maxStreams: aCount,
    idleMs: aCount,
  })
  return new MucpServer(resolved, context)
}

class MucpServer extends ConnectionServer<MucpServerConnection> {
  protected readonly sweepEveryMs: number
  readonly #options: typeof defaults

  constructor(options: typeof defaults, context: ComponentContext) {
    super('mucp', context)
    this.#options = options
    this.sweepEveryMs = Math.max(5, Math.min(5000, options.idleMs / 4))
  }

  protected accept(connection: Connection, owner: ConnectionOwner): MucpServerConnection {
    return new MucpServerConnection(connection, owner, this.#options)
  }

  /** What go-micro's nodes say: its clients take the old envelopes where the protocol is missing. */
  protected override metadata(): Readonly<Record<string, string>> {
    return { server: 'mucp' }
  }

  /** Ends those that nothing was under way on for long. */
  protected sweep(): void {
    const before = DeadlineWheel.now() - this.#options.idleMs
    for (const connection of this.connections) if (connection.idleSince < before) void connection.close()
  }

  /** Also while a connection still waits for what may be on its way. */
  protected override busy(): boolean {
    if (super.busy()) return true
    for (const { lingers } of this.connections) if (lingers) return true
    return false
  }
}
