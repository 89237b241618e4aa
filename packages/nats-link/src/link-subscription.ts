import type { ServiceError } from '@micrograft/contracts'
import type { Subscription } from '@nats-io/transport-node'

/** A subscription of a link, which outlives that of the client library: that one ends where the server refuses it. */
export class LinkSubscription {
  readonly #subscribe: () => Subscription
  #current: Subscription
  /** Why the server does not take it at the moment. */
  refused: ServiceError | undefined
  /** How often the server had said that it takes no more, when this one was made. */
  readonly overLimit: number

  constructor(overLimit: number, subscribe: () => Subscription) {
    this.overLimit = overLimit
    this.#subscribe = subscribe
    this.#current = subscribe()
  }

  get current(): Subscription {
    return this.#current
  }

  again(): void {
    this.refused = undefined
    this.#current = this.#subscribe()
  }
}
