/** `work`, or the signal's reason as soon as there is one. */
export function within<T>(work: Promise<T>, signal?: AbortSignal, onAbort?: () => unknown): Promise<T> {
  if (!signal) return work
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason as Error)
      onAbort?.()
    }
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** `work`, or a `TimeoutError` as the client library has it. */
export function inTime<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(Object.assign(new Error(`no answer within ${timeoutMs} ms`), { name: 'TimeoutError' })),
      timeoutMs,
    ).unref()
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
