import {
  ServiceError,
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
import { requireQueue, requireTopic } from '@micrograft/plugin-kit'
import { Link } from './link.js'
import { encodeHeaders } from './message.js'
import { requireConcurrency } from './names.js'
import {
  addressLabel,
  connectionOptions,
  resolveSettings,
  type RabbitmqBrokerOptions,
  type Settings,
} from './rabbitmq-options.js'
import { RabbitmqSubscription } from './rabbitmq-subscription.js'
import { Retries } from './retries.js'
import { Sender } from './sender.js'

/** A broker on RabbitMQ: a topic exchange, publisher confirms, durable queues, retries and dead letters. */
export async function rabbitmqBroker(
  options: RabbitmqBrokerOptions | undefined,
  { service, log, signal }: ComponentContext,
): Promise<Broker> {
  const settings = resolveSettings(options)
  const connection = connectionOptions(settings)
  const label = addressLabel(settings)
  const link = (role: string) =>
    new Link({ connection: { ...connection, connectionName: `${service} ${role}` }, label, log })
  // A server that is short of memory or disk stops reading from those who publish: acknowledgements
  // must not wait behind messages.
  const [publishing, consuming] = [link('publishes'), link('consumes')]
  try {
    await Promise.all([publishing.open(signal), consuming.open(signal)])
  } catch (error) {
    await Promise.all([publishing[Symbol.asyncDispose](), consuming[Symbol.asyncDispose]()])
    throw error
  }
  return new RabbitmqBroker(settings, publishing, consuming, log)
}

class RabbitmqBroker implements Broker {
  readonly name = 'rabbitmq'
  readonly capabilities: BrokerCapabilities = {
    redelivery: true,
    durable: true,
    ordered: true,
    crossProcess: true,
    deliversLater: true,
  }
  readonly #settings: Settings
  readonly #publishing: Link
  readonly #consuming: Link
  readonly #log: Logger
  readonly #sender: Sender
  readonly #retries: Retries
  readonly #subscriptions = new Set<RabbitmqSubscription>()
  #disposed: Promise<void> | undefined

  constructor(settings: Settings, publishing: Link, consuming: Link, log: Logger) {
    this.#settings = settings
    this.#publishing = publishing
    this.#consuming = consuming
    this.#log = log
    this.#sender = new Sender({
      link: publishing,
      timeoutMs: settings.publishTimeoutMs,
      maxPending: settings.maxPending,
      topology: { exchanges: [{ exchange: settings.exchange, type: 'topic', durable: true }] },
    })
    this.#retries = new Retries(settings, publishing)
    consuming.connection.on('connection', () => {
      for (const each of this.#subscriptions) each.tellNextFailure()
    })
  }

  /** An abort leaves open whether the message goes out. */
  async publish(topic: string, { header, body }: BrokerMessage, { signal }: CallOptions = {}): Promise<void> {
    this.#ready(signal)
    requireTopic(topic)
    const { exchange, maxMessageBytes } = this.#settings
    if (body.byteLength > maxMessageBytes)
      throw new ServiceError(
        'too-large',
        `a message for ${topic} has ${body.byteLength} bytes and the broker takes ${maxMessageBytes}`,
      )
    await this.#sender.send(
      `cannot publish to ${topic}`,
      { exchange, routingKey: topic, headers: encodeHeaders(topic, header), durable: true },
      Buffer.from(body.buffer, body.byteOffset, body.byteLength),
      signal,
    )
  }

  async subscribe(
    topic: string,
    handler: DeliveryHandler,
    { queue, concurrency = 1, onError, signal }: SubscribeOptions = {},
  ): Promise<Subscription> {
    this.#ready(signal)
    requireTopic(topic)
    requireQueue(queue)
    requireConcurrency(concurrency)
    const { connectTimeoutMs } = this.#settings
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(this.#consuming.unavailable()), connectTimeoutMs)
    const subscription = new RabbitmqSubscription({
      topic,
      queue,
      concurrency,
      handler,
      onError: onError ?? ((error) => this.#log.error('subscriber failed', { topic, error })),
      settings: this.#settings,
      connection: this.#consuming.connection,
      retries: this.#retries,
      onEnd: (ended) => this.#subscriptions.delete(ended),
    })
    this.#subscriptions.add(subscription)
    try {
      await subscription.opened(signal ? AbortSignal.any([signal, late.signal]) : late.signal)
    } finally {
      clearTimeout(timer)
    }
    return subscription
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#disposed ??= this.#dispose())
  }

  async #dispose(): Promise<void> {
    await Promise.all([...this.#subscriptions].map((each) => each[Symbol.asyncDispose]()))
    await Promise.all([this.#retries[Symbol.asyncDispose](), this.#sender[Symbol.asyncDispose]()])
    await Promise.all([this.#publishing[Symbol.asyncDispose](), this.#consuming[Symbol.asyncDispose]()])
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#disposed) throw new ServiceError('closed', 'the rabbitmq broker was closed')
  }
}
