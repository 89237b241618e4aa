import type { Connection } from '@micrograft/contracts'

export interface BrakeOptions {
  readonly maxCalls: number
  readonly maxCallBytes: number
}

/** Stops reading a client's connection while there is a reason to: much is under way, or it does not read itself. */
export class Brake {
  readonly #connection: Connection
  readonly #options: BrakeOptions
  #reasons = 0
  #calls = 0
  #callBytes = 0
  #isLoaded = false
  #isCongested = false

  constructor(connection: Connection, options: BrakeOptions) {
    this.#connection = connection
    this.#options = options
  }

  hold(): void {
    if (this.#reasons++ === 0) this.#connection.pause()
  }

  release(): void {
    if (--this.#reasons === 0) this.#connection.resume()
  }

  /** A call is taken, to run or to wait, with a body of `bytes`. */
  callTaken(bytes: number): void {
    this.#calls++
    this.#callBytes += bytes
    this.#weigh()
  }

  callDone(bytes: number): void {
    this.#calls--
    this.#callBytes -= bytes
    this.#weigh()
  }

  /** Replies wait for the client to read. */
  async congested(): Promise<void> {
    if (this.#isCongested) return
    this.#isCongested = true
    this.hold()
    await this.#connection.drained().catch(() => undefined)
    this.#isCongested = false
    this.release()
  }

  #weigh(): void {
    const { maxCalls, maxCallBytes } = this.#options
    const isLoaded = this.#calls >= maxCalls || this.#callBytes >= maxCallBytes
    if (isLoaded === this.#isLoaded) return
    this.#isLoaded = isLoaded
    if (isLoaded) this.hold()
    else this.release()
  }
}
