import type { CallContext, EndpointDefinition, HandlerContext, Metadata } from '@micrograft/contracts'
import type { Chains } from '../middleware/chain.js'
import { validate } from './validate.js'

/** Calls the handler of a unary endpoint, behind middleware and schema where there are any. */
export function runHandler(
  chains: Chains,
  definition: EndpointDefinition,
  request: unknown,
  context: HandlerContext,
): unknown {
  if (!chains.isAroundHandlers && !definition.input) return definition.handle(request as never, context)
  return chains.handle(new HandledCall(context, request), async ({ request: value }) =>
    definition.handle((await validate(definition.input, value, 'the request')) as never, context),
  )
}

/** What middleware around a handler gets. Its signal is made only for who looks at it, and is there in a copy. */
class HandledCall implements CallContext {
  declare readonly signal: AbortSignal
  readonly service: string
  readonly endpoint: string
  readonly metadata: Metadata
  readonly stream = false
  readonly request: unknown
  readonly #context: HandlerContext

  constructor(context: HandlerContext, request: unknown) {
    this.service = context.service
    this.endpoint = context.endpoint
    this.metadata = context.metadata
    this.request = request
    this.#context = context
    Object.defineProperty(this, 'signal', HandledCall.#signal)
  }

  // One getter for all: with one of its own each object would get a hidden class of its own, which only a full collection takes away.
  static readonly #signal: PropertyDescriptor = {
    enumerable: true,
    get(this: HandledCall) {
      return this.#context.signal
    },
  }
}

/** Whether a handler's result is still to come. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Partial<PromiseLike<unknown>>).then === 'function'
  )
}
