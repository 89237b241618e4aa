import { ServiceError, type Logger, type Subscription } from '@micrograft/contracts'
import type { LinkSubscription, NatsLink } from '@micrograft/nats-link'
import type { Handling } from './handling.js'

export interface CoreLimits {
  readonly maxPendingMessages: number
  readonly maxPendingBytes: number
}

/**
 * A subscription of core NATS. The server knows no back-pressure for one subscription: what comes
 * faster than it is handled waits here, and above the limit it is dropped, as in every NATS client.
 */
export class CoreSubscription implements Subscription {
  readonly topic: string
  readonly #link: NatsLink
  readonly #handling: Handling
  readonly #limits: CoreLimits
  readonly #log: Logger
  readonly #onEnd: (subscription: CoreSubscription) => void
  readonly #subscription: LinkSubscription
  #isTaken = false
  /** A queue whose first message is at `#head`. */
  #waiting: (Uint8Array | undefined)[] = []
  #head = 0
  #waitingBytes = 0
  #running = 0
  #dropped = 0
  #idle: (() => void) | undefined
  #ending: Promise<void> | undefined

  constructor(
    link: NatsLink,
    subject: string,
    queue: string | undefined,
    handling: Handling,
    limits: CoreLimits,
    log: Logger,
    onEnd: (subscription: CoreSubscription) => void,
  ) {
    this.topic = handling.topic
    this.#link = link
    this.#handling = handling
    this.#limits = limits
    this.#log = log
    this.#onEnd = onEnd
    this.#subscription = link.subscribe(subject, ({ data }) => this.#take(data), {
      queue,
      onError: (error) => this.#isTaken && handling.tell(error),
    })
  }

  /** Resolves when messages come. @throws `forbidden` */
  async taken(): Promise<void> {
    await this.#link.taken(this.#subscription)
    this.#isTaken = true
  }

  /** Takes no more, and resolves when all that had come is handled. */
  [Symbol.asyncDispose](): Promise<void> {
    return (this.#ending ??= this.#end())
  }

  async #end(): Promise<void> {
    await this.#link.drain(this.#subscription)
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#idle = resolve))
    this.#onEnd(this)
  }

  #take(bytes: Uint8Array): void {
    const { maxPendingMessages, maxPendingBytes } = this.#limits
    const count = this.#waiting.length - this.#head
    if (count === 0 && this.#running < this.#handling.concurrency) return this.#handle(bytes)
    if (count >= maxPendingMessages || this.#waitingBytes + bytes.byteLength > maxPendingBytes) {
      if (this.#dropped++ === 0) {
        const message = `${count} messages wait for a subscription to ${this.topic}, and more are dropped; handle them faster, add subscribers to its queue, or use JetStream`
        this.#handling.tell(new ServiceError('overloaded', message))
      }
      return
    }
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes.byteLength
  }

  readonly #next = (): void => {
    this.#running--
    while (this.#running < this.#handling.concurrency && this.#head < this.#waiting.length) {
      const bytes = this.#waiting[this.#head] as Uint8Array
      this.#waiting[this.#head++] = undefined
      if (this.#head === this.#waiting.length || this.#head > 1024) {
        this.#waiting = this.#waiting.slice(this.#head)
        this.#head = 0
      }
      this.#waitingBytes -= bytes.byteLength
      this.#handle(bytes)
    }
    if (this.#head < this.#waiting.length) return
    if (this.#dropped > 0) {
      this.#log.warn('messages were dropped', { topic: this.topic, count: this.#dropped })
      this.#dropped = 0
    }
    if (this.#running === 0) this.#idle?.()
  }

  #handle(bytes: Uint8Array): void {
    this.#running++
    void this.#handling.handle(bytes, 0).then(this.#next)
  }
}
