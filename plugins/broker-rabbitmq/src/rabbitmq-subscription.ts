import { ServiceError, type Delivery, type DeliveryHandler, type Subscription } from '@micrograft/contracts'
import { abortable } from '@micrograft/plugin-kit'
import { ConsumerStatus, type AsyncMessage, type Connection, type Consumer } from 'rabbitmq-client'
import { atMost, closeTimeoutMs } from './link.js'
import { decodeMessage } from './message.js'
import { queueName } from './names.js'
import { rabbitmqError } from './rabbitmq-error.js'
import type { Settings } from './rabbitmq-options.js'
import type { Retries } from './retries.js'

export interface RabbitmqSubscriptionOptions {
  readonly topic: string
  readonly queue: string | undefined
  readonly concurrency: number
  readonly handler: DeliveryHandler
  readonly onError: (error: Error, delivery: Delivery | undefined) => void
  readonly settings: Settings
  readonly connection: Connection
  readonly retries: Retries
  readonly onEnd: (subscription: RabbitmqSubscription) => void
}

/** One consumer. The library makes it again, with its queue, on each new connection. */
export class RabbitmqSubscription implements Subscription {
  readonly topic: string
  readonly #options: RabbitmqSubscriptionOptions
  /** Of the server; without a queue name each connection has another. */
  readonly #queueName: string | undefined
  readonly #consumer: Consumer
  readonly #ended = new AbortController()
  #running = 0
  #idle: (() => void) | undefined
  #disposed: Promise<void> | undefined

  constructor(options: RabbitmqSubscriptionOptions) {
    this.topic = options.topic
    this.#options = options
    const { connection, concurrency, queue, topic, settings } = options
    if (queue !== undefined) this.#queueName = queueName(settings.exchange, queue, topic)
    this.#consumer = connection.createConsumer(
      { ...this.#queue(), concurrency, qos: { prefetchCount: concurrency } },
      (message) => this.#handle(message),
    )
    this.#consumer.on('error', (error: unknown) => {
      if ((error as { code?: string }).code === 'CANCEL_FORCED') this.tellNextFailure()
      if (!this.#ended.signal.aborted)
        this.#tell(rabbitmqError(error, `the subscription to ${this.topic} failed`), undefined)
    })
  }

  /**
   * The library tries again and again to make the consumer and tells of the first failure in a row, as
   * which it counts what went before: that the server ended it, or that the connection was lost.
   */
  tellNextFailure(): void {
    ;(this.#consumer as unknown as { _retryCount: number })._retryCount = 1
  }

  /** Resolves when messages come. @throws what the server answers, `unavailable`, or the signal's reason. */
  async opened(signal: AbortSignal): Promise<void> {
    try {
      const ready = new Promise<void>((resolve, reject) => {
        this.#consumer.once('ready', resolve)
        this.#consumer.once('error', (error: unknown) =>
          reject(rabbitmqError(error, `cannot subscribe to ${this.topic}`)),
        )
      })
      await abortable(ready, signal)
    } catch (error) {
      void this[Symbol.asyncDispose]()
      throw error
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#disposed ??= this.#dispose())
  }

  async #dispose(): Promise<void> {
    this.#ended.abort()
    const closed = this.#consumer.close()
    closed.catch(() => undefined)
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#idle = resolve))
    await atMost(closeTimeoutMs, closed)
    this.#options.onEnd(this)
  }

  #queue(): object {
    const { topic, settings } = this.#options
    const { exchange } = settings
    const queue = this.#queueName
    const exchanges = [{ exchange, type: 'topic', durable: true }]
    // The server names it anew on each connection: the old one may be locked for a while yet.
    if (queue === undefined)
      return {
        exchanges,
        queueOptions: { exclusive: true, autoDelete: true },
        queueBindings: [{ exchange, routingKey: topic }],
      }
    return {
      exchanges,
      queue,
      queueOptions: durableQueue(settings),
      queueBindings: [{ exchange, queue, routingKey: topic }],
    }
  }

  async #handle(message: AsyncMessage): Promise<ConsumerStatus> {
    if (this.#ended.signal.aborted) return ConsumerStatus.REQUEUE
    this.#running++
    try {
      const delivery = decodeMessage(this.topic, message)
      try {
        await this.#options.handler(delivery)
        return ConsumerStatus.ACK
      } catch (thrown) {
        const error = thrown instanceof Error ? thrown : ServiceError.from(thrown)
        this.#tell(error, delivery)
        return await this.#putAside(message, delivery, error)
      }
    } finally {
      if (--this.#running === 0) this.#idle?.()
    }
  }

  async #putAside(message: AsyncMessage, delivery: Delivery, error: Error): Promise<ConsumerStatus> {
    const { connection, retries, settings } = this.#options
    const { redelivered } = delivery
    try {
      // The library forgets a queue until it has made it again, and waits for this handler before it does.
      // The server drops what goes back to a queue that is not there.
      if (this.#queueName !== undefined && this.#consumer.queue === '')
        await connection.queueDeclare({ queue: this.#queueName, ...durableQueue(settings) })
      const queue = this.#queueName ?? this.#consumer.queue
      await retries.put({ message, queue, topic: this.topic, redelivered, error })
      return ConsumerStatus.ACK
    } catch (failure) {
      this.#tell(rabbitmqError(failure, `cannot put a message of ${this.topic} aside`), delivery)
      await pauseUnless(this.#ended.signal, settings.retryMs)
      return ConsumerStatus.REQUEUE
    }
  }

  #tell(error: Error, delivery: Delivery | undefined): void {
    try {
      this.#options.onError(error, delivery)
    } catch {
      // Whoever is told of errors must not make more of them.
    }
  }
}

/** How a queue with a name is made, the same each time: the server refuses another way. */
function durableQueue({ queueType }: Settings): { durable: true; arguments?: { 'x-queue-type': 'quorum' } } {
  return { durable: true, ...(queueType === 'quorum' && { arguments: { 'x-queue-type': queueType } }) }
}

function pauseUnless(signal: AbortSignal, ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve()
      return
    }
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
  })
}
