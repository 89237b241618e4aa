import {
  ServiceError,
  type ClientReply,
  type ClientRequest,
  type ClientStream,
  type Codec,
  type Metadata,
  type Node,
  type Selection,
  type Selector,
} from '@micrograft/contracts'
import type { Chains } from '../middleware/chain.js'
import { Attempts, deadlinePassed, isRetryable, joined, type CallDefaults, type Clients } from './attempts.js'
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
import { serviceCalls } from './service-calls.js'

export interface CallerOptions {
  readonly service: string
  readonly defaults: CallDefaults
  readonly codec: (contentType: string) => Codec
  readonly client: Clients
  /** Resolves when the service's own client is there, so that its protocol is known. */
  readonly ready: () => Promise<unknown>
  readonly selector: Selector
  readonly chains: () => Chains
  /** Where calls of the service to itself are made while it serves; `undefined` where they go to any node. */
  readonly local: () => LocalCalls | undefined
}

const noMetadata: Metadata = Object.freeze({})
const noOptions: RequestOptions = Object.freeze({})
const json = 'application/json'

/** Calls other services: chooses a node, tries again, holds deadlines, goes through middleware. */
export class Caller implements AsyncDisposable {
  readonly #options: CallerOptions
  readonly #selections = new Map<string, Promise<Selection>>()
  /** Those that are there: a call need not wait a turn for them. */
  readonly #selected = new Map<string, Selection>()

  constructor(options: CallerOptions) {
    this.#options = options
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
    const codec = this.#options.codec(contentType)
    return openStream<I, O>(codec, options.onMetadata, (messages, opened) =>
      this.#options
        .chains()
        .call({ service, endpoint, metadata, signal, stream: true, request: messages }, async (context) => {
          const about = { service, endpoint, contentType, metadata: context.metadata }
          return opened(await this.#openOn(about, { timeoutMs: 0, ...options }), context.request)
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
    const selections = await Promise.allSettled(this.#selections.values())
    this.#selections.clear()
    this.#selected.clear()
    for (const each of selections) if (each.status === 'fulfilled') await each.value[Symbol.asyncDispose]()
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
      return this.#reach(call.service, call.endpoint, call.request, call.metadata, options, nodes())
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
    return chains.call(context, ({ request: value, metadata }) =>
      this.#go(service, endpoint, value, metadata, options),
    )
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
    return this.#reach(service, endpoint, request, metadata, options)
  }

  /** Calls a node over a network. @param avoid Nodes that are called only where there is no other. */
  async #reach(
    service: string,
    endpoint: string,
    request: unknown,
    metadata: Metadata,
    options: RequestOptions,
    avoid?: readonly Node[],
  ): Promise<unknown> {
    const contentType = options.contentType ?? json
    const body = this.#options.codec(contentType).encode(request)
    const attempts = this.#attempts(service, endpoint, options, avoid)
    let selection = this.#selected.get(service)
    const isKnown = selection !== undefined || options.address !== undefined
    if (options.address !== undefined) selection = undefined
    else selection ??= await this.#select(service)
    for (;;) {
      const client = attempts.next(selection, !isKnown)
      const { node, timeoutMs, callOptions } = attempts
      let reply: ClientReply
      try {
        reply = await client.call(
          node,
          { service, endpoint, contentType, metadata, timeoutMs, body },
          callOptions,
        )
      } catch (error) {
        await attempts.failed(error)
        continue
      }
      attempts.succeeded()
      options.onMetadata?.(reply.metadata)
      return this.#options.codec(reply.contentType || contentType).decode(reply.body)
    }
  }

  async #openOn(about: Omit<ClientRequest, 'timeoutMs'>, options: RequestOptions): Promise<ClientStream> {
    const attempts = this.#attempts(about.service, about.endpoint, options, undefined)
    const selection = options.address === undefined ? await this.#select(about.service) : undefined
    for (;;) {
      const client = attempts.next(selection, true)
      const { node, timeoutMs, callOptions } = attempts
      try {
        const stream = await client.stream(node, { ...about, timeoutMs }, callOptions)
        attempts.succeeded()
        return stream
      } catch (error) {
        await attempts.failed(error)
      }
    }
  }

  #attempts(
    service: string,
    endpoint: string,
    options: RequestOptions,
    avoid: readonly Node[] | undefined,
  ): Attempts {
    const { defaults, client } = this.#options
    return new Attempts(service, endpoint, options, defaults, client, avoid)
  }

  /** The nodes of a service, once they are known. */
  #select(service: string): Promise<Selection> {
    let selection = this.#selections.get(service)
    if (!selection) {
      const { selector, ready } = this.#options
      selection = ready().then(() => selector.select(service))
      this.#selections.set(service, selection)
      selection.then(
        (known) => this.#selected.set(service, known),
        () => this.#selections.delete(service),
      )
    }
    return selection
  }
}

function metadataOf({ metadata, parent }: RequestOptions): Metadata {
  return metadata ?? parent?.metadata ?? noMetadata
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}
