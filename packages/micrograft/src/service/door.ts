import type { Listener } from '@micrograft/contracts'

/**
 * An address that a service listens on. It belongs to the service and not to its server: when another
 * server takes over, it takes new connections at this door and none is refused in between.
 */
export class Door<C, R> {
  readonly #open: (accept: (connection: C) => R) => Promise<Listener>
  #listener: Promise<Listener> | undefined
  #accept: ((connection: C) => R) | undefined

  /** @param open Opens the address; what it is given takes each connection. */
  constructor(open: (accept: (connection: C) => R) => Promise<Listener>) {
    this.#open = open
  }

  /** Opens the door, or hands it over to `accept` where it is open. */
  readonly listen = async (accept: (connection: C) => R): Promise<Listener> => {
    const before = this.#accept
    this.#accept = accept
    this.#listener ??= this.#open((connection) => (this.#accept as typeof accept)(connection))
    try {
      const { address } = await this.#listener
      return { address, [Symbol.asyncDispose]: () => this.#leave(accept) }
    } catch (error) {
      this.#listener = undefined
      this.#accept = before
      throw error
    }
  }

  /** Closes the door, unless another server has it by now. */
  async #leave(accept: (connection: C) => R): Promise<void> {
    if (this.#accept !== accept) return
    const listener = this.#listener
    this.#listener = undefined
    this.#accept = undefined
    await (await listener)?.[Symbol.asyncDispose]()
  }
}
