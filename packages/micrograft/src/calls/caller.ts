import {
  ServiceError,
  type Client,
  type ClientReply,
  type ClientRequest,
  type Codec,
  type Metadata,
  type Node,
  type SelectOptions,
  type Selection,
  type Selector,
  type UnaryRequest,
} from '@micrograft/contracts'
import type { Chains } from '../middleware/chain.js'
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

export interface CallDefaults {
  readonly timeoutMs: number
  readonly retries: number
}

export interface CallerOptions {
  readonly service: string
  readonly defaults: CallDefaults
  readonly codec: (contentType: string) => Codec
  /** The client for a protocol, the service's own where none is named. @throws `unsupported` where there is none. */
  readonly client: (protocol: string | undefined) => Client
  /** Resolves when the service's own client is there, so that its protocol is known. */
  readonly ready: () => Promise<unknown>
  readonly selector: Selector
  readonly chains: () => Chains
  /** Where calls of the service to itself are made while it serves; `undefined` where they go to any node. */
  readonly local: () => LocalCalls | undefined
}

type Attempt<R> = (
  client: Client,
  node: Node,
  timeoutMs: number | undefined,
  signal: AbortSignal | undefined,
) => Promise<R>

const noMetadata: Metadata = Object.freeze({})
const noOptions: RequestOptions = Object.freeze({})
const json = 'application/json'
/** Of a node that was chosen and then passed over. */
const notCalled = { error: new ServiceError('canceled', 'the node was not called'), durationMs: 0 }

/** Calls other services: chooses a node, tries again, holds deadlines, goes through middleware. */
export class Caller implements AsyncDisposable {
  readonly #options: CallerOptions
  readonly #selections = new Map<string, Promise<Selection>>()

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
    const { metadata = options.parent?.metadata ?? noMetadata, signal } = options
    const local = service === this.#options.service ? this.#local(options) : undefined
    const chains = this.#options.chains()
    if (local && !chains.isAroundCalls) {
      const definition = local.find(endpoint)
      if (definition)
        return local.call(definition, endpoint, request, metadata, options, this.#again) as Promise<O>
    }
    return chains.call({ service, endpoint, metadata, signal, stream: false, request }, async (context) => {
      const definition = local?.find(endpoint)
      return definition
        ? local?.call(definition, endpoint, context.request, context.metadata, options, this.#again)
        : this.#reach(service, endpoint, context.request, context.metadata, options)
    }) as Promise<O>
  }

  /** Opens a stream to an endpoint of any streaming kind. What goes wrong shows where the stream is read or written. */
  open<I = unknown, O = unknown>(
    service: string,
    endpoint: string,
    options: RequestOptions = {},
  ): CallStream<I, O> {
    const { metadata = options.parent?.metadata ?? noMetadata, signal } = options
    const contentType = options.contentType ?? json
    const codec = this.#options.codec(contentType)
    return openStream<I, O>(codec, options.onMetadata, (messages, opened) =>
      this.#options
        .chains()
        .call({ service, endpoint, metadata, signal, stream: true, request: messages }, async (context) => {
          const stream = await this.#attempts(
            service,
            endpoint,
            { timeoutMs: 0, ...options },
            (client, node, timeoutMs, bounded) => {
              const request: ClientRequest = {
                service,
                endpoint,
                contentType,
                metadata: context.metadata,
                timeoutMs,
              }
              return client.stream(node, request, { signal: bounded })
            },
          )
          return opened(stream, context.request)
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
    for (const each of selections) if (each.status === 'fulfilled') await each.value[Symbol.asyncDispose]()
  }

  /** Where a call of the service to itself is made, unless the caller wants a certain node. */
  #local({ address, select }: RequestOptions): LocalCalls | undefined {
    return address === undefined && select === undefined ? this.#options.local() : undefined
  }

  /** Another try, on another node where there is one, after a call of the service to itself failed. */
  readonly #again: Again = (call, error, nodes) => {
    const { retries = this.#options.defaults.retries, retryIf = isRetryable, backoff, signal } = call.options
    if (retries < 1 || signal?.aborted || !retryIf(error)) return undefined
    const pause = backoffMs(1, backoff)
    const { deadline } = call
    if (deadline !== undefined && Date.now() + pause >= deadline) return undefined
    return wait(pause, joined(signal, call.options.parent)).then(() => {
      const timeoutMs = remaining(deadline, call.service, call.endpoint) ?? 0
      const options = { ...call.options, retries: retries - 1, timeoutMs }
      return this.#reach(call.service, call.endpoint, call.request, call.metadata, options, nodes())
    })
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
    const attempt: Attempt<ClientReply> = (client, node, timeoutMs, signal) => {
      const unary: UnaryRequest = { service, endpoint, contentType, metadata, timeoutMs, body }
      return client.call(node, unary, { signal })
    }
    const reply = await this.#attempts(service, endpoint, options, attempt, avoid)
    options.onMetadata?.(reply.metadata)
    return this.#options.codec(reply.contentType || contentType).decode(reply.body)
  }

  /** Runs `attempt` on one node after another, until it succeeds or another try cannot help. */
  async #attempts<R>(
    service: string,
    endpoint: string,
    options: RequestOptions,
    attempt: Attempt<R>,
    avoid: readonly Node[] = [],
  ): Promise<R> {
    const {
      retries = this.#options.defaults.retries,
      retryIf = isRetryable,
      backoff,
      address,
      select,
    } = options
    const signal = joined(options.signal, options.parent)
    const deadline = deadlineOf(options, this.#options.defaults)
    const selection = address === undefined ? await this.#select(service) : undefined
    const tried = [...avoid]
    for (let tries = 0; ; tries++) {
      signal?.throwIfAborted()
      const timeoutMs = remaining(deadline, service, endpoint)
      const node = selection
        ? this.#choose(selection, { ...select, avoid: tried })
        : fixedNode(address as string)
      const started = performance.now()
      try {
        const client = this.#options.client(node.metadata['protocol'])
        const result = await attempt(client, node, timeoutMs, signal)
        selection?.mark(node, { durationMs: performance.now() - started })
        return result
      } catch (error) {
        selection?.mark(node, { error, durationMs: performance.now() - started })
        if (tries >= retries || signal?.aborted || !retryIf(error as Error)) throw error
        tried.push(node)
        const pause = backoffMs(tries + 1, backoff)
        if (deadline !== undefined && Date.now() + pause >= deadline) throw error
        await wait(pause, signal)
      }
    }
  }

  /** A node that is called by the service's own client where there is one, else one of another protocol. */
  #choose(selection: Selection, options: SelectOptions): Node {
    const node = selection.next(options)
    const { protocol } = this.#options.client(undefined)
    if (node.metadata['protocol'] === undefined || node.metadata['protocol'] === protocol) return node
    try {
      const own = selection.next({ ...options, labels: { ...options.labels, protocol } })
      selection.mark(node, notCalled)
      return own
    } catch {
      return node
    }
  }

  #select(service: string): Promise<Selection> {
    let selection = this.#selections.get(service)
    if (!selection) {
      const { selector, ready } = this.#options
      selection = ready().then(() => selector.select(service))
      this.#selections.set(service, selection)
      selection.catch(() => this.#selections.delete(service))
    }
    return selection
  }
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

function isRetryable(error: Error): boolean {
  return error instanceof ServiceError && error.retryable
}

function joined(own: AbortSignal | undefined, parent: RequestOptions['parent']): AbortSignal | undefined {
  if (!parent) return own
  return own ? AbortSignal.any([own, parent.signal]) : parent.signal
}

/** The earlier of the call's own deadline and its parent's. */
function deadlineOf({ timeoutMs, parent }: RequestOptions, defaults: CallDefaults): number | undefined {
  const ms = timeoutMs ?? defaults.timeoutMs
  const own = ms > 0 ? Date.now() + ms : undefined
  if (parent?.deadline === undefined) return own
  return own === undefined ? parent.deadline : Math.min(own, parent.deadline)
}

function remaining(deadline: number | undefined, service: string, endpoint: string): number | undefined {
  if (deadline === undefined) return undefined
  const left = deadline - Date.now()
  if (left <= 0) throw new ServiceError('timeout', `the deadline of ${endpoint} on ${service} has passed`)
  return left
}

function fixedNode(address: string): Node {
  return { id: address, address, metadata: {} }
}
