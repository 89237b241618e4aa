import type { ServiceError } from '@micrograft/contracts'

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: ServiceError) => void
}

/** Those who wait until there is room again for what they would send. */
export class DrainWaiters {
  #waiters: Waiter[] = []

  get size(): number {
    return this.#waiters.length
  }

  /** Resolves with `release`, and rejects with what `fail` is given. */
  wait(): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  release(): void {
    for (const { resolve } of this.#taken()) resolve()
  }

  fail(error: ServiceError): void {
    for (const { reject } of this.#taken()) reject(error)
  }

  #taken(): readonly Waiter[] {
    const waiters = this.#waiters
    this.#waiters = []
    return waiters
  }
}
