import * as real from 'node:timers/promises'
import type { TimerFunctions } from './scoped-timers.js'

interface WaitOptions {
  readonly signal?: AbortSignal
  readonly ref?: boolean
}

/** `node:timers/promises` over scoped timers. */
export function timerPromises(timers: TimerFunctions): typeof real {
  function wait<T>(
    start: (fire: () => void) => NodeJS.Timeout | NodeJS.Immediate,
    stop: (timer: never) => void,
    value: T,
    options: WaitOptions = {},
  ): Promise<T> {
    const { signal, ref = true } = options
    return new Promise<T>((resolve, reject) => {
      if (signal?.aborted) return reject(abortError(signal))
      const onAbort = () => {
        stop(timer as never)
        reject(abortError(signal as AbortSignal))
      }
      const timer = start(() => {
        signal?.removeEventListener('abort', onAbort)
        resolve(value)
      })
      if (!ref) timer.unref()
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  const later = <T>(delayMs?: number, value?: T, options?: WaitOptions) =>
    wait((fire) => timers.setTimeout(fire, delayMs), timers.clearTimeout, value as T, options)
  const soon = <T>(value?: T, options?: WaitOptions) =>
    wait((fire) => timers.setImmediate(fire), timers.clearImmediate, value as T, options)
  async function* every<T>(delayMs?: number, value?: T, options?: WaitOptions): AsyncGenerator<T> {
    for (;;) yield await later(delayMs, value as T, options)
  }
  return {
    ...real,
    setTimeout: later,
    setImmediate: soon,
    setInterval: every,
    scheduler: {
      wait: (delayMs: number, options?: WaitOptions) => later(delayMs, undefined, options),
      yield: () => soon(),
    },
  } as unknown as typeof real
}

/** As Node's own: an `AbortError` with code `ABORT_ERR`, caused by the signal's reason. */
function abortError(signal: AbortSignal): Error {
  const error = new Error('The operation was aborted', { cause: signal.reason })
  return Object.assign(error, { name: 'AbortError', code: 'ABORT_ERR' })
}
