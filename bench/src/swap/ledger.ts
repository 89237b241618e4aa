/** Most messages of one publisher that are counted. */
const maxMessages = 1 << 20

/** What a process has seen of requests and messages, to find those that came twice or not at all. */
export class Ledger {
  /** Requests that were handled. */
  handled = 0
  /** Requests that came a second time. */
  doubled = 0
  /** Requests before one that came, and that did not come. */
  skipped = 0
  readonly #last = new Map<string, number>()
  readonly #messages = new Map<string, Uint8Array>()

  /** A worker sends its requests one after another, and counts them. */
  request(worker: string, n: number): void {
    const last = this.#last.get(worker) ?? -1
    this.handled++
    if (n <= last) this.doubled++
    else {
      this.skipped += n - last - 1
      this.#last.set(worker, n)
    }
  }

  /** @param stream E.g. `queue 0`: how the message came, and whose it is. */
  message(stream: string, n: number): void {
    let counts = this.#messages.get(stream)
    if (!counts) this.#messages.set(stream, (counts = new Uint8Array(maxMessages)))
    if (n >= maxMessages) throw new Error(`more than ${maxMessages} messages`)
    ;(counts[n] as number)++
  }

  /** How often each of the first `count` messages came. */
  counts(stream: string, count: number): Uint8Array {
    return (this.#messages.get(stream) ?? new Uint8Array(maxMessages)).subarray(0, count)
  }
}

/** What is wrong with counts that are to be 1. */
export interface Miscount {
  readonly lost: number
  readonly doubled: number
}

export function miscount(counts: readonly Uint8Array[], published: number): Miscount {
  let lost = 0
  let doubled = 0
  for (let n = 0; n < published; n++) {
    const came = counts.reduce((sum, each) => sum + (each[n] ?? 0), 0)
    if (came === 0) lost++
    else doubled += came - 1
  }
  return { lost, doubled }
}
