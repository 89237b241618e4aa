import {
  ServiceError,
  type Codec,
  type Dispatcher,
  type EndpointDefinition,
  type HandlerContext,
  type Logger,
  type Metadata,
  type ServerReply,
  type ServerRequest,
  type ServerStream,
} from '@micrograft/contracts'
import type { Chains } from '../middleware/chain.js'
import type { Endpoints, ServedEndpoint } from './endpoints.js'
import { handlerFailure } from './handler-failure.js'
import { isPromise, runHandler } from './run-handler.js'
import { validate } from './validate.js'

export interface DispatcherOptions {
  readonly service: string
  readonly endpoints: Endpoints
  readonly codec: (contentType: string) => Codec
  readonly chains: Chains
  readonly log: () => Logger
}

/** Hands requests to the handlers of one service, behind its middleware, and makes everything they throw a `ServiceError`. */
export class ServiceDispatcher implements Dispatcher {
  readonly #options: DispatcherOptions

  constructor(options: DispatcherOptions) {
    this.#options = options
  }

  kind(endpoint: string): 'unary' | 'stream' | undefined {
    const kind = this.#options.endpoints.kind(endpoint)
    return kind && (kind === 'unary' ? 'unary' : 'stream')
  }

  async unary(request: ServerRequest, body: Uint8Array): Promise<ServerReply> {
    const { definition, of } = this.#enter(request.endpoint)
    try {
      const codec = this.#options.codec(request.contentType)
      const context = new RequestContext(request)
      const { chains } = this.#options
      const result = runHandler(chains, definition, codec.decode(body), context)
      const reply = isPromise(result) ? await result : result
      return { metadata: context.sent, contentType: request.contentType, body: codec.encode(reply) }
    } catch (error) {
      throw this.#failure(error, request)
    } finally {
      of?.leave()
    }
  }

  async stream(request: ServerRequest, stream: ServerStream): Promise<Metadata> {
    const { definition, of } = this.#enter(request.endpoint)
    try {
      const codec = this.#options.codec(request.contentType)
      const context = new RequestContext(request)
      const incoming = decoded(stream.messages, codec, definition)
      const argument = definition.kind === 'server' ? await first(incoming, request.endpoint) : incoming
      const result = await this.#options.chains.handle(
        {
          service: request.service,
          endpoint: request.endpoint,
          metadata: request.metadata,
          signal: request.signal,
          stream: true,
          request: argument,
        },
        async ({ request: value }) => definition.handle(value as never, context),
      )
      if (definition.kind === 'client') await stream.send(codec.encode(result))
      else for await (const each of iterable(result, request.endpoint)) await stream.send(codec.encode(each))
      return context.sent
    } catch (error) {
      throw this.#failure(error, request)
    } finally {
      of?.leave()
    }
  }

  /** The endpoint; from here on what it is part of has the request, also while that is in middleware. */
  #enter(endpoint: string): ServedEndpoint {
    const served = this.#options.endpoints.find(endpoint)
    if (served) {
      served.of?.enter()
      return served
    }
    const { service, endpoints } = this.#options
    throw new ServiceError(
      'not-found',
      `${service} has no endpoint ${endpoint}; it has ${endpoints.names.join(', ') || 'none'}`,
      { id: service },
    )
  }

  #failure(error: unknown, { endpoint, signal }: ServerRequest): ServiceError {
    const { service, log } = this.#options
    return handlerFailure(error, { service, endpoint, signal }, log)
  }
}

const none: Metadata = Object.freeze({})

/** Reads through to the request, whose signal is only made for who looks at it. */
class RequestContext implements HandlerContext {
  readonly #request: ServerRequest
  #replyMetadata: Record<string, string> | undefined = undefined

  constructor(request: ServerRequest) {
    this.#request = request
  }

  /** What the handler wants to go back with the reply. */
  get sent(): Metadata {
    return this.#replyMetadata ?? none
  }
  get replyMetadata(): Record<string, string> {
    return (this.#replyMetadata ??= {})
  }
  get service(): string {
    return this.#request.service
  }
  get endpoint(): string {
    return this.#request.endpoint
  }
  get metadata(): Metadata {
    return this.#request.metadata
  }
  get signal(): AbortSignal {
    return this.#request.signal
  }
  get deadline(): number | undefined {
    return this.#request.deadline
  }
  get remote(): string {
    return this.#request.remote
  }
}

async function* decoded(
  messages: AsyncIterable<Uint8Array>,
  codec: Codec,
  { input }: EndpointDefinition,
): AsyncGenerator {
  for await (const bytes of messages)
    yield await validate(input, codec.decode(bytes), 'a message of the stream')
}

async function first(messages: AsyncGenerator, endpoint: string): Promise<unknown> {
  const { value, done } = (await messages.next()) as IteratorResult<unknown>
  if (done)
    throw new ServiceError('bad-request', `${endpoint} takes a request and the stream ended before one came`)
  return value
}

function iterable(result: unknown, endpoint: string): AsyncIterable<unknown> {
  if (typeof result === 'object' && result !== null && Symbol.asyncIterator in result)
    return result as AsyncIterable<unknown>
  throw new ServiceError(
    'internal',
    `the handler of ${endpoint} gave no async iterable; make it an async generator function`,
  )
}
