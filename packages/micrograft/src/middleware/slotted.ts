import type { CallContext, Middleware, Next } from '@micrograft/contracts'
import type { Generation } from '../components/generation.js'
import type { Slot } from '../components/slot.js'
import { untilRead } from '../streams/until-read.js'

/** The middleware that sits in `slot` at the moment; what goes through it ends on the one where it began. */
export function slotted(slot: Slot<'middleware'>): Middleware {
  const around = <A, R>(
    name: 'call' | 'handle' | 'publish' | 'subscribe',
    argument: A,
    next: (argument: A) => Promise<R>,
  ): Promise<R> => {
    const generation = slot.pick()
    if (!generation.component[name]) return next(argument)
    return generation.call(name, argument, next, undefined) as Promise<R>
  }
  const aroundCall = (name: 'call' | 'handle', context: CallContext, next: Next<CallContext, unknown>) =>
    context.stream ? aroundStream(slot.pick(), name, context, next) : around(name, context, next)
  return {
    name: slot.name,
    call: (context, next) => aroundCall('call', context, next),
    handle: (context, next) => aroundCall('handle', context, next),
    publish: (context, next) => around('publish', context, next),
    subscribe: (delivery, next) => around('subscribe', delivery, next),
  }
}

/** A stream goes through middleware until it was read, unless that has put nothing of its own around it. */
async function aroundStream(
  generation: Generation<Middleware>,
  name: 'call' | 'handle',
  context: CallContext,
  next: Next<CallContext, unknown>,
): Promise<unknown> {
  if (!generation.component[name]) return next(context)
  let isAround = false
  let given: unknown
  let isOpen = true
  const ended = () => {
    if (isOpen) generation.leave()
    isOpen = false
  }
  const inner = async (passed: CallContext) => {
    isAround ||= passed.request !== context.request
    return (given = await next(passed))
  }
  generation.enter()
  try {
    const result = await generation.call(name, context, inner, undefined)
    if ((isAround || result !== given) && isStream(result)) return untilRead(result, ended)
    ended()
    return result
  } catch (error) {
    ended()
    throw error
  }
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}
