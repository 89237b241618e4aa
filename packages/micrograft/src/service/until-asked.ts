/** Resolves when the process is asked to end by SIGINT or SIGTERM, or `signal` is aborted; both signals are its own until then. */
export function untilAsked(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      process.off('SIGINT', done).off('SIGTERM', done)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    process.on('SIGINT', done).on('SIGTERM', done)
    if (signal?.aborted) done()
    else signal?.addEventListener('abort', done, { once: true })
  })
}
