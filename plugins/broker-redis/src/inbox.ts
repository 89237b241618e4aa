import {
  ServiceError,
  type Delivery,
  type DeliveryHandler,
  type SubscribeOptions,
} from '@micrograft/contracts'
import type { Entry } from './entry.js'

export interface InboxOptions {
  readonly topic: string
  readonly handler: DeliveryHandler
  readonly concurrency: number
  /** Most messages taken from the server and not settled. */
  readonly size: number
  readonly onError: NonNullable<SubscribeOptions['onError']>
  /** Tells the server how it went; the message counts as held until this resolves. It never rejects. */
  readonly settle: (entry: Entry, failure: Error | undefined) => Promise<void>
}

/** @throws `invalid-option` for a concurrency that is no whole number from 1 up. */
export function requireConcurrency(concurrency: number): void {
  if (Number.isSafeInteger(concurrency) && concurrency >= 1) return
  throw new ServiceError(
    'invalid-option',
    `concurrency is ${String(concurrency)}; give a whole number from 1 up`,
  )
}

/** The messages that one subscription has taken: runs its handler on them, in order, so many at a time. */
export class Inbox {
  readonly #options: InboxOptions
  readonly #held = new Set<Entry>()
  readonly #waiting: Entry[] = []
  readonly #changed = new Set<() => void>()
  #running = 0
  #stopped = false

  constructor(options: InboxOptions) {
    this.#options = options
  }

  /** How many more may be put. */
  get room(): number {
    return this.#stopped ? 0 : Math.max(0, this.#options.size - this.#held.size)
  }

  get ids(): string[] {
    return [...this.#held].map(({ id }) => id)
  }

  put(entry: Entry): void {
    if (this.#stopped) return
    this.#held.add(entry)
    this.#waiting.push(entry)
    this.#next()
  }

  /** Resolves when half of the room is free, so that many are fetched at a time, or when it is stopped. */
  async ready(): Promise<void> {
    while (!this.#stopped && this.room * 2 < this.#options.size) {
      await new Promise<void>((resolve) => this.#changed.add(resolve))
    }
  }

  /** Starts no further message, and resolves when those under way are settled. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const entry of this.#waiting.splice(0)) this.#held.delete(entry)
    this.#tell()
    while (this.#held.size > 0) await new Promise<void>((resolve) => this.#changed.add(resolve))
  }

  #next(): void {
    while (this.#running < this.#options.concurrency) {
      const entry = this.#waiting.shift()
      if (!entry) return
      this.#running++
      void this.#handle(entry)
    }
  }

  async #handle(entry: Entry): Promise<void> {
    const { topic, handler, settle, onError } = this.#options
    const { redelivered, message } = entry
    const delivery: Delivery = { topic, message, redelivered }
    let failure: Error | undefined
    try {
      await handler(delivery)
    } catch (error) {
      failure = error instanceof Error ? error : ServiceError.from(error)
      onError(failure, delivery)
    }
    this.#running--
    this.#next()
    await settle(entry, failure)
    this.#held.delete(entry)
    this.#tell()
  }

  #tell(): void {
    for (const resolve of this.#changed) resolve()
    this.#changed.clear()
  }
}
