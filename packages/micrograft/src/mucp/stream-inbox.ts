import { MessageQueue } from '../streams/message-queue.js'

/** Bytes and messages that may wait to be read before the connection is asked to stop. */
const inboxBytes = 262_144
const inboxMessages = 128

export interface StreamInboxOptions {
  /** Too much waits (`true`), or there is room again. */
  readonly full: (full: boolean) => void
  /** The reader left before the end. */
  readonly left: () => void
}

/**
 * What came in on a stream and was not read yet. The wire has no windows: where too much waits, the
 * whole connection stops being read.
 */
export class StreamInbox extends MessageQueue {
  readonly #tell: (full: boolean) => void
  /** Of what waits. */
  #bytes = 0
  #full = false

  constructor({ full, left }: StreamInboxOptions) {
    super(left)
    this.#tell = full
  }

  override end(): void {
    super.end()
    if (this.#full) this.#setFull(false)
  }

  protected override queued({ length }: Uint8Array): void {
    this.#bytes += length
    if (!this.#full && (this.#bytes >= inboxBytes || this.length >= inboxMessages)) this.#setFull(true)
  }

  protected override read({ length }: Uint8Array, hadWaited: boolean): void {
    if (!hadWaited) return
    this.#bytes -= length
    if (this.#full && this.#bytes * 2 < inboxBytes && this.length * 2 < inboxMessages) this.#setFull(false)
  }

  protected override cleared(): void {
    this.#bytes = 0
  }

  #setFull(full: boolean): void {
    this.#full = full
    this.#tell(full)
  }
}
