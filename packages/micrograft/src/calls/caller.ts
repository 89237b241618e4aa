import { ServiceError, type Metadata } from '@micrograft/contracts'
import type { Chains } from '../middleware/chain.js'
import { deadlinePassed, isRetryable, joined } from './attempts.js'
import { backoffMs, wait } from './backoff.js'
import type {
  CallStream,
  RequestOptions,
  ServiceCalls,
  ServiceChannels,
  ServiceStreams,
} from './caller-types.js'
import { openStream } from './call-stream.js'
import type { Again } from './local-call.js'
import type { LocalCalls } from './local-calls.js'
import { json, NetworkCalls, type NetworkCallsOptions } from './network-calls.js'
import { serviceCalls } from './service-calls.js'

export interface CallerOptions extends NetworkCallsOptions {
  readonly service: string
  readonly chains: () => Chains
  /** Where calls of the service to itself are made while it serves; `undefined` where they go to any node. */
  readonly local: () => LocalCalls | undefined
}

const noMetadata: Metadata = Object.freeze({})
const noOptions: RequestOptions = Object.freeze({})

/** Calls services: through middleware, and then in this process or over the network. */
export class Caller implements AsyncDisposable {
  readonly #options: CallerOptions
  readonly #network: NetworkCalls

  constructor(options: CallerOptions) {
    this.#options = options
    this.#network = new NetworkCalls(options)
  }

  /**
   * Calls a unary endpoint.
   *
   * @param endpoint `Type.Method`
   * @throws what the handler answered; `not-found` and `unavailable` where no node is there;
   *   `timeout` at the deadline; the signal's reason.
   */
  call<O = unknown>(
    service: string,
    endpoint: string,
    request: unknown,
    options: RequestOptions = noOptions,
  ): Promise<O> {
    const chains = this.#options.chains()
    const reply = chains.isAroundCalls
      ? this.#behind(chains, service, endpoint, request, options)
      : this.#go(service, endpoint, request, metadataOf(options), options)
    return reply as Promise<O>
  }

  /** Opens a stream to an endpoint of any streaming kind. What goes wrong shows where the stream is read or written. */
  open<I = unknown, O = unknown>(
    service: string,
    endpoint: string,
    options: RequestOptions = {},
  ): CallStream<I, O> {
    const { signal } = options
    const metadata = metadataOf(options)
    const contentType = options.contentType ?? json
    const codec = () => this.#options.codec(contentType)
    return openStream<I, O>(codec, options.onMetadata, (messages, opened) =>
      this.#options
        .chains()
        .call({ service, endpoint, metadata, signal, stream: true, request: messages }, async (context) => {
          const about = { service, endpoint, contentType, metadata: context.metadata }
          return opened(
            await this.#network.open(about, { ...options, timeoutMs: options.timeoutMs ?? 0 }),
            context.request,
          )
        }),
    )
  }

  /** Calls an endpoint that takes one request and gives a stream. */
  stream<O = unknown>(
    service: string,
    endpoint: string,
    request: unknown,
    options?: RequestOptions,
  ): AsyncIterable<O> {
    const open = () => this.open<unknown, O>(service, endpoint, options)
    return {
      async *[Symbol.asyncIterator]() {
        const stream = open()
        try {
          await stream.send(request)
          await stream.end()
          yield* stream
        } finally {
          await stream[Symbol.asyncDispose]()
        }
      },
    }
  }

  /** Sends a stream to an endpoint that gives one reply. */
  async send<O = unknown>(
    service: string,
    endpoint: string,
    requests: AsyncIterable<unknown> | Iterable<unknown>,
    options?: RequestOptions,
  ): Promise<O> {
    const stream = this.open<unknown, O>(service, endpoint, options)
    try {
      const sent = (async () => {
        for await (const each of requests) await stream.send(each)
        await stream.end()
      })()
      // A peer that answers before all is sent ends the sending.
      sent.catch(() => undefined)
      for await (const reply of stream) return reply
      await sent
      throw new ServiceError('protocol', `${service} ended ${endpoint} without a reply`)
    } finally {
      await stream[Symbol.asyncDispose]()
    }
  }

  /** The endpoints of a service that give one reply, typed by its definition: `of<Greeter>('greeter').Say.Hello({ … })`. */
  of<S>(service: string): ServiceCalls<S> {
    return serviceCalls((endpoint, request: unknown, options?: RequestOptions) =>
      isStream(request)
        ? this.send(service, endpoint, request, options)
        : this.call(service, endpoint, request, options),
    ) as ServiceCalls<S>
  }

  /** Those that give a stream: `for await (const n of streamsOf<Greeter>('greeter').Say.Count({ to: 3 }))`. */
  streamsOf<S>(service: string): ServiceStreams<S> {
    return serviceCalls((endpoint, request: unknown, options?: RequestOptions) =>
      this.stream(service, endpoint, request, options),
    ) as ServiceStreams<S>
  }

  /** Those that stream both ways. */
  channelsOf<S>(service: string): ServiceChannels<S> {
    return serviceCalls((endpoint, options?: RequestOptions) =>
      this.open(service, endpoint, options),
    ) as ServiceChannels<S>
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#network[Symbol.asyncDispose]()
  }

  /** Another try, on another node where there is one, after a call of the service to itself failed. */
  readonly #again: Again = (call, error, nodes) => {
    const { retries = this.#options.defaults.retries, retryIf = isRetryable, backoff, signal } = call.options
    if (retries < 1 || signal?.aborted || !retryIf(error)) return undefined
    const pause = backoffMs(1, backoff)
    const { deadline } = call
    if (deadline !== undefined && Date.now() + pause >= deadline) return undefined
    return wait(pause, joined(call.options)).then(() => {
      const timeoutMs = deadline === undefined ? 0 : deadline - Date.now()
      if (timeoutMs < 0) throw deadlinePassed(call.endpoint, call.service)
      const options = { ...call.options, retries: retries - 1, timeoutMs }
      return this.#network.call(call.service, call.endpoint, call.request, call.metadata, options, nodes())
    })
  }

  #behind(
    chains: Chains,
    service: string,
    endpoint: string,
    request: unknown,
    options: RequestOptions,
  ): Promise<unknown> {
    const { signal } = options
    const context = { service, endpoint, metadata: metadataOf(options), signal, stream: false, request }
    try {
      return chains.call(context, ({ request: value, metadata }) =>
        this.#go(service, endpoint, value, metadata, options),
      )
    } catch (error) {
      // Of middleware that is no async function.
      return Promise.reject(error)
    }
  }

  /** Calls the service itself here where it can, unless the caller wants a certain node. */
  #go(
    service: string,
    endpoint: string,
    request: unknown,
    metadata: Metadata,
    options: RequestOptions,
  ): Promise<unknown> {
    if (service === this.#options.service && options.address === undefined && options.select === undefined) {
      const local = this.#options.local()
      const served = local?.find(endpoint)
      if (served && local) return local.call(served, endpoint, request, metadata, options, this.#again)
    }
    return this.#network.call(service, endpoint, request, metadata, options)
  }
}

function metadataOf({ metadata, parent }: RequestOptions): Metadata {
  return metadata ?? parent?.metadata ?? noMetadata
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}
