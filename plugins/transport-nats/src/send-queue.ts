import type { ServiceError } from '@micrograft/contracts'

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: ServiceError) => void
}

/** Frames that the peer has no room for yet, and who waits until they are few. */
export class SendQueue {
  readonly #highWater: number
  #room: number
  #frames: Buffer[] = []
  #bytes = 0
  #waiters: Waiter[] = []

  /**
   * @param highWater Queued bytes from which on there is no room.
   * @param room Bytes that the peer takes before it gives more room.
   */
  constructor(highWater: number, room: number) {
    this.#highWater = highWater
    this.#room = room
  }

  get bytes(): number {
    return this.#bytes
  }

  get isEmpty(): boolean {
    return this.#frames.length === 0
  }

  get isLow(): boolean {
    return this.#bytes < this.#highWater
  }

  put(frame: Buffer): void {
    this.#frames.push(frame)
    this.#bytes += frame.length
  }

  /** The peer has room again, but never more than `most`. */
  grant(bytes: number, most: number): void {
    this.#room = Math.min(most, this.#room + bytes)
  }

  /** Sends what there is room for. */
  flush(send: (frame: Buffer) => void): void {
    let at = 0
    while (at < this.#frames.length && this.#room > 0) {
      const frame = this.#frames[at++] as Buffer
      send(frame)
      this.#bytes -= frame.length
      this.#room -= frame.length
    }
    this.#frames.splice(0, at)
    if (this.isLow) for (const { resolve } of this.#waiters.splice(0)) resolve()
  }

  /** Resolves when there is room. */
  drained(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.isLow) resolve()
      else this.#waiters.push({ resolve, reject })
    })
  }

  /** Rejects for all who wait. */
  refuse(reason: ServiceError): void {
    for (const { reject } of this.#waiters.splice(0)) reject(reason)
  }

  clear(): void {
    this.#frames = []
    this.#bytes = 0
  }
}
