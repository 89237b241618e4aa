import type { Connection, ConnectionHandler, Listener, Transport } from '@micrograft/contracts'

type Accept = (connection: Connection) => ConnectionHandler

/**
 * The address that a service listens on. It belongs to the service and not to its server: when another
 * server takes over, it takes new connections at this door and none is refused in between.
 */
export class Door {
  readonly #transport: Transport
  readonly #address: string
  #listener: Promise<Listener> | undefined
  #accept: Accept | undefined

  constructor(transport: Transport, address: string) {
    this.#transport = transport
    this.#address = address
  }

  /** Opens the door, or hands it over to `accept` where it is open. */
  readonly listen = async (accept: Accept): Promise<Listener> => {
    const before = this.#accept
    this.#accept = accept
    this.#listener ??= this.#transport.listen(this.#address, (connection) =>
      (this.#accept as Accept)(connection),
    )
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
  async #leave(accept: Accept): Promise<void> {
    if (this.#accept !== accept) return
    const listener = this.#listener
    this.#listener = undefined
    this.#accept = undefined
    await (await listener)?.[Symbol.asyncDispose]()
  }
}
