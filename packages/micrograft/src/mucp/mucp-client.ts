import { setMaxListeners } from 'node:events'
import {
  aCount,
  requireLimits,
  requireNumbers,
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
import { DeadlineWheel } from '../deadlines/deadline-wheel.js'
import { ClientCall } from './client-call.js'
import { checkRequest, isLegacy } from './client-messages.js'
import { MucpStream } from './client-stream.js'
import { NodePool, type NodePoolOwner } from './node-pool.js'
import { Pending } from './pending.js'

export interface MucpClientOptions {
  /** Most connections to each node for calls, each with one call at a time; further calls wait their turn. @default 100 */
  readonly connections?: number | undefined
  /** Most calls that wait for a connection to one node; further ones are `overloaded`. @default 10_000 */
  readonly maxWaiting?: number | undefined
  /** Most streams at a time to all nodes; each has a connection of its own. @default 1000 */
  readonly maxStreams?: number | undefined
  /** How long a connection without a call is kept, in milliseconds. @default 60_000 */
  readonly idleMs?: number | undefined
  /** How old a connection may be and still get calls, in milliseconds. @default ten times idleMs */
  readonly maxAgeMs?: number | undefined
  /** Longest wait for a connection, in milliseconds. @default 5000 */
  readonly dialTimeoutMs?: number | undefined
  /**
   * Longest wait for the answer to a call that has no deadline, in milliseconds: servers of go-micro
   * 2.1.2 to 3.5 never answer an error in protobuf. @default 600_000
   */
  readonly unansweredMs?: number | undefined
}

const defaults = {
  connections: 100,
  maxWaiting: 10_000,
  maxStreams: 1000,
  idleMs: 60_000,
  maxAgeMs: undefined as number | undefined,
  dialTimeoutMs: 5000,
  unansweredMs: 600_000,
}

type Settings = Omit<typeof defaults, 'maxAgeMs'> & { readonly maxAgeMs: number }

/**
 * Calls by go-micro's protocol, over the service's transport or the one that a node's metadata names;
 * go-micro's own is `http`. Bodies of replies are views of what came.
 */
export function mucpClient(options: MucpClientOptions | undefined, context: ComponentContext): Client {
  const what = 'the options of the mucp client'
  const resolved = resolveOptions(what, defaults, options)
  const settings: Settings = { ...resolved, maxAgeMs: resolved.maxAgeMs ?? resolved.idleMs * 10 }
  requireLimits(what, settings)
  requireNumbers(what, settings, { connections: aCount, maxWaiting: aCount, maxStreams: aCount })
  return new MucpClient(settings, context)
}

class MucpClient implements Client, NodePoolOwner {
  readonly name = 'mucp'
  readonly protocol = 'mucp'
  readonly from: string
  readonly #options: Settings
  readonly #context: ComponentContext
  /** By how a node is dialled. */
  readonly #pools = new Map<string, NodePool>()
  readonly #streams = new Set<MucpStream>()
  /** Those whose connection is being made, or that the transport still has. */
  readonly #connected = new Set<MucpStream>()
  readonly #wheel = new DeadlineWheel(true)
  readonly #disposed = new AbortController()
  #sequence = 0
  #sweep: NodeJS.Timeout | undefined

  constructor(options: Settings, context: ComponentContext) {
    this.#options = options
    this.#context = context
    this.from = context.service
    // Every dial listens to it.
    setMaxListeners(0, this.#disposed.signal)
  }

  get signal(): AbortSignal {
    return this.#disposed.signal
  }

  nextId(): string {
    return String(this.#sequence++)
  }

  call(node: Node, request: UnaryRequest, { signal }: CallOptions = none): Promise<ClientReply> {
    return new Promise((resolve, reject) => {
      this.#admit(request, signal)
      const call = new ClientCall({ request, legacy: isLegacy(node), resolve, reject })
      call.pending = this.#pending(request, signal, (reason) => call.cancel(reason))
      try {
        this.#pool(node).run(call)
      } catch (error) {
        call.failed(error)
      }
    })
  }

  stream(node: Node, request: ClientRequest, { signal }: CallOptions = none): Promise<ClientStream> {
    return new Promise((resolve, reject) => {
      this.#admit(request, signal)
      const { maxStreams } = this.#options
      if (this.#streams.size >= maxStreams)
        throw new ServiceError(
          'overloaded',
          `${maxStreams} streams are open already; raise maxStreams of the mucp client`,
        )
      const giveUp = new AbortController()
      const stream = new MucpStream({
        request,
        id: this.nextId(),
        from: this.from,
        legacy: isLegacy(node),
        opened: () => resolve(stream),
        refused: reject,
        ended: () => {
          this.#streams.delete(stream)
          giveUp.abort()
        },
        over: () => void this.#connected.delete(stream),
      })
      stream.pending = this.#pending(request, signal, (reason) => stream.cancel(reason), Infinity)
      this.#streams.add(stream)
      void this.#dialStream(node, stream, giveUp.signal)
    })
  }

  empty(pool: NodePool): void {
    for (const [key, each] of this.#pools) if (each === pool) this.#pools.delete(key)
    if (this.#pools.size > 0) return
    clearInterval(this.#sweep)
    this.#sweep = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#disposed.signal.aborted) {
      const error = new ServiceError('closed', 'the mucp client was disposed')
      this.#disposed.abort(error)
      this.#wheel.stop()
      clearInterval(this.#sweep)
      for (const stream of this.#connected) stream.destroy(error)
      for (const pool of this.#pools.values()) pool.destroy(error)
    }
    while (this.#pools.size > 0 || this.#connected.size > 0)
      await new Promise((resolve) => setImmediate(resolve))
  }

  /** @throws why the request is not even tried. */
  #admit(request: ClientRequest, signal: AbortSignal | undefined): void {
    this.#disposed.signal.throwIfAborted()
    signal?.throwIfAborted()
    checkRequest(request)
  }

  #pending(
    request: ClientRequest,
    signal: AbortSignal | undefined,
    ended: (reason: unknown) => void,
    unansweredMs: number = this.#options.unansweredMs,
  ): Pending {
    return new Pending({ request, wheel: this.#wheel, signal, unansweredMs, ended })
  }

  async #dialStream({ address, metadata }: Node, stream: MucpStream, signal: AbortSignal): Promise<void> {
    this.#connected.add(stream)
    try {
      const transport = this.#context.use('transport', metadata['transport'])
      const timeoutMs = this.#options.dialTimeoutMs
      const secure = isSecure(metadata)
      stream.open(await transport.dial(address, stream, { signal, secure, timeoutMs }))
    } catch (error) {
      this.#connected.delete(stream)
      stream.fail(error)
    }
  }

  #pool({ address, metadata }: Node): NodePool {
    const { transport: name } = metadata
    const secure = isSecure(metadata)
    const key = `${name ?? ''} ${secure ?? ''} ${address}`
    let pool = this.#pools.get(key)
    if (pool) return pool
    const transport = this.#context.use('transport', name)
    pool = new NodePool({ transport, address, secure }, this.#options, this)
    this.#pools.set(key, pool)
    if (!this.#sweep) {
      const everyMs = Math.max(5, Math.min(1000, this.#options.idleMs / 4))
      this.#sweep = setInterval(() => this.#tick(), everyMs).unref()
    }
    return pool
  }

  #tick(): void {
    const now = DeadlineWheel.now()
    for (const pool of this.#pools.values()) pool.tick(now)
  }
}

function isSecure(metadata: Node['metadata']): true | undefined {
  return metadata['secure'] === 'true' ? true : undefined
}

const none: CallOptions = Object.freeze({})
