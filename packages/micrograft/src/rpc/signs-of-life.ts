export interface SignsOfLifeOptions {
  /** Silence after which the peer is asked whether it is there. */
  readonly pingIntervalMs: number
  /** How long it may take to answer that. */
  readonly pingTimeoutMs: number
  /** How long a connection may be without use. */
  readonly idleMs: number
}

/** What is to be said of a connection; `silent` is said once, when a ping is due. */
export type LifeSign = 'silent' | 'dead' | 'unused' | undefined

/** Whether a connection is alive and of use, by two counts that are looked at now and then. */
export class SignsOfLife {
  readonly #options: SignsOfLifeOptions
  #received = 0
  #started = 0
  #heardAt = 0
  #usedAt = 0
  #pingedAt: number | undefined

  constructor(options: SignsOfLifeOptions) {
    this.#options = options
  }

  /**
   * @param received Bytes that have come so far, or frames.
   * @param started Exchanges that have begun so far.
   * @param isInUse Whether any is under way.
   */
  look(now: number, received: number, started: number, isInUse: boolean): LifeSign {
    return this.#health(now, received) ?? this.#use(now, started, isInUse)
  }

  #health(now: number, received: number): LifeSign {
    const { pingIntervalMs, pingTimeoutMs } = this.#options
    if (this.#received !== received || this.#heardAt === 0) {
      this.#received = received
      this.#heardAt = now
      this.#pingedAt = undefined
      return undefined
    }
    if (this.#pingedAt !== undefined) return now - this.#pingedAt >= pingTimeoutMs ? 'dead' : undefined
    if (now - this.#heardAt < pingIntervalMs) return undefined
    this.#pingedAt = now
    return 'silent'
  }

  #use(now: number, started: number, isInUse: boolean): LifeSign {
    if (isInUse || this.#started !== started || this.#usedAt === 0) {
      this.#started = started
      this.#usedAt = now
      return undefined
    }
    return now - this.#usedAt >= this.#options.idleMs ? 'unused' : undefined
  }
}
