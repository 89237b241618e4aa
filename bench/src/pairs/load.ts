import type { Payload } from './adapter.js'
import { checkEcho, firstNumber } from './payloads.js'

/** What came of calling for a while. */
export interface Load {
  readonly calls: number
  readonly ms: number
  /** Of one call, in milliseconds. */
  readonly p50: number
  readonly p99: number
  /** Calls without an answer; a variant in Node has none, or it ends. @default 0 */
  readonly failed?: number | undefined
}

/** Calls, each of `inFlight` loops one call after another, for `ms` milliseconds. */
export async function load(
  call: (value: Payload) => Promise<Payload>,
  payload: Payload,
  inFlight: number,
  ms: number,
): Promise<Load> {
  const taken = new Durations()
  const began = performance.now()
  const end = began + ms
  const loop = async () => {
    // Each loop has an object of its own, which it changes only when its answer is there.
    const own = { ...payload }
    let at = performance.now()
    for (let n = firstNumber; at < end; n++) {
      own.n = n
      checkEcho(own, await call(own))
      const now = performance.now()
      taken.add(now - at)
      at = now
    }
  }
  await Promise.all(Array.from({ length: inFlight }, loop))
  return { calls: taken.count, ms: performance.now() - began, p50: taken.at(0.5), p99: taken.at(0.99) }
}

/** Every duration, without an object for each. */
class Durations {
  count = 0
  #values = new Float32Array(1 << 16)
  #sorted = false

  add(value: number): void {
    if (this.count === this.#values.length) {
      const longer = new Float32Array(this.count * 2)
      longer.set(this.#values)
      this.#values = longer
    }
    this.#values[this.count++] = value
  }

  /** The value that `part` of all are not above. */
  at(part: number): number {
    if (!this.#sorted) this.#values.subarray(0, this.count).sort()
    this.#sorted = true
    return this.#values[Math.max(0, Math.ceil(this.count * part) - 1)] as number
  }
}
