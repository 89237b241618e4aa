/** A wait, or less where the signal is aborted. */
export function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, delayMs)
    signal.addEventListener('abort', end, { once: true })
  })
}

/** `work`, or the error that `late` gives when the time is over, or the signal's reason after `onAbort`. The work itself goes on. */
export function inTime<T>(
  work: Promise<T>,
  timeoutMs: number,
  late: () => Error,
  signal: AbortSignal | undefined,
  onAbort: () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      onAbort()
      end(() => reject(signal?.reason as Error))
    }
    const timer = setTimeout(() => end(() => reject(late())), timeoutMs)
    const end = (settle: () => void) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      settle()
    }
    signal?.addEventListener('abort', abort, { once: true })
    work.then(
      (value) => end(() => resolve(value)),
      (error: unknown) => end(() => reject(error as Error)),
    )
  })
}
