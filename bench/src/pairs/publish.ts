import type { Payload } from './adapter.js'
import { firstNumber } from './payloads.js'

/** What was published and came: the subscriber's process says so over pipes, whatever is measured. */
export interface Credit {
  published: number
  received: number
  /** Told when more has come. */
  more: (() => void) | undefined
}

export interface Published {
  /** That came while it was measured. */
  readonly events: number
  readonly ms: number
}

/** Loops that each wait for what `publish` gives. */
const publishers = 64
/** Events that may be on their way: none is dropped for want of room, and nobody is kept waiting. */
const window = 4000

/** Publishes for `ms` milliseconds as fast as the subscriber takes it. */
export async function publish(
  send: (value: Payload) => unknown,
  credit: Credit,
  { payload, ms }: { readonly payload: Payload; readonly ms: number },
): Promise<Published> {
  const began = performance.now()
  const before = credit.received
  const end = began + ms
  let waiting: Promise<void> | undefined
  const room = () =>
    (waiting ??= new Promise<void>((resolve) => {
      // Where events are lost, the end of the measurement ends the wait.
      const timer = setTimeout(resolve, Math.max(1, end - performance.now()))
      credit.more = () => {
        clearTimeout(timer)
        resolve()
      }
    }).then(() => void (waiting = undefined)))
  const loop = async () => {
    for (let n = 0; performance.now() < end; n++) {
      while (credit.published - credit.received >= window && performance.now() < end) await room()
      if (performance.now() >= end) return
      credit.published++
      await send({ ...payload, n: firstNumber + n })
      // Where publishing gives no promise, the loop would never let anything in.
      if (n % 64 === 63) await new Promise((resolve) => setImmediate(resolve))
    }
  }
  await Promise.all(Array.from({ length: publishers }, loop))
  return { events: credit.received - before, ms: performance.now() - began }
}
