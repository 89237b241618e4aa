import { type ComponentType, type ComponentTypes } from '@micrograft/contracts'
import { contractShapes } from './contract-shapes.js'

/** How a reference gets at what it stands for. */
export interface ReferenceTarget {
  /** Does a call, which gives a promise. */
  call(name: string, a: unknown, b: unknown, c: unknown): Promise<unknown>
  /** What there is now, for methods that answer at once and for properties. @throws where there is nothing. */
  direct(): object
}

/**
 * A component as everybody but its slot holds it. No Proxy: a method for each of the contract costs a
 * third of one. `own` methods stand in for those of the contract.
 */
export function makeReference<K extends ComponentType>(
  type: K,
  target: ReferenceTarget,
  own: Readonly<Record<string, unknown>> = {},
): ComponentTypes[K] {
  const { calls, direct, properties } = contractShapes[type]
  const reference: Record<PropertyKey, unknown> = {}
  for (const name of calls)
    reference[name] = (a: unknown, b: unknown, c: unknown) => target.call(name, a, b, c)
  for (const name of direct)
    reference[name] = (a: unknown, b: unknown) =>
      (target.direct() as Record<string, (...args: unknown[]) => unknown>)[name]!(a, b)
  for (const name of properties) {
    Object.defineProperty(reference, name, {
      enumerable: true,
      get: () => (target.direct() as Record<string, unknown>)[name],
    })
  }
  // The slot's owner disposes what sits in it; who only holds the reference must not.
  reference[Symbol.asyncDispose] = () => Promise.resolve()
  return Object.freeze(Object.assign(reference, own)) as unknown as ComponentTypes[K]
}
