import type { Payload } from './adapter.js'

export interface Streamed {
  readonly messages: number
  readonly ms: number
}

/** Reads for `warmUpMs` and then, counting, for `ms` milliseconds; with `pauseMs`, a slow reader that waits so long after each message. */
export async function readStream(
  messages: AsyncIterable<Payload>,
  { ms, warmUpMs, pauseMs }: { readonly ms: number; readonly warmUpMs: number; readonly pauseMs: number },
): Promise<Streamed> {
  let count = 0
  let before = 0
  let began = performance.now()
  let warm = warmUpMs === 0
  for await (const { n } of messages) {
    if (n <= 0) throw new Error(`a message had the number ${n}`)
    count++
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
    // A stream that is always ahead would keep everything else from running.
    else if (count % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
    const now = performance.now()
    if (now - began < (warm ? ms : warmUpMs)) continue
    if (warm) break
    warm = true
    before = count
    began = now
  }
  return { messages: count - before, ms: performance.now() - began }
}
