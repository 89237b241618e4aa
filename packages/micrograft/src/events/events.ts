import { randomUUID } from 'node:crypto'
import {
  ServiceError,
  type Broker,
  type CallOptions,
  type Codec,
  type Delivery,
  type Logger,
  type Metadata,
  type Schema,
  type SubscribeOptions,
  type Subscription,
} from '@micrograft/contracts'
import type { Chains } from '../middleware/chain.js'
import { validate } from '../handle/validate.js'

export interface PublishOptions extends CallOptions {
  /** Travels with the message. @default none */
  readonly metadata?: Metadata | undefined
  /** @default `application/json` */
  readonly contentType?: string | undefined
}

export interface ListenOptions extends Omit<SubscribeOptions, 'onError'> {
  /** Checks each payload before the handler gets it. */
  readonly input?: Schema | undefined
  /** Told of what the handler rejects with, of payloads that are not valid, and of what the broker fails with. @default the log */
  readonly onError?: ((error: Error, delivery: Delivery | undefined) => void) | undefined
}

/** What a subscriber knows of a message beside its payload. */
export interface EventContext {
  readonly topic: string
  readonly metadata: Metadata
  /** The same for every delivery of one message. */
  readonly id: string
  readonly redelivered: number
}

export interface EventsOptions {
  readonly broker: () => Broker
  readonly codec: (contentType: string) => Codec
  readonly chains: () => Chains
  readonly log: () => Logger
}

const json = 'application/json'

/** Publishes and subscribes values: a codec, a message id and middleware around a broker. */
export class Events implements AsyncDisposable {
  readonly #options: EventsOptions
  readonly #subscriptions = new Set<Subscription>()

  constructor(options: EventsOptions) {
    this.#options = options
  }

  /** Resolves when the broker has taken the message; see `Broker.publish`. */
  async publish(
    topic: string,
    payload: unknown,
    { metadata = {}, contentType = json, signal }: PublishOptions = {},
  ): Promise<void> {
    const { broker, codec, chains } = this.#options
    await chains().publish({ topic, metadata, payload }, async (context) => {
      const header = { ...context.metadata, 'content-type': contentType, 'micro-id': randomUUID() }
      await broker().publish(
        context.topic,
        { header, body: codec(contentType).encode(context.payload) },
        { signal },
      )
    })
  }

  /**
   * Calls `handler` with each payload. Resolving acknowledges the message; rejecting does not, and a
   * broker that can delivers it again.
   */
  async subscribe(
    topic: string,
    handler: (payload: never, context: EventContext) => unknown,
    options: ListenOptions = {},
  ): Promise<Subscription> {
    const { broker, codec, chains, log } = this.#options
    const {
      input,
      onError = (error: Error) => log().error('subscriber failed', { topic, error }),
      ...rest
    } = options
    const subscription = await broker().subscribe(
      topic,
      (delivery) =>
        chains().subscribe(delivery, async ({ message, topic: actual, redelivered }) => {
          const { 'content-type': contentType = json, 'micro-id': id = '', ...metadata } = message.header
          const payload = await validate(input, codec(contentType).decode(message.body), 'the payload')
          await handler(payload as never, { topic: actual, metadata, id, redelivered })
        }),
      { ...rest, onError },
    )
    this.#subscriptions.add(subscription)
    return {
      topic: subscription.topic,
      [Symbol.asyncDispose]: async () => {
        this.#subscriptions.delete(subscription)
        await subscription[Symbol.asyncDispose]()
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#subscriptions]
    this.#subscriptions.clear()
    const results = await Promise.allSettled(all.map((each) => each[Symbol.asyncDispose]()))
    const failed = results.find((each) => each.status === 'rejected')
    if (failed) throw ServiceError.from(failed.reason, 'unavailable')
  }
}
