import { ServiceError } from '@micrograft/contracts'
import type { Envelope, Publisher, PublisherProps } from 'rabbitmq-client'
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
  #pending = 0
  #idle: (() => void) | undefined

  constructor(options: SenderOptions) {
    this.#options = options
    this.#publisher = options.link.connection.createPublisher({ ...options.topology, confirm: true })
  }

  /**
   * @param what For errors, e.g. `cannot publish to orders`.
   * @throws `overloaded`, `unavailable` for what was not sent, `timeout` for what was sent and not confirmed.
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
        if (--this.#pending === 0) this.#idle?.()
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
        this.#publisher.send(envelope, body).then(
          () => end(resolve),
          (error: unknown) => end(() => reject(rabbitmqError(error, what))),
        )
      })
    })
  }

  /** Waits a while for what is to be confirmed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#pending > 0)
      await atMost(closeTimeoutMs, new Promise<void>((resolve) => (this.#idle = resolve)))
    await atMost(closeTimeoutMs, this.#publisher.close())
  }
}
