import type { Duplex } from 'node:stream'

/** How long a peer may take to read the last of what is sent to it, and to close its side, in milliseconds. */
const farewellMs = 250

/** Ends a socket whose session ends by itself: left alone, that waits for the peer. */
export class Farewell {
  readonly #socket: Duplex
  #begun = false

  constructor(socket: Duplex) {
    this.#socket = socket
  }

  /** Begins to wait, once. */
  begin(): void {
    if (this.#begun || this.#socket.destroyed) return
    this.#begun = true
    const timer = setTimeout(() => this.#socket.destroy(), farewellMs)
    this.#socket.once('close', () => clearTimeout(timer))
  }
}
