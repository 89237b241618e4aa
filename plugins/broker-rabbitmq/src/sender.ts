import { ServiceError } from '@micrograft/contracts'
import type { Envelope, Publisher, PublisherProps, ReturnedMessage } from 'rabbitmq-client'
import { atMost, closeTimeoutMs, type Link } from './link.js'
import { rabbitmqError } from './rabbitmq-error.js'

export interface SenderOptions {
  readonly link: Link
  /** What must be there before a message is sent; made anew on each connection. */
  readonly topology: PublisherProps
  readonly timeoutMs: number
  readonly maxPending: number
}

/** Sends messages in the order in which it is given them, each until the server has confirmed it. */
export class Sender implements AsyncDisposable {
  readonly #options: SenderOptions
  readonly #publisher: Publisher
  /** What the server found no queue for, by correlation id. */
  readonly #returned = new Set<string>()
  #mandatory = 0
  /** Given to callers or not, as long as the server has not answered. */
  #pending = 0
  #idle: (() => void) | undefined

  constructor(options: SenderOptions) {
    this.#options = options
    this.#publisher = options.link.connection.createPublisher({ ...options.topology, confirm: true })
    this.#publisher.on('basic.return', ({ correlationId = '' }: ReturnedMessage) => {
      this.#returned.add(correlationId)
    })
  }

  /**
   * @param what For errors, e.g. `cannot publish to orders`.
   * @param envelope With `mandatory`, a message that no queue takes is refused.
   * @throws `overloaded`, `unavailable` for what was not sent, `timeout` for what was sent and not confirmed,
   *   `not-found` for what no queue takes.
   */
  send(what: string, envelope: Envelope, body: Buffer, signal?: AbortSignal): Promise<void> {
    const { link, timeoutMs, maxPending } = this.#options
    if (this.#pending >= maxPending)
      return Promise.reject(
        new ServiceError('overloaded', `${what}: ${maxPending} messages wait to be confirmed already`),
      )
    this.#pending++
    return new Promise<void>((resolve, reject) => {
      let over = false
      let sent = false
      const end = (settle: () => void) => {
        if (over) return
        over = true
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
        leave()
        settle()
        if (!sent) this.#settled()
      }
      const late = () =>
        sent
          ? new ServiceError('timeout', `${what}: RabbitMQ did not confirm it within ${timeoutMs} ms`)
          : link.unavailable()
      const timer = setTimeout(() => end(() => reject(late())), timeoutMs)
      const abort = () => end(() => reject(signal?.reason))
      signal?.addEventListener('abort', abort, { once: true })
      let leave = () => undefined as unknown
      leave = link.whenReady(() => {
        sent = true
        const answered = (settle: () => void) => {
          this.#settled()
          end(settle)
        }
        const publishing = envelope.mandatory
          ? this.#sendMandatory(what, envelope, body)
          : this.#publisher.send(envelope, body)
        publishing.then(
          () => answered(resolve),
          (error: unknown) => answered(() => reject(rabbitmqError(error, what))),
        )
      })
    })
  }

  #settled(): void {
    if (--this.#pending === 0) this.#idle?.()
  }

  async #sendMandatory(what: string, envelope: Envelope, body: Buffer): Promise<void> {
    const correlationId = String(this.#mandatory++)
    try {
      await this.#publisher.send({ ...envelope, correlationId }, body)
      // The server returns a message before it confirms it, and the library tells so in a turn of its own.
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#returned.has(correlationId))
        throw new ServiceError('not-found', `${what}: RabbitMQ has no queue that takes it`)
    } finally {
      this.#returned.delete(correlationId)
    }
  }

  /** Waits a while for what is to be confirmed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#pending > 0)
      await atMost(closeTimeoutMs, new Promise<void>((resolve) => (this.#idle = resolve)))
    await atMost(closeTimeoutMs, this.#publisher.close())
  }
}
