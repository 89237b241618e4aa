import type { Middleware, Metadata } from '@micrograft/contracts'
import type { Case } from './case.js'
import { errorCases } from './middleware/error-cases.js'
import { isolationCases } from './middleware/isolation-cases.js'
import { passingCases } from './middleware/passing-cases.js'
import { signalCases } from './middleware/signal-cases.js'
import { streamCases } from './middleware/stream-cases.js'

/**
 * What the cases of middleware are run on. Each case calls every function that the middleware has,
 * as its method, with arguments and a `next` of its own.
 *
 * Middleware may do almost anything, so the cases hold it to what a service relies on: it is in the
 * way of every call, and what it does not change must pass as if it were not there. Whatever it does
 * on purpose it skips by name, with the reason: a cache `next is called once for what succeeds`, one
 * that translates errors `an error comes back as it is`, one that lets only ten in at a time `many at
 * a time are each answered by their own`. What it adds to metadata needs no skip.
 */
export interface MiddlewareSubject extends Partial<AsyncDisposable> {
  readonly middleware: Middleware
  /** Makes another with the same options, as another service does. */
  another(): Promise<Middleware>
  /** Most times that it calls `next` for one call. @default 1 */
  readonly maxAttempts?: number | undefined
  /** What a call or a message must carry for it to let that in, e.g. a token. @default nothing */
  readonly metadata?: Metadata | undefined
}

/** What all middleware promises. */
export const middlewareCases: readonly Case<MiddlewareSubject>[] = [
  ...passingCases,
  ...errorCases,
  ...signalCases,
  ...streamCases,
  ...isolationCases,
]
