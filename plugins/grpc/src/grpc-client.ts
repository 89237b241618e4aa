import {
  aCount,
  aTimer,
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
import { ClientCall } from './client-call.js'
import type { ClientConnection } from './client-connection.js'
import { Exchange, type ExchangeSink } from './client-exchange.js'
import { ClientPeer } from './client-peer.js'
import { GrpcClientStream } from './client-stream.js'
import { dialTls, parseAddress, type ClientTls, type DialTls } from './dial.js'
import { checkSwitches, grpcLimits, limitRanges, type GrpcLimits } from './grpc-limits.js'

export interface GrpcClientOptions extends GrpcLimits, ClientTls {
  /** Whether to speak TLS. @default where one of `ca`, `servername`, `cert` is given, or the node's metadata has `secure` as `true` */
  readonly secure?: boolean | undefined
  /** Connections to each node; calls go round them. @default 1 */
  readonly connections?: number | undefined
  /** Longest wait for a connection and the server's settings, in milliseconds. @default 5000 */
  readonly dialTimeoutMs?: number | undefined
  /** How long a connection with calls under way is silent before the server is asked for a sign of life, in milliseconds; 0 is never. Go servers end connections that ask more often than every 5 minutes. @default 360_000 */
  readonly pingIntervalMs?: number | undefined
  /** How long that sign may take before the connection is given up, in milliseconds. @default 20_000 */
  readonly pingTimeoutMs?: number | undefined
  /** How long a connection without calls is kept, in milliseconds. @default 60_000 */
  readonly idleMs?: number | undefined
}

const defaults = {
  ...grpcLimits,
  secure: undefined,
  ca: undefined,
  servername: undefined,
  cert: undefined,
  key: undefined,
  connections: 1,
  dialTimeoutMs: 5000,
  pingIntervalMs: 360_000,
  pingTimeoutMs: 20_000,
  idleMs: 60_000,
}

type Options = typeof grpcLimits &
  ClientTls & {
    readonly secure: boolean | undefined
    readonly connections: number
    readonly dialTimeoutMs: number
    readonly pingIntervalMs: number
    readonly pingTimeoutMs: number
    readonly idleMs: number
  }

/**
 * Calls by gRPC, as go-micro does and as every gRPC server takes it. Bodies are sent as they are, under
 * the subtype of their content type. Bodies of replies are Buffers.
 */
export function grpcClient(options: GrpcClientOptions | undefined, _context?: ComponentContext): Client {
  const what = 'the options of the grpc client'
  const resolved: Options = resolveOptions(what, defaults, options as typeof defaults | undefined)
  requireNumbers(what, resolved, {
    ...limitRanges,
    connections: aCount,
    dialTimeoutMs: aTimer,
    pingIntervalMs: { ...aCount, min: 0 },
    pingTimeoutMs: aCount,
    idleMs: { ...aCount, min: 0 },
  })
  checkSwitches(what, resolved, ['secure'])
  if ((resolved.cert === undefined) !== (resolved.key === undefined))
    throw new ServiceError('invalid-option', `cert and key of ${what} go together`)
  return new GrpcClient(resolved)
}

class GrpcClient implements Client {
  readonly name = 'grpc'
  readonly protocol = 'grpc'
  readonly #options: Options
  readonly #peers = new Map<string, ClientPeer>()
  readonly #exchanges = new Set<Exchange>()
  #tls: DialTls | undefined
  #sweep: NodeJS.Timeout | undefined
  #disposed: ServiceError | undefined
  #disposing: Promise<void> | undefined

  /** @throws `invalid-option` where a certificate or key is none. */
  constructor(options: Options) {
    this.#options = options
    if (options.secure || options.ca || options.servername || options.cert) this.#tls = dialTls(options)
  }

  call(node: Node, request: UnaryRequest, options?: CallOptions): Promise<ClientReply> {
    return new Promise((resolve, reject) => {
      const { maxMessageBytes } = this.#options
      if (request.body.length > maxMessageBytes) {
        reject(
          new ServiceError(
            'too-large',
            `a request of ${request.body.length} bytes is above the limit of ${maxMessageBytes}`,
          ),
        )
        return
      }
      const call = new ClientCall(request, resolve, reject)
      this.#start(node, request, call, options)
    })
  }

  stream(node: Node, request: ClientRequest, options?: CallOptions): Promise<ClientStream> {
    return new Promise((resolve, reject) => {
      const stream = new GrpcClientStream(this.#options.maxMessageBytes, () => resolve(stream), reject)
      this.#start(node, request, stream, options)
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposing ??= this.#dispose()
    return this.#disposing
  }

  /** Throws what refuses it before it begins. */
  #start(
    node: Node,
    request: ClientRequest,
    sink: ExchangeSink & { exchange: Exchange | undefined },
    { signal }: CallOptions = {},
  ): void {
    if (this.#disposed) throw this.#disposed
    signal?.throwIfAborted()
    const exchange = new Exchange({
      request,
      sink,
      maxMessageBytes: this.#options.maxMessageBytes,
      signal,
      settled: (each) => this.#exchanges.delete(each),
    })
    sink.exchange = exchange
    this.#exchanges.add(exchange)
    try {
      const connection = this.#peer(node).connection()
      if (connection instanceof Promise) void this.#startLater(node, exchange, connection)
      else exchange.begin(connection)
    } catch (error) {
      exchange.fail(error as Error)
    }
  }

  async #startLater(node: Node, exchange: Exchange, dialling: Promise<ClientConnection>): Promise<void> {
    try {
      let connection = await dialling
      // The server asked to go elsewhere before it could be used.
      if (!connection.usable && !this.#disposed) connection = await this.#peer(node).connection()
      exchange.begin(connection)
    } catch (error) {
      exchange.fail(error as Error)
    }
  }

  #peer({ address, metadata }: Node): ClientPeer {
    const { secure: asked, ca, servername, cert } = this.#options
    const secure = asked ?? ((ca ?? servername ?? cert) !== undefined || metadata['secure'] === 'true')
    const name = `${secure ? 'tls' : 'tcp'} ${address}`
    const known = this.#peers.get(name)
    if (known) return known
    const tls = secure ? (this.#tls ??= dialTls(this.#options)) : undefined
    const target = { address, place: parseAddress(address), tls }
    const peer = new ClientPeer(target, this.#options, () => {
      if (this.#peers.get(name) === peer) this.#peers.delete(name)
      if (this.#peers.size === 0) this.#rest()
    })
    this.#peers.set(name, peer)
    this.#watchOver()
    return peer
  }

  #watchOver(): void {
    const { pingIntervalMs, pingTimeoutMs, idleMs } = this.#options
    const everyMs = Math.min(1000, (pingIntervalMs || 4000) / 4, pingTimeoutMs / 4, idleMs / 4)
    this.#sweep ??= setInterval(
      () => {
        const now = performance.now()
        for (const peer of this.#peers.values()) peer.tick(now)
      },
      Math.max(5, everyMs),
    ).unref()
  }

  #rest(): void {
    clearInterval(this.#sweep)
    this.#sweep = undefined
  }

  async #dispose(): Promise<void> {
    const error = new ServiceError('closed', 'the grpc client was disposed')
    this.#disposed = error
    this.#rest()
    for (const exchange of this.#exchanges) exchange.fail(error)
    await Promise.all([...this.#peers.values()].map((peer) => peer.destroy(error)))
    this.#rest()
  }
}
