import {
  aCount,
  aTimer,
  requireNumbers,
  resolveOptions,
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
import {
  invalidOption,
  redisDefaults,
  redisEndpoints,
  RedisLink,
  type LinkOptions,
  type RedisOptions,
} from '@micrograft/redis-link'
import { Backlogs } from './backlogs.js'
import { fieldsOf } from './entry.js'
import { requireConcurrency } from './inbox.js'
import { QueueSubscription } from './queue-subscription.js'
import type { SubscriptionContext, SubscriptionLimits } from './subscription-context.js'
import { TopicSubscription } from './topic-subscription.js'

export interface RedisBrokerOptions extends RedisOptions {
  /** Comes before the topic in the name of its stream; brokers of one prefix hear each other. @default `micrograft:broker:` */
  readonly prefix?: string | undefined
  /** Largest message, header and body together, in bytes. @default 4_194_304 (4 MiB) */
  readonly maxMessageBytes?: number | undefined
  /** Most messages that one subscription takes from the server before they are handled. @default 64 */
  readonly prefetch?: number | undefined
  /** Most deliveries of one message; then it goes to the dead letters of its topic. @default 5 */
  readonly maxDeliveries?: number | undefined
  /** Pause before a rejected message is delivered again, in milliseconds; twice as long each further time. @default 1000 */
  readonly redeliveryDelayMs?: number | undefined
  /** How often a subscription looks for messages that are due again, in milliseconds. @default 1000 */
  readonly redeliveryCheckMs?: number | undefined
  /**
   * When the messages of a consumer that gives no sign of life go to others, in milliseconds; a handler
   * may take longer. Also the longest pause before a delivery. @default 30_000
   */
  readonly claimAfterMs?: number | undefined
  /** Most dead letters kept of one topic, about; above it the oldest go. @default 10_000 */
  readonly maxDeadLetters?: number | undefined
  /** How long messages that all queues have handled stay for subscriptions without a queue that lag, in milliseconds. @default 60_000 */
  readonly retainMs?: number | undefined
  /** How often a topic that is used is rid of what is handled, in milliseconds. @default 10_000 */
  readonly sweepMs?: number | undefined
  /** Most messages of one topic, about; above it `publish` rejects with `overloaded` until its queues have caught up. @default 1_000_000 */
  readonly maxBacklog?: number | undefined
  /** Most messages of one topic, about; above it the oldest go, handled or not (`MAXLEN ~`). 0 drops nothing. @default 0 */
  readonly maxLength?: number | undefined
}

const what = 'the redis broker'

/** Carries messages in streams, one a topic, for all processes with the same prefix. */
export async function redisBroker(
  options: RedisBrokerOptions | undefined,
  { log, signal }: ComponentContext,
): Promise<Broker> {
  const resolved = resolveOptions(
    'the options of the redis broker',
    {
      ...redisDefaults,
      prefix: 'micrograft:broker:',
      maxMessageBytes: 4_194_304,
      prefetch: 64,
      maxDeliveries: 5,
      redeliveryDelayMs: 1000,
      redeliveryCheckMs: 1000,
      claimAfterMs: 30_000,
      maxDeadLetters: 10_000,
      retainMs: 60_000,
      sweepMs: 10_000,
      maxBacklog: 1_000_000,
      maxLength: 0,
    },
    options,
  )
  requireNumbers(what, resolved, ranges)
  if (resolved.redeliveryDelayMs > resolved.claimAfterMs)
    throw invalidOption(what, 'redeliveryDelayMs is above claimAfterMs; give at most as much')
  const link: LinkOptions = { ...resolved, what, endpoints: redisEndpoints(what, resolved), log }
  return new RedisBroker(await RedisLink.open(link, signal), link, resolved, log)
}

const ranges = {
  maxMessageBytes: aCount,
  prefetch: aCount,
  maxDeliveries: aCount,
  maxDeadLetters: aCount,
  retainMs: aCount,
  maxBacklog: aCount,
  maxLength: { ...aCount, min: 0 },
  redeliveryDelayMs: aTimer,
  redeliveryCheckMs: aTimer,
  claimAfterMs: aTimer,
  sweepMs: aTimer,
}

interface Limits extends SubscriptionLimits {
  readonly prefix: string
  readonly maxMessageBytes: number
  readonly retainMs: number
  readonly sweepMs: number
  readonly maxBacklog: number
  readonly maxLength: number
}

class RedisBroker implements Broker {
  readonly name = 'redis'
  readonly capabilities: BrokerCapabilities = {
    redelivery: true,
    durable: true,
    ordered: true,
    crossProcess: true,
    deliversLater: true,
  }
  readonly #commands: RedisLink
  readonly #link: LinkOptions
  readonly #limits: Limits
  readonly #log: Logger
  readonly #backlogs: Backlogs
  readonly #subscriptions = new Map<Subscription, string>()
  readonly #timer: NodeJS.Timeout
  #disposed: Promise<void> | undefined

  constructor(commands: RedisLink, link: LinkOptions, limits: Limits, log: Logger) {
    this.#commands = commands
    this.#link = link
    this.#limits = limits
    this.#log = log
    this.#backlogs = new Backlogs({
      ...limits,
      commands,
      log,
      // Longer than any that lives is silent.
      forgetConsumersMs: Math.max(60_000, 2 * limits.claimAfterMs),
    })
    // Where all is published already, those who handle it see to it that it goes.
    this.#timer = setInterval(() => {
      for (const key of new Set(this.#subscriptions.values())) this.#backlogs.used(key, 0)
    }, limits.sweepMs).unref()
  }

  async publish(topic: string, message: BrokerMessage, { signal }: CallOptions = {}): Promise<void> {
    this.#ready(signal)
    requireTopic(topic)
    const fields = fieldsOf(message)
    const bytes = fields.reduce((sum, each) => sum + Buffer.byteLength(each), 0)
    if (bytes > this.#limits.maxMessageBytes)
      throw new ServiceError(
        'too-large',
        `a message to ${topic} has ${bytes} bytes and the broker takes ${this.#limits.maxMessageBytes}; send less, or raise maxMessageBytes`,
      )
    const key = this.#key(topic)
    this.#backlogs.admit(key)
    const { maxLength } = this.#limits
    const trim = maxLength === 0 ? [] : ['MAXLEN', '~', String(maxLength)]
    await this.#commands.run((client) => client.sendCommand(['XADD', key, ...trim, '*', ...fields]), {
      signal,
    })
    this.#backlogs.used(key, 1)
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
    const key = this.#key(topic)
    const context: SubscriptionContext = {
      topic,
      key,
      deadKey: `${key}:dead`,
      handler,
      concurrency,
      onError: this.#teller(topic, onError),
      limits: this.#limits,
      commands: this.#commands,
      link: this.#link,
    }
    const made =
      queue === undefined
        ? await TopicSubscription.open(context, signal)
        : await QueueSubscription.open(context, queue, signal)
    const subscription: Subscription = {
      topic,
      [Symbol.asyncDispose]: async () => {
        await made[Symbol.asyncDispose]()
        this.#subscriptions.delete(subscription)
      },
    }
    this.#subscriptions.set(subscription, key)
    // Closed meanwhile: nobody else would end it.
    if (this.#disposed) {
      await subscription[Symbol.asyncDispose]()
      this.#ready(signal)
    }
    return subscription
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose()
    return this.#disposed
  }

  async #dispose(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all([...this.#subscriptions.keys()].map((each) => each[Symbol.asyncDispose]()))
    await this.#commands[Symbol.asyncDispose]()
  }

  #key(topic: string): string {
    return this.#limits.prefix + topic
  }

  /** Whoever is told of errors must not make more of them. */
  #teller(topic: string, onError: SubscribeOptions['onError']): NonNullable<SubscribeOptions['onError']> {
    return (error, delivery) => {
      try {
        if (onError) onError(error, delivery)
        else this.#log.error('subscriber failed', { topic, error })
      } catch (thrown) {
        this.#log.error('onError failed', { topic, error: thrown })
      }
    }
  }

  #ready(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#disposed) throw new ServiceError('closed', `${what} was closed`)
  }
}
