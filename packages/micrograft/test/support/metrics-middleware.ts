import type { CallContext, ComponentContext, Middleware, Next } from '@micrograft/contracts'
import { resolveOptions } from '@micrograft/contracts'

export interface MetricsOptions {
  /** Gives the time in milliseconds. @default that of `performance` */
  readonly now?: (() => number) | undefined
}

/** What was seen of one endpoint or topic. */
export interface Measured {
  readonly count: number
  readonly failures: number
  /** Messages of streams, both ways. */
  readonly messages: number
  /** In milliseconds; of a stream until it is open. */
  readonly totalMs: number
}

export interface MetricsMiddleware extends Middleware {
  /** By place and endpoint or topic, e.g. `call Say.Hello`. */
  readonly measured: ReadonlyMap<string, Measured>
}

/** Counts and times whatever goes through, and changes nothing. */
export function metricsMiddleware(
  options: MetricsOptions | undefined,
  _context: ComponentContext,
): MetricsMiddleware {
  const defaults = { now: () => performance.now() }
  const { now } = resolveOptions('the options of the metrics middleware', defaults, options)
  const measured = new Map<string, Measured>()

  function add(
    what: string,
    { count = 0, failures = 0, messages = 0, totalMs = 0 }: Partial<Measured>,
  ): void {
    const old = measured.get(what) ?? { count: 0, failures: 0, messages: 0, totalMs: 0 }
    measured.set(what, {
      count: old.count + count,
      failures: old.failures + failures,
      messages: old.messages + messages,
      totalMs: old.totalMs + totalMs,
    })
  }

  async function timed<A, R>(what: string, argument: A, next: Next<A, R>): Promise<R> {
    const began = now()
    let failures = 1
    try {
      const result = await next(argument)
      failures = 0
      return result
    } finally {
      add(what, { count: 1, failures, totalMs: now() - began })
    }
  }

  function counted(what: string, value: unknown): unknown {
    return isStream(value) ? counting(value, () => add(what, { messages: 1 })) : value
  }

  const around =
    (place: 'call' | 'handle') => async (context: CallContext, next: Next<CallContext, unknown>) => {
      const what = `${place} ${context.endpoint}`
      if (!context.stream) return timed(what, context, next)
      return counted(what, await timed(what, { ...context, request: counted(what, context.request) }, next))
    }
  return {
    name: 'metrics',
    measured,
    call: around('call'),
    handle: around('handle'),
    publish: (context, next) => timed(`publish ${context.topic}`, context, next),
    subscribe: (delivery, next) => timed(`subscribe ${delivery.topic}`, delivery, next),
  }
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

/** The same messages; leaving them early leaves `messages` early. */
async function* counting(messages: AsyncIterable<unknown>, each: () => void): AsyncGenerator {
  for await (const message of messages) {
    each()
    yield message
  }
}
