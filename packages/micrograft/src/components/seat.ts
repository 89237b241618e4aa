import { ServiceError, type ComponentType } from '@micrograft/contracts'
import { Generation, type Candidate } from './generation.js'
import type { SlotView } from './keeper.js'
import type { ReferenceTarget } from './reference.js'
import type { Underway } from './underway.js'

/**
 * Where the calls of a slot go: to nobody yet, to one component, or to two that share them. What comes
 * before the first component waits for it.
 */
export class Seat<T> implements SlotView<T>, ReferenceTarget {
  readonly #type: ComponentType
  readonly #begin: (() => void) | undefined
  #current: Generation<T> | undefined
  #shared: Underway<T> | undefined
  #filled!: () => void
  #failed!: (error: unknown) => void
  #ready: Promise<void>
  #closed = false

  /** `begin` is called when a component is needed and none is there yet; it ends in `fill` or `fail`. */
  constructor(type: ComponentType, begin: (() => void) | undefined) {
    this.#type = type
    this.#begin = begin
    this.#ready = this.#awaited()
  }

  get current(): Generation<T> | undefined {
    return this.#current
  }

  /** The swap whose two components share calls, where there is one. */
  get shared(): Underway<T> | undefined {
    return this.#shared
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** What all calls go to; `undefined` while two share them. */
  get only(): Generation<T> | undefined {
    return this.#shared ? undefined : this.#current
  }

  /** All that calls go to: one, or two that share them. */
  get serving(): readonly Generation<T>[] {
    return [this.#current, this.#shared?.next].filter((each) => each !== undefined)
  }

  async take(): Promise<Generation<T>> {
    while (!this.#current) {
      this.throwIfClosed()
      const ready = this.#ready
      this.#begin?.()
      await ready
    }
    return this.pick()
  }

  /** The generation for a call that begins now: the current one, or by the share that the next one has. */
  pick(): Generation<T> {
    if (!this.#current) throw this.#missingError()
    return this.#shared ? this.#shared.pick() : this.#current
  }

  call(name: string, a: unknown, b: unknown, c: unknown): Promise<unknown> {
    if (this.#current && !this.#shared) return this.#current.call(name, a, b, c)
    return this.#callLater(name, a, b, c)
  }

  direct(): T & object {
    if (!this.#current) throw this.#missingError()
    return this.#current.component as T & object
  }

  /** Puts the first component in. */
  fill(candidate: Candidate<T>, component: T): void {
    this.#current = new Generation(candidate, component)
    this.#filled()
  }

  /** Says that no component comes: calls that wait for it fail, and a later one asks for it again. */
  fail(error: unknown): void {
    const failed = this.#failed
    this.#ready = this.#awaited()
    failed(error)
  }

  /** The switch: what begins from now on goes to `next`. */
  give(next: Generation<T>): void {
    this.#current = next
  }

  /** Lets the two components of a swap share calls, until `unshare`. */
  share(underway: Underway<T>): void {
    this.#shared = underway
  }

  unshare(): void {
    this.#shared = undefined
  }

  /** From now on nobody waits for a component; the one that is there still gets calls. */
  close(): void {
    this.#closed = true
  }

  /** Takes the last component out. */
  empty(): Generation<T> | undefined {
    const last = this.#current
    this.#current = undefined
    this.#failed(this.closedError())
    return last
  }

  /** @throws `closed` */
  throwIfClosed(): void {
    if (this.#closed) throw this.closedError()
  }

  closedError(): ServiceError {
    return new ServiceError('closed', `the ${this.#type} of the service was closed`)
  }

  /** Settles with the first component, or with why there is none. */
  #awaited(): Promise<void> {
    const ready = new Promise<void>((resolve, reject) => {
      this.#filled = resolve
      this.#failed = reject
    })
    ready.catch(() => undefined)
    return ready
  }

  async #callLater(name: string, a: unknown, b: unknown, c: unknown): Promise<unknown> {
    return (this.#current ? this.pick() : await this.take()).call(name, a, b, c)
  }

  #missingError(): ServiceError {
    return this.#closed
      ? this.closedError()
      : new ServiceError('unavailable', `the service has no ${this.#type} yet; start it first`)
  }
}
