/** How long to wait before an attempt. */
export interface Backoff {
  /** Before the second attempt, in milliseconds. @default 50 */
  readonly baseMs?: number | undefined
  /** Most, in milliseconds. @default 2000 */
  readonly maxMs?: number | undefined
}

/**
 * Milliseconds before attempt `attempt` (1 is the first try again): doubling, and anywhere between
 * half of that and all of it, so that callers that failed together do not come back together.
 */
export function backoffMs(
  attempt: number,
  { baseMs = 50, maxMs = 2000 }: Backoff = {},
  random: () => number = Math.random,
): number {
  const full = Math.min(maxMs, baseMs * 2 ** (attempt - 1))
  return full / 2 + (random() * full) / 2
}

/** Waits, or rejects with the signal's reason. */
export function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error)
    const onAbort = () => {
      clearTimeout(timer)
      reject(signal?.reason as Error)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
