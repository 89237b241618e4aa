import type { ServiceError, Transport } from '@micrograft/contracts'
import { ClientConnection, type ClientConnectionOptions } from './client-connection.js'

export interface ClientPeerOptions extends ClientConnectionOptions {
  readonly connections: number
}

interface Place {
  connection: ClientConnection | undefined
  dialling: Promise<ClientConnection> | undefined
}

/** The connections to one node: made when they are first needed, and again after a loss. */
export class ClientPeer {
  readonly #transport: Transport
  readonly #address: string
  readonly #options: ClientPeerOptions
  readonly #signal: AbortSignal
  readonly #onEmpty: () => void
  readonly #places: Place[]
  /** Those that end once their calls have. */
  readonly #draining = new Set<ClientConnection>()
  #next = 0

  /** @param onEmpty Called whenever it has no connection left. */
  constructor(
    transport: Transport,
    address: string,
    options: ClientPeerOptions,
    signal: AbortSignal,
    onEmpty: () => void,
  ) {
    this.#transport = transport
    this.#address = address
    this.#options = options
    this.#signal = signal
    this.#onEmpty = onEmpty
    this.#places = Array.from({ length: options.connections }, () => ({
      connection: undefined,
      dialling: undefined,
    }))
  }

  /** The connection for the next call, or a promise of it while there is none; calls at the same time share one dial. */
  connection(): ClientConnection | Promise<ClientConnection> {
    const place = this.#places[this.#next] as Place
    if (this.#places.length > 1) this.#next = (this.#next + 1) % this.#places.length
    return place.connection ?? (place.dialling ??= this.#dial(place))
  }

  tick(now: number): void {
    for (const { connection } of this.#places) connection?.tick(now)
    for (const connection of this.#draining) connection.tick(now)
  }

  destroy(error: ServiceError): void {
    for (const { connection } of this.#places) connection?.destroy(error)
    for (const connection of this.#draining) connection.destroy(error)
  }

  async #dial(place: Place): Promise<ClientConnection> {
    try {
      const connection = await ClientConnection.dial(
        this.#transport,
        this.#address,
        this.#options,
        this.#signal,
        {
          draining: (which) => {
            this.#draining.add(which)
            if (place.connection === which) place.connection = undefined
          },
          ended: (which) => {
            this.#draining.delete(which)
            this.#tellEmpty()
          },
        },
      )
      if (!connection.draining) place.connection = connection
      return connection
    } finally {
      place.dialling = undefined
      this.#tellEmpty()
    }
  }

  #tellEmpty(): void {
    if (this.#draining.size > 0) return
    if (this.#places.some(({ connection, dialling }) => connection || dialling)) return
    this.#onEmpty()
  }
}
