import type { Listener } from '@micrograft/contracts'

type Accept<C, R> = (connection: C) => R

/**
 * An address that a service listens on. It belongs to the service and not to its server: when another
 * server takes over, it takes new connections at this door and none is refused in between. The door is
 * shut when the last server has left it.
 */
export class Door<C, R, L extends Listener = Listener> {
  /** There while the door is open. */
  listener: L | undefined
  readonly #open: (accept: Accept<C, R>) => Promise<L>
  /** By server, the one that new connections go to last. */
  readonly #accepts = new Map<object, Accept<C, R>>()
  #accept: Accept<C, R> | undefined
  #listener: Promise<L> | undefined

  /** @param open Opens the address; what it is given takes each connection. */
  constructor(open: (accept: Accept<C, R>) => Promise<L>) {
    this.#open = open
  }

  /** Opens the door for `server`, or relieves the one that has it. */
  async listen(server: object, accept: Accept<C, R>): Promise<Listener> {
    this.#hand(server, accept)
    this.#listener ??= this.#open((connection) => (this.#accept as Accept<C, R>)(connection))
    try {
      const listener = await this.#listener
      this.listener = listener
      return {
        get address() {
          return listener.address
        },
        get secure() {
          return listener.secure
        },
        [Symbol.asyncDispose]: () => this.#leave(server),
      }
    } catch (error) {
      this.#listener = undefined
      this.#accepts.delete(server)
      throw error
    }
  }

  /** Sends new connections to `server` again, where it has not left. */
  handBack(server: object): void {
    const accept = this.#accepts.get(server)
    if (accept) this.#hand(server, accept)
  }

  /** Whether `server` has listened here and not left. */
  has(server: object): boolean {
    return this.#accepts.has(server)
  }

  #hand(server: object, accept: Accept<C, R>): void {
    this.#accepts.delete(server)
    this.#accepts.set(server, accept)
    this.#accept = accept
  }

  async #leave(server: object): Promise<void> {
    if (!this.#accepts.delete(server)) return
    this.#accept = [...this.#accepts.values()].at(-1) ?? this.#accept
    if (this.#accepts.size > 0) return
    const listener = this.#listener
    this.#listener = this.listener = undefined
    await (await listener)?.[Symbol.asyncDispose]()
  }
}
