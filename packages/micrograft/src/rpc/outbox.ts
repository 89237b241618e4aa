import { ServiceError, type Connection, type Message } from '@micrograft/contracts'
import { takesParts } from '../transport/bare-messages.js'
import { Scratch } from './frame-writer.js'

const header: Message['header'] = Object.freeze({})

/** From so many open calls on, what is put together is large enough to leave by its size. */
const manyCalls = 64
/** Of fewer, so large a part leaves at once. Both found by measuring. */
const leavingShare = 1 / 4

/**
 * What goes out on one connection, in order. Once the connection has no room, frames wait here, so
 * that the transport's own limit is not met.
 */
export class Outbox {
  /** Where the head of the next frame is written, for `sendParts`. */
  readonly scratch: Scratch = new Scratch()
  readonly #connection: Connection
  readonly #maxQueuedBytes: number
  readonly #onCongested: (congested: boolean) => void
  #waiting: Uint8Array[] = []
  #waitingBytes = 0
  #congested = false
  #ended = false
  #room: Promise<void> | undefined
  /** Calls that were put together. */
  #joined = 0

  constructor(
    connection: Connection,
    maxQueuedBytes: number,
    onCongested: (congested: boolean) => void = () => undefined,
  ) {
    this.#connection = connection
    this.#maxQueuedBytes = maxQueuedBytes
    this.#onCongested = onCongested
  }

  /** Whether frames wait for the peer to read. */
  get congested(): boolean {
    return this.#congested
  }

  /** Whether `bytes` more may wait. */
  hasRoom(bytes: number): boolean {
    return !this.#congested || this.#waitingBytes + bytes <= this.#maxQueuedBytes
  }

  /** Resolves when nothing waits any more, and also once the connection has ended. */
  room(): Promise<void> {
    return this.#room ?? Promise.resolve()
  }

  /**
   * Sends a frame behind those before it. Where too much waits already, the connection ends with `overloaded`.
   * @throws `too-large` where the transport's own limit is below the protocol's.
   */
  send(frame: Uint8Array): void {
    if (this.#ended) return
    if (!this.#congested) {
      if (!this.#put(frame)) this.#wait()
      return
    }
    this.#waitingBytes += frame.length
    if (this.#waitingBytes > this.#maxQueuedBytes) {
      const { remote } = this.#connection
      this.end()
      this.#connection.destroy(
        new ServiceError(
          'overloaded',
          `${remote} does not read: more than ${this.#maxQueuedBytes} bytes wait for it`,
        ),
      )
      return
    }
    this.#waiting.push(frame)
  }

  /**
   * Sends the frame whose first `headLength` bytes are in `scratch` and the rest is `body`.
   * @throws as `send`
   */
  sendParts(headLength: number, body: Uint8Array): void {
    const connection = this.#connection
    const head = this.scratch.bytes
    if (this.#congested || this.#ended || !takesParts(connection)) {
      const frame = Buffer.allocUnsafe(headLength + body.length)
      head.copy(frame, 0, 0, headLength)
      frame.set(body, headLength)
      this.send(frame)
      return
    }
    try {
      if (!connection.sendParts(head, headLength, body)) this.#wait()
    } catch (error) {
      this.#refused(error)
    }
  }

  /**
   * Lets calls leave before their turn has ended where few are open: the peer works on the first while the
   * others are put together, and neither side waits for the other.
   */
  pace(open: number): void {
    if (open >= manyCalls || ++this.#joined <= open * leavingShare) return
    this.#joined = 0
    if (takesParts(this.#connection)) this.#connection.flush()
  }

  /**
   * Sends what must be told, whatever it takes.
   * @param write Gives the frame, shortened to `maxBytes` where that is possible.
   */
  tell(write: (maxBytes: number) => Uint8Array, maxBytes: number): void {
    try {
      this.send(write(maxBytes))
    } catch {
      // The transport takes less than the peer does.
      this.send(write(0))
    }
  }

  /** Sends nothing more. */
  end(): void {
    this.#ended = true
    this.#waiting = []
    this.#waitingBytes = 0
  }

  #put(frame: Uint8Array): boolean {
    try {
      return this.#connection.send({ header, body: frame })
    } catch (error) {
      this.#refused(error)
      return true
    }
  }

  #refused(error: unknown): void {
    if (error instanceof ServiceError && error.code === 'too-large') throw error
    // The connection has ended, which its handler is told.
    this.end()
  }

  #wait(): void {
    this.#congested = true
    this.#onCongested(true)
    this.#room = this.#drain()
  }

  async #drain(): Promise<void> {
    try {
      while (this.#congested && !this.#ended) {
        await this.#connection.drained()
        this.#congested = false
        const waiting = this.#waiting
        let sent = 0
        while (sent < waiting.length && !this.#congested && !this.#ended) {
          const frame = waiting[sent++] as Uint8Array
          this.#waitingBytes -= frame.length
          if (!this.#put(frame)) this.#congested = true
        }
        this.#waiting = waiting.slice(sent)
      }
    } catch (error) {
      this.end()
      if (error instanceof ServiceError && error.code === 'too-large') this.#connection.destroy(error)
    }
    this.#congested = false
    this.#room = undefined
    if (!this.#ended) this.#onCongested(false)
  }
}
