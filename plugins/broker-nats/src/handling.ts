import {
  ServiceError,
  type Delivery,
  type DeliveryHandler,
  type Logger,
  type SubscribeOptions,
} from '@micrograft/contracts'
import { decodeEnvelope } from './envelope.js'

/** A subscription's handler, and who is told of its errors. */
export class Handling {
  readonly topic: string
  readonly concurrency: number
  readonly #handler: DeliveryHandler
  readonly #onError: NonNullable<SubscribeOptions['onError']>

  /** @throws `invalid-option` for a concurrency below 1. */
  constructor(
    topic: string,
    handler: DeliveryHandler,
    { concurrency = 1, onError }: SubscribeOptions,
    log: Logger,
  ) {
    if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
      throw new ServiceError(
        'invalid-option',
        `concurrency is ${String(concurrency)}; give a whole number from 1 up`,
      )
    }
    this.topic = topic
    this.concurrency = concurrency
    this.#handler = handler
    this.#onError = onError ?? ((error) => log.error('subscriber failed', { topic, error }))
  }

  /** @returns how it went; `malformed` is a message that nobody can ever read. */
  async handle(bytes: Uint8Array, redelivered: number): Promise<'handled' | 'failed' | 'malformed'> {
    let delivery: Delivery
    try {
      delivery = { topic: this.topic, message: decodeEnvelope(bytes), redelivered }
    } catch (error) {
      this.tell(error as Error, undefined)
      return 'malformed'
    }
    try {
      await this.#handler(delivery)
      return 'handled'
    } catch (error) {
      this.tell(error instanceof Error ? error : ServiceError.from(error), delivery)
      return 'failed'
    }
  }

  tell(error: Error, delivery?: Delivery): void {
    try {
      this.#onError(error, delivery)
    } catch {
      // Whoever is told of errors must not make more of them.
    }
  }
}
