import type { DescService } from '@bufbuild/protobuf'
import {
  aCount,
  aTimer,
  requireNumbers,
  resolveOptions,
  ServiceError,
  type ComponentContext,
  type Listener,
  type Server,
  type ServerAddress,
  type ServerContext,
  type StopOptions,
} from '@micrograft/contracts'
import { checkSwitches, grpcLimits, limitRanges, type GrpcLimits } from './grpc-limits.js'
import { Health } from './health.js'
import { reflectionEndpoints } from './reflection.js'
import { ServerConnections, type ServerConnectionsOptions } from './server-connections.js'
import { ServiceList } from './service-list.js'

export interface GrpcServerOptions extends GrpcLimits {
  /** The server's certificate chain, as PEM; with it the server speaks TLS and nothing else. @default none */
  readonly cert?: string | Buffer | undefined
  /** Its key, as PEM. @default none */
  readonly key?: string | Buffer | undefined
  /** Authorities of clients' certificates, as PEM; with it clients must have one. @default none: clients need none */
  readonly ca?: string | Buffer | readonly (string | Buffer)[] | undefined
  /** Most calls and streams under way on one connection. @default 1000 */
  readonly maxCalls?: number | undefined
  /** Most connections; further ones are closed. @default 10_000 */
  readonly maxConnections?: number | undefined
  /** Most bytes of requests of one connection that have not come whole, or that handlers work on. @default 67_108_864 (64 MiB) */
  readonly maxHeldBytes?: number | undefined
  /** Most bytes of replies that wait on one connection to be read; a call beyond that fails with `overloaded`. @default 67_108_864 (64 MiB) */
  readonly maxQueuedBytes?: number | undefined
  /** How long a new connection may take to say that it speaks HTTP/2, in milliseconds. @default 10_000 */
  readonly helloTimeoutMs?: number | undefined
  /** How often a connection is asked for a sign of life, in milliseconds. @default 30_000 */
  readonly pingIntervalMs?: number | undefined
  /** How long that sign may take before the connection is ended, in milliseconds. @default 20_000 */
  readonly pingTimeoutMs?: number | undefined
  /** Whether `grpc.health.v1.Health` is answered. @default true */
  readonly health?: boolean | undefined
  /** Whether `grpc.reflection.v1.ServerReflection`, and that of v1alpha, is answered. @default true */
  readonly reflection?: boolean | undefined
  /** Descriptors of protobuf services that the endpoints are of, for reflection. @default none */
  readonly services?: readonly DescService[] | undefined
}

const defaults = {
  ...grpcLimits,
  cert: undefined,
  key: undefined,
  ca: undefined,
  maxCalls: 1000,
  maxConnections: 10_000,
  maxHeldBytes: 67_108_864,
  maxQueuedBytes: 67_108_864,
  helloTimeoutMs: 10_000,
  pingIntervalMs: 30_000,
  pingTimeoutMs: 20_000,
  health: true,
  reflection: true,
  services: [],
}

interface Options extends ServerConnectionsOptions {
  readonly health: boolean
  readonly reflection: boolean
  readonly services: readonly DescService[]
}

const defaultGraceMs = 10_000

/**
 * Serves gRPC on a TCP port of the service: `Say.Hello` as `/<any package>.Say/Hello`. Bodies of requests
 * are Buffers.
 */
export function grpcServer(options: GrpcServerOptions | undefined, context: ComponentContext): Server {
  const what = 'the options of the grpc server'
  const resolved: Options = resolveOptions(what, defaults as never, options as object) as unknown as Options
  requireNumbers(what, resolved, {
    ...limitRanges,
    maxCalls: aCount,
    maxConnections: aCount,
    maxHeldBytes: aCount,
    maxQueuedBytes: aCount,
    helloTimeoutMs: aTimer,
    pingIntervalMs: aCount,
    pingTimeoutMs: aCount,
  })
  checkSwitches(what, resolved, ['health', 'reflection'])
  if ((resolved.cert === undefined) !== (resolved.key === undefined) || (resolved.ca && !resolved.cert))
    throw new ServiceError('invalid-option', `cert and key of ${what} go together; ca needs both`)
  return new GrpcServer(resolved, context)
}

class GrpcServer implements Server {
  readonly name = 'grpc'
  readonly protocol = 'grpc'
  readonly #options: Options
  readonly #context: ComponentContext
  readonly #connections: ServerConnections
  readonly #health: Health
  readonly #list: ServiceList
  #listener: Listener | undefined
  #started = false
  #stopping: Promise<void> | undefined

  /** @throws `invalid-option` where certificate or key are none. */
  constructor(options: Options, context: ComponentContext) {
    this.#options = options
    this.#context = context
    this.#connections = new ServerConnections(options)
    this.#list = new ServiceList(context, options.services)
    this.#health = new Health((service) => this.#list.has(service))
  }

  async start({ dispatcher, listenBytes }: ServerContext): Promise<ServerAddress> {
    if (this.#stopping) throw closedError()
    if (this.#started) throw new ServiceError('conflict', 'the grpc server was started already')
    this.#started = true
    const { health, reflection } = this.#options
    this.#connections.serve({
      service: this.#context.service,
      dispatcher,
      internal: new Map([
        ...(health ? this.#health.endpoints : []),
        ...(reflection ? reflectionEndpoints(this.#list) : []),
      ]),
    })
    try {
      const listener = await listenBytes((stream) => this.#connections.accept(stream))
      if (this.#stopping as unknown) {
        await listener[Symbol.asyncDispose]()
        throw closedError()
      }
      this.#listener = listener
      this.#connections.watchOver()
      this.#list.address = listener.address
    } catch (error) {
      this.#started = false
      throw error
    }
    const metadata = { protocol: 'grpc', transport: 'grpc', server: 'grpc' }
    return {
      address: this.#listener.address,
      metadata: this.#connections.secure ? { ...metadata, secure: 'true' } : metadata,
    }
  }

  async stop({ graceMs = defaultGraceMs, signal }: StopOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    this.#stopping ??= this.#stop(graceMs)
    if (!signal) return this.#stopping
    const cut = () => this.#connections.cut()
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
    this.#connections.cut()
    await this.#stopping
  }

  async #stop(graceMs: number): Promise<void> {
    this.#health.stop()
    // Who has come to the door is still let in, and is asked to leave like the others.
    await this.#listener?.[Symbol.asyncDispose]()
    this.#connections.close()
    await this.#connections.end(graceMs)
  }
}

function closedError(): ServiceError {
  return new ServiceError('closed', 'the grpc server was stopped')
}
