/** Upper edges of the buckets of durations: ten to a decade, from 10 µs to 100 s. */
const perDecade = 10
const lowestMs = 0.01
const buckets = 7 * perDecade + 1

/** What was seen of the calls on one component. Durations are milliseconds, percentiles to within 13 %. */
export interface TallyReport {
  readonly calls: number
  readonly errors: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Counts calls, those that failed, and how long they took. */
export class Tally {
  /** Told of each call that failed. */
  onError: (() => void) | undefined
  #calls = 0
  #errors = 0
  readonly #durations = new Uint32Array(buckets)

  get calls(): number {
    return this.#calls
  }

  get errors(): number {
    return this.#errors
  }

  add(durationMs: number, failed: boolean): void {
    this.#calls++
    const bucket = Math.ceil(Math.log10(durationMs / lowestMs) * perDecade)
    this.#durations[Math.min(buckets - 1, Math.max(0, bucket))]!++
    if (!failed) return
    this.#errors++
    this.onError?.()
  }

  report(): TallyReport {
    return {
      calls: this.#calls,
      errors: this.#errors,
      p50Ms: this.#percentile(0.5),
      p99Ms: this.#percentile(0.99),
    }
  }

  #percentile(share: number): number {
    let left = this.#calls * share
    for (const [bucket, count] of this.#durations.entries()) {
      left -= count
      if (count > 0 && left <= 0) return Number((lowestMs * 10 ** (bucket / perDecade)).toPrecision(3))
    }
    return 0
  }
}
