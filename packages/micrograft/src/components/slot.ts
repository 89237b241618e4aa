import { ServiceError, type ComponentType, type ComponentTypes } from '@micrograft/contracts'
import { contractShapes } from './contract-shapes.js'

/** One component that sat in a slot, with the calls that it has under way. */
class Generation<T> {
  active = 0
  retired = false
  onIdle: (() => void) | undefined
  readonly component: T
  readonly label: string

  constructor(component: T, label: string) {
    this.component = component
    this.label = label
  }

  readonly leave = (): void => {
    if (--this.active === 0 && this.retired) this.onIdle?.()
  }
}

export interface SwapOptions {
  /** How long calls on the old component may take to end before it is disposed all the same, in milliseconds. @default 10_000 */
  readonly drainMs?: number | undefined
}

/** How a swap went. */
export interface SwapReport {
  readonly from: string
  readonly to: string
  /** Whether every call on the old component had ended before it was disposed. */
  readonly drained: boolean
  readonly durationMs: number
}

/**
 * The place in a service where a component sits, and the only way to it. It counts calls under way
 * by the component that they began on; a call ends where it began.
 */
export class Slot<K extends ComponentType> implements AsyncDisposable {
  readonly type: K
  /** The component as everybody else holds it: a reference that stays right when the slot is swapped. */
  readonly reference: ComponentTypes[K]
  #current: Generation<ComponentTypes[K]> | undefined
  #swapping: Promise<unknown> = Promise.resolve()
  #filled!: () => void
  #failed!: (error: unknown) => void
  readonly #ready = new Promise<void>((resolve, reject) => {
    this.#filled = resolve
    this.#failed = reject
  })

  readonly #begin: () => void
  #closed = false

  /** @param begin Called when a component is needed and none is there yet; it ends in `fill` or `fail`. */
  constructor(type: K, begin: () => void) {
    this.type = type
    this.#begin = begin
    this.#ready.catch(() => undefined)
    this.reference = this.#makeReference()
  }

  /** What sits here, e.g. `nats 1.2.0`; `undefined` while nothing does. */
  get label(): string | undefined {
    return this.#current?.label
  }

  /** Puts the first component in. */
  fill(component: ComponentTypes[K], label: string): void {
    this.#current = new Generation(component, label)
    this.#filled()
  }

  /** Says that no component comes: calls that wait for it fail. */
  fail(error: unknown): void {
    this.#failed(error)
  }

  /**
   * Sends new calls to `next` at once, waits for the calls that are on the old component, and disposes
   * that. Swaps of one slot go one after another.
   */
  swap(next: ComponentTypes[K], label: string, { drainMs = 10_000 }: SwapOptions = {}): Promise<SwapReport> {
    const swapped = this.#swapping.then(async (): Promise<SwapReport> => {
      const started = performance.now()
      const old = this.#current
      this.#current = new Generation(next, label)
      this.#filled()
      const drained = old === undefined || (await idle(old, drainMs))
      await dispose(old?.component)
      return { from: old?.label ?? 'nothing', to: label, drained, durationMs: performance.now() - started }
    })
    this.#swapping = swapped.catch(() => undefined)
    return swapped
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#swapping
    const last = this.#current
    this.#current = undefined
    this.#closed = true
    this.#failed(this.#closedError())
    await dispose(last?.component)
  }

  #closedError(): ServiceError {
    return new ServiceError('closed', `the ${this.type} of the service was closed`)
  }

  #makeReference(): ComponentTypes[K] {
    const { calls, direct, properties } = contractShapes[this.type]
    const reference: Record<PropertyKey, unknown> = {}
    for (const name of calls) reference[name] = this.#counted(name)
    for (const name of direct) reference[name] = this.#direct(name)
    for (const name of properties) {
      Object.defineProperty(reference, name, {
        enumerable: true,
        get: () => (this.#require() as unknown as Record<string, unknown>)[name],
      })
    }
    // The slot's owner disposes what sits in it; who only holds the reference must not.
    reference[Symbol.asyncDispose] = () => Promise.resolve()
    return Object.freeze(reference) as unknown as ComponentTypes[K]
  }

  /** No contract has more than three parameters, and naming them is cheaper than a rest parameter. */
  #counted(name: string): (a: unknown, b: unknown, c: unknown) => Promise<unknown> {
    return (a, b, c) => {
      const generation = this.#current
      if (!generation) {
        if (this.#closed) return Promise.reject(this.#closedError())
        this.#begin()
        return this.#ready.then(() => this.#counted(name)(a, b, c))
      }
      generation.active++
      try {
        const result = (
          generation.component as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
        )[name]!(a, b, c)
        result.then(generation.leave, generation.leave)
        return result
      } catch (error) {
        generation.leave()
        return Promise.reject(error)
      }
    }
  }

  #direct(name: string): (a: unknown, b: unknown) => unknown {
    return (a, b) =>
      (this.#require() as unknown as Record<string, (...args: unknown[]) => unknown>)[name]!(a, b)
  }

  #require(): ComponentTypes[K] {
    if (this.#closed) throw this.#closedError()
    if (!this.#current)
      throw new ServiceError('unavailable', `the service has no ${this.type} yet; start it first`)
    return this.#current.component
  }
}

function idle(generation: Generation<unknown>, deadlineMs: number): Promise<boolean> {
  generation.retired = true
  if (generation.active === 0) return Promise.resolve(true)
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), deadlineMs)
    generation.onIdle = () => {
      clearTimeout(timer)
      resolve(true)
    }
  })
}

async function dispose(component: unknown): Promise<void> {
  await (component as Partial<AsyncDisposable> | undefined)?.[Symbol.asyncDispose]?.()
}
