import type { Delivery } from './broker.js'
import type { Metadata } from './values.js'

/** What a call is about, on either side; one object a call, which middleware may add metadata to by passing on a copy. */
export interface CallInfo {
  readonly service: string
  readonly endpoint: string
  readonly metadata: Metadata
  readonly signal: AbortSignal | undefined
  readonly stream: boolean
}

/** What goes one level in. */
export type Next<A, R> = (argument: A) => Promise<R>

export interface CallContext extends CallInfo {
  /** A unary call's request before it is encoded, or the messages of a stream. */
  readonly request: unknown
}

export interface PublishContext {
  readonly topic: string
  readonly metadata: Metadata
  readonly payload: unknown
}

/**
 * Goes around calls and messages. Each function is optional, gets what goes in and a `next`, and
 * gives what comes out; it calls `next` once, or not at all to answer itself, or again to retry. The
 * first in the list is the outermost. For a stream, `request` and the result are async iterables; in
 * `handle`, what a server stream takes and what a client stream gives is the one value.
 */
export interface Middleware {
  readonly name: string
  /** Around a call that this service makes, all its attempts together. */
  call?(context: CallContext, next: Next<CallContext, unknown>): Promise<unknown>
  /** Around a call that this service answers. */
  handle?(context: CallContext, next: Next<CallContext, unknown>): Promise<unknown>
  publish?(context: PublishContext, next: Next<PublishContext, void>): Promise<void>
  subscribe?(delivery: Delivery, next: Next<Delivery, void>): Promise<void>
}
