import { ServiceError, type CallContext, type Middleware, type Next } from '@micrograft/contracts'

type Call = (context: CallContext, next: Next<CallContext, unknown>) => Promise<unknown>

const retried = async (context: CallContext, next: Next<CallContext, unknown>, pauseMs: number) => {
  try {
    return await next(context)
  } catch (error) {
    if (!(error instanceof ServiceError && error.retryable)) throw error
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
    return next(context)
  }
}

async function* slurped(messages: AsyncIterable<unknown>): AsyncGenerator {
  const all: unknown[] = []
  for await (const each of messages) if (all.push(each) === 1000) break
  yield* all
}

/** Reads by hand, and so tells the source nothing of an early end. */
async function* unbound(messages: AsyncIterable<unknown>): AsyncGenerator {
  const iterator = messages[Symbol.asyncIterator]()
  for (;;) {
    const { done, value } = (await iterator.next()) as IteratorResult<unknown>
    if (done) return
    yield value
  }
}

async function* deaf(messages: AsyncIterable<unknown>): AsyncGenerator {
  try {
    yield* messages
  } catch {
    // The stream seems to end.
  }
}

const isStream = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value

const throughStream =
  (change: (messages: AsyncIterable<unknown>) => unknown): Call =>
  async (context, next) => {
    const { request } = context
    const result = await next(isStream(request) ? { ...context, request: change(request) } : context)
    return isStream(result) ? change(result) : result
  }

const shared = { open: true, cache: new Map<string, unknown>(), held: 0 }

/** Ways to be wrong, and the names of the cases that must find each. */
export const brokenMiddleware: readonly {
  readonly call: Call | undefined
  readonly found: readonly string[]
}[] = [
  { call: undefined, found: ['it names itself, and goes around something'] },
  {
    call: (context, next) => next({ ...context, metadata: { other: '1' } }),
    found: ['what goes in reaches next, and of its metadata nothing is lost'],
  },
  {
    call: (context, next) => next({ ...context, request: structuredClone(context.request) }),
    found: ['what goes in reaches next, and of its metadata nothing is lost'],
  },
  {
    call: async (context, next) => {
      await next(context)
      return next(context)
    },
    found: ['next is called once for what succeeds'],
  },
  {
    call: async (context, next) => (await next(context)) ?? {},
    found: ['what next gives comes back as it is'],
  },
  {
    call: async (context, next) => void next(context).catch(() => undefined),
    found: ['nothing is over before next is', 'an error comes back as it is'],
  },
  {
    call: async (context, next) => {
      Object.assign(context.metadata, { seen: '1' })
      return next(context)
    },
    found: ['what it was given is as it was'],
  },
  {
    call: async (context, next) => {
      try {
        return await next(context)
      } catch (error) {
        throw ServiceError.from(error)
      }
    },
    found: ['an error comes back as it is'],
  },
  {
    call: (context, next) => retried(context, next, 1),
    found: [
      'next is called no more often than it says',
      'what was aborted is not tried again, and waits for nothing',
    ],
  },
  {
    call: (context, next) => next(context).catch(() => next(context)),
    found: ['an error that another try cannot help is not tried again'],
  },
  {
    call: (() => {
      let broken = false
      return async (context, next) => {
        if (broken) throw new ServiceError('unavailable', 'the breaker is open')
        return next(context).catch((error: unknown) => {
          broken = true
          throw error
        })
      }
    })(),
    found: ['what comes after a failure passes'],
  },
  {
    call: (context, next) => next({ ...context, signal: undefined }),
    found: ['an abort reaches next, with its reason, and the reason comes back'],
  },
  {
    call: (context, next) => retried(context, next, 2500),
    found: ['what was aborted is not tried again, and waits for nothing'],
  },
  {
    call: (context, next) => {
      context.signal?.addEventListener('abort', () => undefined)
      return next(context)
    },
    found: ['a signal that lasts keeps no listener of calls that have ended'],
  },
  {
    call: throughStream(slurped),
    found: [
      'messages of a stream pass both ways, each as it comes',
      'leaving what comes back early reaches its source, of which nothing was read ahead',
      'leaving what is sent early reaches its source, of which nothing was read ahead',
    ],
  },
  {
    call: async (context, next) => {
      if (!context.stream) return next(context)
      const request = throughUnchecked(context.request as AsyncIterable<unknown>)
      return throughUnchecked((await next({ ...context, request })) as AsyncIterable<unknown>)
    },
    found: ['where one side of a stream is a single value, that passes as it is'],
  },
  {
    call: throughStream(unbound),
    found: [
      'leaving what comes back early reaches its source, of which nothing was read ahead',
      'leaving what is sent early reaches its source, of which nothing was read ahead',
    ],
  },
  {
    call: throughStream(deaf),
    found: ['an error within a stream comes after the messages before it, as it is, both ways'],
  },
  {
    call: async (context, next) => {
      const again = {
        [Symbol.asyncIterator]: (() => {
          const messages = context.request as AsyncIterable<unknown>
          let iterator: AsyncIterator<unknown> | undefined
          return () => ({ next: () => (iterator ??= messages[Symbol.asyncIterator]()).next() })
        })(),
      }
      const kept = isStream(context.request) ? { ...context, request: again } : context
      return next(kept).catch(() => next(kept))
    },
    found: ['a stream that is tried again begins with its first message'],
  },
  {
    call: async (context, next) => {
      while (shared.held >= 10) await new Promise((resolve) => setTimeout(resolve, 1).unref())
      shared.held++
      return next(context).finally(() => shared.held--)
    },
    found: ['many at a time are each answered by their own'],
  },
  {
    call: (() => {
      let last: Promise<unknown> = Promise.resolve()
      return (context, next) => (last = last.then(() => next(context)))
    })(),
    found: ['one that is made within another passes', 'many at a time are each answered by their own'],
  },
  {
    call: async (context, next) => {
      const key = JSON.stringify(context.request)
      if (!shared.cache.has(key)) shared.cache.set(key, await next(context))
      return shared.cache.get(key)
    },
    found: ['what happens in one service shows in no other'],
  },
]

async function* throughUnchecked(messages: AsyncIterable<unknown>): AsyncGenerator {
  yield* messages
}

export function broken(call: Call | undefined): Middleware {
  return { name: 'broken', ...(call && { call }) }
}
