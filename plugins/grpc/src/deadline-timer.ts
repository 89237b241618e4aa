import { timerMs } from '@micrograft/contracts'

/** Tells that a deadline has passed: never early, however far away it is. */
export class DeadlineTimer {
  readonly #left: () => number
  readonly #late: () => void
  readonly #holds: boolean
  #timer: NodeJS.Timeout | undefined

  /**
   * @param left Milliseconds until the deadline.
   * @param holds Whether the process stays alive for it.
   */
  constructor(left: () => number, late: () => void, holds: boolean) {
    this.#left = left
    this.#late = late
    this.#holds = holds
    this.#arm()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #arm(): void {
    const ms = timerMs(Math.max(1, Math.ceil(this.#left())))
    const timer = setTimeout(() => this.#look(), ms)
    this.#timer = this.#holds ? timer : timer.unref()
  }

  /** Timers of Node may be early by less than a millisecond, and go no further than 25 days. */
  #look(): void {
    if (this.#left() > 0) this.#arm()
    else this.#late()
  }
}
