import type { HandlerSet } from '@micrograft/contracts'
import type { Case } from './case.js'
import { answerCases } from './handler/answer-cases.js'
import { disposeCases } from './handler/dispose-cases.js'
import { shapeCases } from './handler/shape-cases.js'
import { stateCases } from './handler/state-cases.js'
import { streamEndCases } from './handler/stream-end-cases.js'

/** Something to ask an endpoint: one request, or the messages of a client stream or a two-way one. */
export interface Asking {
  /** `Type.Method` */
  readonly endpoint: string
  /** The request, where there is one. */
  readonly request?: unknown
  /** The messages, where the caller streams. */
  readonly messages?: readonly unknown[] | undefined
  /** Whether what comes back goes on until the caller leaves. @default false */
  readonly endless?: boolean | undefined
}

/**
 * What the cases of handlers are run on. They call endpoints as a service does: the request is held
 * against the schema, and a generator function stands for a server stream.
 *
 * What an endpoint answers is its own business. So the cases look at the shape of all endpoints, ask
 * what `asks` lists, and hold a set to what a service needs to load it, to stop it and to put the
 * next version in its place. A set without `dehydrate` keeps the cases of `state` by having none. One
 * whose state is not the same when it was handed over, as it counts the time, skips that case.
 */
export interface HandlerSubject extends AsyncDisposable {
  readonly handlers: HandlerSet
  /** Makes another; `state` is what `options.state` of its `newFunc` gets. */
  another(state?: unknown): Promise<HandlerSet>
  /** At least one thing for each endpoint, to be asked in this order; none fails. */
  readonly asks: readonly Asking[]
}

/** What every set of handlers promises. */
export const handlerCases: readonly Case<HandlerSubject>[] = [
  ...shapeCases,
  ...answerCases,
  ...streamEndCases,
  ...stateCases,
  ...disposeCases,
]
