import {
  resolveOptions,
  ServiceError,
  type CallContext,
  type ComponentContext,
  type Middleware,
  type Next,
} from '@micrograft/contracts'

export interface RetryOptions {
  /** Most tries of one call or message, the first included. @default 3 */
  readonly attempts?: number | undefined
  /** Pause between two tries, in milliseconds. @default 20 */
  readonly pauseMs?: number | undefined
}

/** Tries again what another try can help: calls, but no streams, and what is published. */
export function retryMiddleware(options: RetryOptions | undefined, _context: ComponentContext): Middleware {
  const defaults = { attempts: 3, pauseMs: 20 }
  const { attempts, pauseMs } = resolveOptions('the options of the retry middleware', defaults, options)

  async function tried<A, R>(argument: A, next: Next<A, R>, signal?: AbortSignal): Promise<R> {
    for (let left = attempts - 1; ; left--) {
      try {
        return await next(argument)
      } catch (error) {
        if (left === 0 || !(error instanceof ServiceError && error.retryable)) throw error
        await pause(pauseMs, signal)
      }
    }
  }
  return {
    name: 'retry',
    call: (context: CallContext, next: Next<CallContext, unknown>) =>
      context.stream ? next(context) : tried(context, next, context.signal),
    publish: (context, next) => tried(context, next),
  }
}

/** @throws the signal's reason, at once. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      if (signal?.aborted) reject(signal.reason as Error)
      else resolve()
    }
    const timer = setTimeout(end, ms)
    if (signal?.aborted) end()
    else signal?.addEventListener('abort', end)
  })
}
