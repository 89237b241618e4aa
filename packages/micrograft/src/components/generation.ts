import { ServiceError } from '@micrograft/contracts'
import type { Tally } from './tally.js'
import { within } from './within.js'

/** What a `newFunc` gets; a function where that is known only when it is made. */
export type ComponentOptions = Readonly<Record<string, unknown>> | (() => Readonly<Record<string, unknown>>)

/** What a slot can hold, and how to make it. */
export interface Candidate<T> {
  /** What a flag chooses it by, e.g. `nats`. */
  readonly name: string
  /** With its version, e.g. `nats 1.2.0`. */
  readonly label: string
  readonly options: ComponentOptions
  /** Longest wait for the component to end what it has and to be disposed, in milliseconds. @default 10_000 */
  readonly closeMs?: number | undefined
  /** Makes the component and makes sure that it is fit, unless `signal` gives that up. Where it rejects it has left nothing open. */
  make(signal?: AbortSignal): Promise<T>
  /** Told in the turn in which calls go to it. */
  taken?(): void
  /** Told when the component was disposed and nothing of it is needed any more. */
  released?(): Promise<void>
}

/** Errors that a component is blamed for; the others are the caller's own, or answers. */
const blamed: ReadonlySet<string> = new Set([
  'unavailable',
  'timeout',
  'protocol',
  'internal',
  'overloaded',
  'closed',
])

function isBlamed(error: unknown): boolean {
  return !(error instanceof ServiceError) || blamed.has(error.code)
}

/** One component that sits or sat in a slot, with what is under way on it. A call ends on the generation where it began. */
export class Generation<T> {
  /** Calls, streams and connections that have not ended. */
  active = 0
  /** There while it is watched. */
  tally: Tally | undefined
  readonly candidate: Candidate<T>
  readonly component: T
  #onIdle: (() => void) | undefined

  constructor(candidate: Candidate<T>, component: T) {
    this.candidate = candidate
    this.component = component
  }

  get label(): string {
    return this.candidate.label
  }

  enter(): void {
    this.active++
  }

  readonly leave = (): void => {
    if (--this.active === 0) this.#onIdle?.()
  }

  /** Calls a method. No contract has more than three parameters, and naming them is cheaper than a rest parameter. */
  call(name: string, a: unknown, b: unknown, c: unknown): Promise<unknown> {
    this.active++
    try {
      const result = (this.component as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>)[
        name
      ]!(a, b, c)
      if (this.tally) this.watch(result, this.tally)
      result.then(this.leave, this.leave)
      return result
    } catch (error) {
      this.leave()
      return Promise.reject(error)
    }
  }

  /** Counts how `result` ends. */
  watch(result: Promise<unknown>, tally: Tally): void {
    const started = performance.now()
    result.then(
      () => tally.add(performance.now() - started, false),
      (error: unknown) => tally.add(performance.now() - started, isBlamed(error)),
    )
  }

  get closeMs(): number {
    return this.candidate.closeMs ?? 10_000
  }

  /** Resolves when nothing is under way, at the deadline, or when `cut` is aborted; whether nothing was. */
  idle(deadlineMs: number, cut?: AbortSignal): Promise<boolean> {
    if (this.active === 0) return Promise.resolve(true)
    return new Promise((resolve) => {
      const end = (idle: boolean) => {
        clearTimeout(timer)
        cut?.removeEventListener('abort', onCut)
        this.#onIdle = undefined
        resolve(idle)
      }
      const onCut = () => end(false)
      const timer = setTimeout(onCut, cut?.aborted ? 0 : deadlineMs)
      cut?.addEventListener('abort', onCut, { once: true })
      this.#onIdle = () => end(true)
    })
  }

  /** Disposes the component and lets go of what it came from; one that takes too long is left. */
  async release(): Promise<void> {
    try {
      await within(
        this.closeMs,
        dispose(this.component),
        () => new ServiceError('timeout', `${this.label} was not disposed within ${this.closeMs} ms`),
      )
    } finally {
      await this.candidate.released?.()
    }
  }
}

async function dispose(component: unknown): Promise<void> {
  await (component as Partial<AsyncDisposable>)[Symbol.asyncDispose]?.()
}
