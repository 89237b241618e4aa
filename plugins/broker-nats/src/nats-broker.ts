import {
  requireNumber,
  resolveOptions,
  type Broker,
  type BrokerCapabilities,
  type BrokerMessage,
  type CallOptions,
  type ComponentContext,
  type DeliveryHandler,
  type Logger,
  type SubscribeOptions,
  type Subscription,
} from '@micrograft/contracts'
import {
  connectionDefaults,
  natsError,
  NatsLink,
  within,
  type NatsConnectionOptions,
} from '@micrograft/nats-link'
import { requireQueue } from '@micrograft/plugin-kit'
import { CoreSubscription, type CoreLimits } from './core-subscription.js'
import { encodeEnvelope } from './envelope.js'
import { Handling } from './handling.js'
import { jetStreamSettings, type JetStreamOptions } from './jetstream-options.js'
import { QueueSubscription } from './queue-subscription.js'
import { consumerName, Queues } from './queues.js'
import { requirePrefix, subjectOf } from './topic.js'

export interface NatsBrokerOptions extends NatsConnectionOptions {
  /** What subjects begin with, e.g. `shop.eu`; peers must have the same. @default nothing, and `micrograft` with JetStream that is told no subjects */
  readonly prefix?: string | undefined
  /** Keeps messages for queues; `true` with the defaults. @default false */
  readonly jetstream?: boolean | JetStreamOptions | undefined
  /** Most messages that wait for one subscription of core NATS; those above, or above `maxPendingBytes`, are dropped. @default 65_536 */
  readonly maxPendingMessages?: number | undefined
}

const defaults = {
  ...connectionDefaults,
  prefix: undefined,
  jetstream: false as boolean | JetStreamOptions,
  maxPendingMessages: 65_536,
}

/** Publishes on NATS, as go-micro's nats broker does, or with JetStream for queues that lose nothing. */
export async function natsBroker(
  options: NatsBrokerOptions | undefined,
  context: ComponentContext,
): Promise<Broker> {
  const resolved = resolveOptions('the options of the nats broker', defaults, options)
  const { prefix, jetstream, maxPendingMessages, ...connection } = resolved
  const given = jetstream === true ? {} : jetstream
  const chosen: string = prefix ?? (given && given.subjects === undefined ? 'micrograft' : '')
  requirePrefix(chosen)
  requireNumber('maxPendingMessages of the nats broker', maxPendingMessages, { min: 1, max: Infinity })
  const settings = given ? jetStreamSettings(given, chosen) : undefined
  const { service, log, signal } = context
  const link = await NatsLink.open(connection, { what: 'the nats broker', service, log, signal })
  try {
    const queues = settings && (await Queues.open(link, settings, signal))
    const limits = { maxPendingMessages, maxPendingBytes: connection.maxPendingBytes }
    return new NatsBroker(link, queues, chosen, limits, log)
  } catch (error) {
    await link.close()
    throw error
  }
}

class NatsBroker implements Broker {
  readonly name = 'nats'
  readonly capabilities: BrokerCapabilities
  readonly #link: NatsLink
  readonly #queues: Queues | undefined
  readonly #prefix: string
  readonly #limits: CoreLimits
  readonly #log: Logger
  readonly #subscriptions = new Set<Subscription>()
  #closing: Promise<void> | undefined

  constructor(link: NatsLink, queues: Queues | undefined, prefix: string, limits: CoreLimits, log: Logger) {
    this.#link = link
    this.#queues = queues
    this.#prefix = prefix
    this.#limits = limits
    this.#log = log
    const kept = queues !== undefined
    this.capabilities = Object.freeze({
      redelivery: kept,
      durable: kept,
      ordered: true,
      crossProcess: true,
      deliversLater: true,
    })
  }

  async publish(topic: string, message: BrokerMessage, { signal }: CallOptions = {}): Promise<void> {
    this.#ready(signal)
    const subject = this.#subject(topic)
    const data = encodeEnvelope(topic, message)
    if (this.#queues) return this.#queues.publish(subject, data, signal)
    return this.#link.publish(subject, data, {}, signal)
  }

  async subscribe(
    topic: string,
    handler: DeliveryHandler,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    const { queue, signal } = options
    this.#ready(signal)
    const subject = this.#subject(topic)
    requireQueue(queue)
    const handling = new Handling(topic, handler, options, this.#log)
    const opening = this.#queues
      ? this.#subscribeQueue(this.#queues, subject, queue, handling)
      : this.#subscribeCore(subject, queue, handling)
    const drop = (): void =>
      void opening.then(
        (late) => late[Symbol.asyncDispose](),
        () => undefined,
      )
    try {
      return await within(opening, signal, drop)
    } catch (error) {
      if (signal?.aborted) throw error
      throw natsError(error, `cannot subscribe to ${topic}`)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#closing ??= this.#end())
  }

  async #end(): Promise<void> {
    await Promise.all([...this.#subscriptions].map((each) => each[Symbol.asyncDispose]()))
    await this.#link.close()
  }

  async #subscribeCore(
    subject: string,
    queue: string | undefined,
    handling: Handling,
  ): Promise<Subscription> {
    const subscription = new CoreSubscription(
      this.#link,
      subject,
      queue,
      handling,
      this.#limits,
      this.#log,
      (ended) => this.#subscriptions.delete(ended),
    )
    return this.#opened(subscription)
  }

  async #subscribeQueue(
    queues: Queues,
    subject: string,
    queue: string | undefined,
    handling: Handling,
  ): Promise<Subscription> {
    const name = consumerName(subject, queue)
    const shared = queue !== undefined
    await queues.ensure(subject, name, shared)
    const subscription = new QueueSubscription(
      this.#link,
      queues,
      subject,
      name,
      shared,
      handling,
      this.#log,
      (ended) => this.#subscriptions.delete(ended),
    )
    return this.#opened(subscription)
  }

  async #opened(subscription: CoreSubscription | QueueSubscription): Promise<Subscription> {
    this.#subscriptions.add(subscription)
    try {
      await subscription.taken()
      if (this.#closing) throw this.#link.closed()
      return subscription
    } catch (error) {
      void subscription[Symbol.asyncDispose]()
      throw error
    }
  }

  #subject(topic: string): string {
    const subject = subjectOf(topic, this.#prefix)
    this.#queues?.require(subject)
    return subject
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closing) throw this.#link.closed()
    this.#link.ready()
  }
}
