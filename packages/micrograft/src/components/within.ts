import { timerMs } from '@micrograft/contracts'

/**
 * What `work` gives, or a rejection with what `late` makes once it has taken longer than `ms`, or with
 * the reason of `signal`. What `work` comes to after that is nobody's.
 */
export function within<R>(
  ms: number,
  work: Promise<R>,
  late: () => Error,
  signal?: AbortSignal | undefined,
): Promise<R> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal?.reason as Error)
    const timer = setTimeout(() => reject(late()), timerMs(ms))
    const settled = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
    if (signal?.aborted) onAbort()
    else signal?.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(settled)
  })
}
