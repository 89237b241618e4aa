import { ServiceError, type ClientRequest, type ErrorCode } from '@micrograft/contracts'
import type { ClientConnection } from './client-connection.js'
import type { Timed } from '../deadlines/deadline-wheel.js'
import type { FrameReader } from './frame-reader.js'
import type { Scratch, WireTarget } from './frame-writer.js'

export interface ExchangeOwner {
  /** The exchange is over at this end: nothing is to be told of it any more. */
  settled(exchange: Exchange): void
}

/** A call or a stream at the client, from before it has a connection to its end. */
export abstract class Exchange implements Timed {
  readonly request: ClientRequest
  dueAt: number = Infinity
  wheelSlot: number = -1
  wheelNext: Timed | undefined = undefined
  wheelPrevious: Timed | undefined = undefined
  /** Where it goes; -1 before it was sent. */
  slot: number = -1
  connection: ClientConnection | undefined = undefined
  /** Its end is known here; a last frame of the peer may still be to come. */
  ended: boolean = false
  readonly #owner: ExchangeOwner
  #signal: AbortSignal | undefined = undefined
  #onAbort: (() => void) | undefined = undefined

  constructor(request: ClientRequest, owner: ExchangeOwner) {
    this.request = request
    this.#owner = owner
  }

  /** Writes the frame that opens it, but for the body, and gives its length. */
  abstract writeHead(scratch: Scratch, slot: number, timeoutMs: number, target: WireTarget): number
  /** What follows that. */
  abstract get body(): Uint8Array
  /** The slot is its own, and the frame was sent. */
  abstract started(connection: ClientConnection): void
  /** Takes a frame of its slot whose type is its own; gives whether it was the last. */
  abstract take(type: number, reader: FrameReader): boolean
  protected abstract fail(error: unknown, now: boolean): void

  watch(signal: AbortSignal | undefined): void {
    if (!signal) return
    this.#signal = signal
    this.#onAbort = () => this.cancel(signal.reason, 'canceled')
    signal.addEventListener('abort', this.#onAbort)
  }

  /** The caller's deadline has passed. */
  expire(): void {
    const { service, endpoint, timeoutMs } = this.request
    const error = new ServiceError('timeout', `${service} did not answer ${endpoint} within ${timeoutMs} ms`)
    this.cancel(error, 'timeout')
  }

  /** Ends it from this side. */
  cancel(reason: unknown, code: ErrorCode): void {
    if (this.ended) return
    this.#settle()
    this.fail(reason, true)
    if (this.slot !== -1) this.connection?.cancel(this, code, reason)
  }

  /** Ends it with what the peer or the connection failed with. */
  failed(error: unknown): void {
    if (this.ended) return
    this.#settle()
    this.fail(error, false)
  }

  /** Ends it well. */
  protected finish(): void {
    this.#settle()
  }

  #settle(): void {
    this.ended = true
    if (this.#signal) {
      this.#signal.removeEventListener('abort', this.#onAbort as () => void)
      this.#signal = undefined
      this.#onAbort = undefined
    }
    this.#owner.settled(this)
  }
}
