import type {
  ClientReply,
  ClientRequest,
  ClientStream,
  Codec,
  Metadata,
  Node,
  Selection,
  Selector,
} from '@micrograft/contracts'
import { Attempts, type CallDefaults, type Clients } from './attempts.js'
import type { RequestOptions } from './caller-types.js'

export interface NetworkCallsOptions {
  readonly defaults: CallDefaults
  readonly codec: (contentType: string) => Codec
  readonly client: Clients
  /** Resolves when the service's own client is there, so that its protocol is known. */
  readonly ready: () => Promise<unknown>
  readonly selector: Selector
}

/** Content type of a request that names none. */
export const json = 'application/json'

/** Calls nodes of services: chooses one, tries again on another, holds deadlines. */
export class NetworkCalls implements AsyncDisposable {
  readonly #options: NetworkCallsOptions
  readonly #selections = new Map<string, Promise<Selection>>()
  /** Those that are there: a call need not wait a turn for them. */
  readonly #selected = new Map<string, Selection>()

  constructor(options: NetworkCallsOptions) {
    this.#options = options
  }

  /** @param avoid Nodes that are called only where there is no other. */
  async call(
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

  /** Opens a stream; only that is tried again. */
  async open(about: Omit<ClientRequest, 'timeoutMs'>, options: RequestOptions): Promise<ClientStream> {
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

  async [Symbol.asyncDispose](): Promise<void> {
    const known = [...this.#selected]
    for (const [service, each] of this.#selections)
      // One that is not there yet may never be.
      if (!this.#selected.has(service))
        each.then(async (late) => late[Symbol.asyncDispose]()).catch(() => undefined)
    this.#selections.clear()
    this.#selected.clear()
    await Promise.all(known.map(([, each]) => each[Symbol.asyncDispose]()))
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
