import {
  resolveOptions,
  ServiceError,
  type CallOptions,
  type Client,
  type ClientReply,
  type ClientRequest,
  type ClientStream,
  type ComponentContext,
  type Node,
  type UnaryRequest,
} from '@micrograft/contracts'
import { ClientCall } from './client-call.js'
import type { ClientConnection } from './client-connection.js'
import type { Exchange, ExchangeOwner } from './client-exchange.js'
import { ClientPeer } from './client-peer.js'
import { StreamExchange } from './client-stream.js'
import { DeadlineWheel } from '../deadlines/deadline-wheel.js'
import { checkRpcOptions, rpcLimits, type RpcLimits } from './rpc-limits.js'

export interface RpcClientOptions extends RpcLimits {
  /** Connections to each node; calls go round them. @default 1 */
  readonly connections?: number | undefined
  /** Longest wait for a connection and the server's hello, in milliseconds. @default 5000 */
  readonly dialTimeoutMs?: number | undefined
  /** How long a connection may be silent before the server is asked for a sign of life, in milliseconds. @default 30_000 */
  readonly pingIntervalMs?: number | undefined
  /** How long that sign may take before the connection is given up, in milliseconds. @default 10_000 */
  readonly pingTimeoutMs?: number | undefined
  /** How long a connection without calls is kept, in milliseconds. @default 60_000 */
  readonly idleMs?: number | undefined
}

const defaults = {
  ...rpcLimits,
  connections: 1,
  dialTimeoutMs: 5000,
  pingIntervalMs: 30_000,
  pingTimeoutMs: 10_000,
  idleMs: 60_000,
}

/**
 * Calls by the project's own protocol (`docs/wire.md`), over the service's transport or the one that a
 * node's metadata names. Bodies of replies are Buffers.
 */
export function rpcClient(options: RpcClientOptions | undefined, context: ComponentContext): Client {
  const what = 'the options of the rpc client'
  const resolved = resolveOptions(what, defaults, options)
  checkRpcOptions(what, resolved)
  return new RpcClient(resolved, context)
}

class RpcClient implements Client, ExchangeOwner {
  readonly name = 'rpc'
  readonly protocol = 'rpc'
  readonly #options: typeof defaults
  readonly #context: ComponentContext
  /** By transport, where a node names one, whether with TLS, and address. */
  readonly #peers = new Map<string | undefined, Map<string, ClientPeer>>()
  readonly #wheel = new DeadlineWheel(true)
  readonly #disposed = new AbortController()
  /** As its signal says, which costs more to ask. */
  #isDisposed = false
  /** Those that wait for a connection; the others are known to theirs. */
  readonly #waiting = new Set<Exchange>()
  #sweep: NodeJS.Timeout | undefined
  #sweptAt = 0

  constructor(options: typeof defaults, context: ComponentContext) {
    this.#options = options
    this.#context = context
  }

  call(node: Node, request: UnaryRequest, { signal }: CallOptions = none): Promise<ClientReply> {
    return new Promise((resolve, reject) => {
      const refused = this.#refusal(signal)
      if (refused) reject(refused.reason as Error)
      else this.#start(node, new ClientCall(request, this, resolve, reject), signal)
    })
  }

  stream(node: Node, request: ClientRequest, { signal }: CallOptions = none): Promise<ClientStream> {
    return new Promise((resolve, reject) => {
      const refused = this.#refusal(signal)
      if (refused) {
        reject(refused.reason as Error)
        return
      }
      const stream = new StreamExchange({
        request,
        owner: this,
        window: this.#options,
        opened: () => resolve(stream),
        refused: reject,
      })
      this.#start(node, stream, signal)
    })
  }

  settled(exchange: Exchange): void {
    this.#wheel.remove(exchange)
    if (exchange.slot === -1) this.#waiting.delete(exchange)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isDisposed) {
      const error = new ServiceError('closed', 'the rpc client was disposed')
      this.#isDisposed = true
      this.#disposed.abort(error)
      this.#wheel.stop()
      clearInterval(this.#sweep)
      for (const exchange of this.#waiting) exchange.failed(error)
      for (const peers of this.#peers.values()) for (const peer of peers.values()) peer.destroy(error)
    }
    while (this.#peers.size > 0) await new Promise((resolve) => setImmediate(resolve))
  }

  #refusal(signal: AbortSignal | undefined): AbortSignal | undefined {
    if (this.#isDisposed) return this.#disposed.signal
    return signal?.aborted ? signal : undefined
  }

  #start(node: Node, exchange: Exchange, signal: AbortSignal | undefined): void {
    const now = DeadlineWheel.now()
    const { timeoutMs } = exchange.request
    if (timeoutMs !== undefined) {
      exchange.dueAt = now + timeoutMs
      this.#wheel.add(exchange, now)
    }
    exchange.watch(signal)
    try {
      const connection = this.#peer(node).connection()
      if (connection instanceof Promise) void this.#startLater(node, exchange, connection)
      else connection.start(exchange, now)
    } catch (error) {
      exchange.failed(error)
    }
  }

  async #startLater(node: Node, exchange: Exchange, dialling: Promise<ClientConnection>): Promise<void> {
    this.#waiting.add(exchange)
    try {
      let connection = await dialling
      // It was asked to move before it could be used.
      if (connection.draining && !this.#isDisposed) connection = await this.#peer(node).connection()
      if (exchange.ended) return
      if (connection.draining) throw connection.error
      connection.start(exchange, DeadlineWheel.now())
    } catch (error) {
      exchange.failed(error)
    } finally {
      this.#waiting.delete(exchange)
    }
  }

  #peer({ address, metadata: { transport, secure } }: Node): ClientPeer {
    // A node that is open to TLS alone is another peer: what was dialled before it was must not be used for it.
    const way = secure === 'true' ? `${transport ?? ''} secure` : transport
    return this.#peers.get(way)?.get(address) ?? this.#newPeer(way, transport, secure === 'true', address)
  }

  #newPeer(way: string | undefined, name: string | undefined, secure: boolean, address: string): ClientPeer {
    let peers = this.#peers.get(way)
    const transport = this.#context.use('transport', name)
    if (!peers) this.#peers.set(way, (peers = new Map()))
    const others = peers
    const options = { ...this.#options, secure }
    const peer = new ClientPeer(transport, address, options, this.#disposed.signal, () => {
      if (others.get(address) === peer) others.delete(address)
      if (others.size === 0 && this.#peers.get(way) === others) this.#peers.delete(way)
      if (this.#peers.size === 0) this.#rest()
    })
    others.set(address, peer)
    this.#watchOver()
    return peer
  }

  #watchOver(): void {
    if (this.#sweep) return
    const { pingIntervalMs, pingTimeoutMs, idleMs } = this.#options
    const everyMs = Math.max(5, Math.min(1000, pingIntervalMs / 4, pingTimeoutMs / 4, idleMs / 4))
    this.#sweptAt = DeadlineWheel.now()
    this.#sweep = setInterval(() => {
      const now = DeadlineWheel.now()
      // After a stall what came meanwhile is still unread: nobody is declared dead for it.
      const late = now - this.#sweptAt > everyMs * 2
      this.#sweptAt = now
      if (late) return
      for (const peers of this.#peers.values()) for (const peer of peers.values()) peer.tick(now)
    }, everyMs).unref()
  }

  #rest(): void {
    clearInterval(this.#sweep)
    this.#sweep = undefined
  }
}

const none: CallOptions = Object.freeze({})
