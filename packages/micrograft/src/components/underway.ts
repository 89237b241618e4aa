import { ServiceError } from '@micrograft/contracts'
import type { Generation } from './generation.js'
import type { ResolvedSwapOptions } from './swap-options.js'
import { Tally } from './tally.js'

/** A swap whose new component is there: it shares calls with the old one, or has them all and is watched. */
export class Underway<T> {
  readonly old: Generation<T>
  readonly next: Generation<T>
  readonly options: ResolvedSwapOptions
  /** When the swap began, as `performance.now` has it. */
  readonly since: number
  /** Resolves when the waiting is over: with a reason to go back, or with none. */
  readonly ended: Promise<ServiceError | undefined>
  share: number
  #end!: (reason: ServiceError | undefined) => void
  /** What is left over of the share, so that of any few calls the right number goes to the new component. */
  #credit = 0

  constructor(old: Generation<T>, next: Generation<T>, options: ResolvedSwapOptions, since: number) {
    this.old = old
    this.next = next
    this.options = options
    this.since = since
    this.share = options.share
    this.ended = new Promise((resolve) => (this.#end = resolve))
    if (options.watchMs > 0 || options.share < 1) this.#watchCalls()
  }

  /** Ends the waiting: for good, or to go back for the reason given. */
  end(reason: ServiceError | undefined): void {
    this.#end(reason)
  }

  /** The generation for a call that begins now, by the share that the new one has. */
  pick(): Generation<T> {
    this.#credit += this.share
    if (this.#credit < 1) return this.old
    this.#credit -= 1
    return this.next
  }

  /** Waits until the watch is over; gives a reason to go back, where there is one. */
  async watched(): Promise<ServiceError | undefined> {
    const { watchMs } = this.options
    let timer: NodeJS.Timeout | undefined
    const over =
      watchMs === 0
        ? Promise.resolve(undefined)
        : new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), watchMs)))
    try {
      return await Promise.race([this.ended, over])
    } finally {
      clearTimeout(timer)
    }
  }

  #watchCalls(): void {
    const { old, next, options } = this
    const tally = (next.tally = new Tally())
    tally.onError = () => {
      if (tally.calls < options.minCalls || tally.errors <= tally.calls * options.maxErrorRate) return
      const seen = `${tally.errors} of ${tally.calls} had failed`
      this.end(new ServiceError('unavailable', `calls went back from ${next.label} to ${old.label}: ${seen}`))
    }
  }
}
