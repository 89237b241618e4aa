import type { CallContext, Delivery, Middleware, Next, PublishContext } from '@micrograft/contracts'

type Around<A, R> = (argument: A, next: Next<A, R>) => Promise<R>

/** One function that goes through all of `layers`, the first outermost, and then to what it is given. */
function chain<A, R>(layers: readonly Around<A, R>[]): (argument: A, inner: Next<A, R>) => Promise<R> {
  if (layers.length === 0) return (argument, inner) => inner(argument)
  return layers.reduceRight<(argument: A, inner: Next<A, R>) => Promise<R>>(
    (rest, layer) => (argument, inner) => layer(argument, (passed) => rest(passed, inner)),
    (argument, inner) => inner(argument),
  )
}

/** The middleware of a service, composed once for each place where it goes around something. */
export interface Chains {
  /** Whether `call` does more than hand on; where it does not, nobody needs a context. */
  readonly isAroundCalls: boolean
  /** Whether `handle` does. */
  readonly isAroundHandlers: boolean
  readonly call: (context: CallContext, inner: Next<CallContext, unknown>) => Promise<unknown>
  readonly handle: (context: CallContext, inner: Next<CallContext, unknown>) => Promise<unknown>
  readonly publish: (context: PublishContext, inner: Next<PublishContext, void>) => Promise<void>
  readonly subscribe: (delivery: Delivery, inner: Next<Delivery, void>) => Promise<void>
}

export function composeChains(middleware: readonly Middleware[]): Chains {
  const layers = <A, R>(name: 'call' | 'handle' | 'publish' | 'subscribe') =>
    middleware
      .filter((each) => each[name] !== undefined)
      .map(
        (each): Around<A, R> =>
          (argument, next) =>
            (each[name] as unknown as Around<A, R>).call(each, argument, next),
      )
  const has = (name: 'call' | 'handle') => middleware.some((each) => each[name] !== undefined)
  return {
    isAroundCalls: has('call'),
    isAroundHandlers: has('handle'),
    call: chain(layers('call')),
    handle: chain(layers('handle')),
    publish: chain(layers('publish')),
    subscribe: chain(layers('subscribe')),
  }
}
