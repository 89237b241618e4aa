import type { ServiceError } from '@micrograft/contracts'
import { ClientConnection, type ConnectionOptions, type Target } from './client-connection.js'

export interface PeerOptions extends ConnectionOptions {
  readonly connections: number
}

/** The connections to one node; calls go round them. */
export class ClientPeer {
  readonly #target: Target
  readonly #options: PeerOptions
  readonly #slots: (ClientConnection | undefined)[]
  /** Those that are not closed, also where no new calls go there. */
  readonly #all = new Set<ClientConnection>()
  readonly #emptied: () => void
  #next = 0

  /** @param emptied Called when no connection is left. */
  constructor(target: Target, options: PeerOptions, emptied: () => void) {
    this.#target = target
    this.#options = options
    this.#slots = Array.from({ length: options.connections })
    this.#emptied = emptied
  }

  /** One that calls may go to, now or once it is there. */
  connection(): ClientConnection | Promise<ClientConnection> {
    const slot = this.#next
    this.#next = (slot + 1) % this.#slots.length
    const connection = this.#slots[slot] ?? this.#dial(slot)
    return connection.usable ? connection : connection.ready
  }

  tick(now: number): void {
    for (const each of this.#all) each.tick(now)
  }

  async destroy(error: ServiceError): Promise<void> {
    const all = [...this.#all]
    for (const each of all) each.destroy(error)
    await Promise.all(all.map(({ closed }) => closed))
  }

  #dial(slot: number): ClientConnection {
    let ended = false
    const connection = new ClientConnection(this.#target, this.#options, () => {
      ended = true
      if (this.#slots[slot] === connection) this.#slots[slot] = undefined
    })
    if (!ended) this.#slots[slot] = connection
    this.#all.add(connection)
    void connection.closed.then(() => {
      this.#all.delete(connection)
      if (this.#all.size === 0) this.#emptied()
    })
    return connection
  }
}
