import { ServiceError } from '@micrograft/contracts'
import { MessageQueue } from '../streams/message-queue.js'
import { protocolError } from '../transport/protocol-error.js'
import { maxVarint } from '../transport/varint.js'

export interface WindowSize {
  readonly windowBytes: number
  readonly windowMessages: number
}

/** What one direction of a stream may still send. A message may overdraw the bytes, so that one larger than the window passes. */
export class SendWindow {
  #bytes: number
  #messages: number
  #error: unknown
  #failed = false
  #wake: (() => void) | undefined
  #changed: Promise<void> | undefined

  constructor({ windowBytes, windowMessages }: WindowSize) {
    this.#bytes = windowBytes
    this.#messages = windowMessages
  }

  /** Whether a message may be sent at once; takes its credit then. @throws what `fail` said. */
  take(bytes: number): boolean {
    if (this.#failed) throw this.#error
    if (this.#bytes <= 0 || this.#messages <= 0) return false
    this.#bytes -= bytes
    this.#messages--
    return true
  }

  /** Resolves when `take` is worth another try. */
  changed(): Promise<void> {
    return (this.#changed ??= new Promise((resolve) => (this.#wake = resolve)))
  }

  /** @throws `protocol` where a peer gives more than there can be. */
  grant(bytes: number, messages: number): void {
    this.#bytes += bytes
    this.#messages += messages
    if (this.#bytes > maxVarint || this.#messages > maxVarint) throw protocolError('a window is too large')
    this.#tell()
  }

  /** Every `take` throws `error` from now on. */
  fail(error: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.#error = error
    this.#tell()
  }

  #tell(): void {
    this.#wake?.()
    this.#wake = undefined
    this.#changed = undefined
  }
}

export interface ReceiveQueueOptions extends WindowSize {
  /** Credit that the reader gave back. */
  readonly grant: (bytes: number, messages: number) => void
  /** The reader left before the end. */
  readonly left: () => void
}

/** What came in and was not read yet: never more than the window, and one message. */
export class ReceiveQueue extends MessageQueue {
  readonly #options: ReceiveQueueOptions
  #bytes: number
  #messages: number
  /** Read, but not given back to the peer yet. */
  #readBytes = 0
  #readMessages = 0

  constructor(options: ReceiveQueueOptions) {
    super(options.left)
    this.#options = options
    this.#bytes = options.windowBytes
    this.#messages = options.windowMessages
  }

  /**
   * Once nobody reads any more nobody gives credit back either: the peer waits until the stream ends.
   * @throws `protocol` where the peer sends more than its window.
   */
  override push(body: Uint8Array): void {
    if (this.#bytes <= 0 || this.#messages <= 0) throw protocolError('a stream sends more than its window')
    this.#bytes -= body.length
    this.#messages--
    super.push(body)
  }

  /** Gives credit back once half of the window was read, so that windows cost few frames. */
  protected override read({ length }: Uint8Array): void {
    this.#readBytes += length
    this.#readMessages++
    const { windowBytes, windowMessages, grant } = this.#options
    if (this.#readBytes * 2 < windowBytes && this.#readMessages * 2 < windowMessages) return
    this.#bytes += this.#readBytes
    this.#messages += this.#readMessages
    grant(this.#readBytes, this.#readMessages)
    this.#readBytes = 0
    this.#readMessages = 0
  }
}

/** What `send` of a stream throws once nothing more may be sent. */
export function endedError(): ServiceError {
  return new ServiceError('closed', 'the stream has ended')
}
