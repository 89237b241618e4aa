import type { Middleware } from '@micrograft/contracts'
import type { Slot } from '../components/slot.js'

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
  return {
    name: slot.name,
    call: (context, next) => around('call', context, next),
    handle: (context, next) => around('handle', context, next),
    publish: (context, next) => around('publish', context, next),
    subscribe: (delivery, next) => around('subscribe', delivery, next),
  }
}
