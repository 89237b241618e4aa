import {
  ServiceError,
  type Delivery,
  type DeliveryHandler,
  type Logger,
  type SubscribeOptions,
} from '@micrograft/contracts'

/** Most messages that wait for one subscription. */
export const defaultInboxSize = 1024

interface Waiting {
  readonly delivery: Delivery
  readonly done: (error: Error | undefined) => void
}

/**
 * Runs a subscription's handler on its messages: in order, so many at a time, and never more waiting
 * than there is room for.
 */
export class Inbox implements AsyncDisposable {
  readonly #handler: DeliveryHandler
  readonly #concurrency: number
  readonly #size: number
  readonly #onError: NonNullable<SubscribeOptions['onError']>
  readonly #waiting: Waiting[] = []
  #running = 0
  #closed = false
  #idle: (() => void) | undefined

  /** @throws `invalid-option` for a concurrency below 1. */
  constructor(
    handler: DeliveryHandler,
    { concurrency = 1, onError }: SubscribeOptions,
    size: number,
    log: Logger,
  ) {
    if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
      throw new ServiceError(
        'invalid-option',
        `concurrency is ${String(concurrency)}; give a whole number from 1 up`,
      )
    }
    this.#handler = handler
    this.#concurrency = concurrency
    this.#size = size
    this.#onError =
      onError ?? ((error, delivery) => log.error('subscriber failed', { topic: delivery?.topic, error }))
  }

  /**
   * Queues a delivery. `done` is told when the handler has ended, with what it failed with.
   * @throws `overloaded` where there is no room, `closed`.
   */
  put(delivery: Delivery, done: (error: Error | undefined) => void = () => undefined): void {
    if (this.#closed) throw new ServiceError('closed', `the subscription to ${delivery.topic} has ended`)
    if (this.#waiting.length >= this.#size) {
      throw new ServiceError(
        'overloaded',
        `${this.#size} messages wait for a subscription to ${delivery.topic}; handle them faster, or add subscribers to its queue`,
      )
    }
    this.#waiting.push({ delivery, done })
    this.#next()
  }

  /** Takes no more, and resolves when what was taken is handled. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    if (this.#running === 0 && this.#waiting.length === 0) return
    await new Promise<void>((resolve) => {
      const before = this.#idle
      this.#idle = () => {
        before?.()
        resolve()
      }
    })
  }

  #next(): void {
    while (this.#running < this.#concurrency) {
      const next = this.#waiting.shift()
      if (!next) break
      this.#running++
      void this.#handle(next)
    }
    if (this.#running === 0 && this.#waiting.length === 0) this.#idle?.()
  }

  async #handle({ delivery, done }: Waiting): Promise<void> {
    let failure: Error | undefined
    try {
      await this.#handler(delivery)
    } catch (error) {
      failure = error instanceof Error ? error : ServiceError.from(error)
      this.#tell(failure, delivery)
    }
    done(failure)
    this.#running--
    this.#next()
  }

  #tell(error: Error, delivery: Delivery): void {
    try {
      this.#onError(error, delivery)
    } catch {
      // Whoever is told of errors must not make more of them.
    }
  }
}
