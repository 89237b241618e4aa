import { ServiceError } from '@micrograft/contracts'
import { dataFrame } from './frame-writer.js'
import type { Outbox } from './outbox.js'
import { SendWindow, type WindowSize } from './stream-window.js'

/** Type and slot of a data frame, at most. */
const headBytes = 6

export interface StreamSenderOptions {
  readonly outbox: Outbox
  readonly slot: number
  readonly window: WindowSize
  /** The largest frame that the peer takes. */
  readonly maxFrameBytes: number
}

/** One direction of a stream, at the end that sends: in order, within the window, and no faster than the connection. */
export class StreamSender {
  readonly window: SendWindow
  readonly #options: StreamSenderOptions
  #waiting = 0
  #tail: Promise<void> = Promise.resolve()

  constructor(options: StreamSenderOptions) {
    this.#options = options
    this.window = new SendWindow(options.window)
  }

  send(body: Uint8Array, signal?: AbortSignal): Promise<void> {
    const { maxFrameBytes, outbox } = this.#options
    if (signal?.aborted) return Promise.reject(signal.reason as Error)
    if (body.length + headBytes > maxFrameBytes) {
      return Promise.reject(
        new ServiceError(
          'too-large',
          `a message of ${body.length} bytes is above the peer's limit of ${maxFrameBytes - headBytes}`,
        ),
      )
    }
    try {
      if (this.#waiting === 0 && !outbox.congested && this.window.take(body.length)) {
        this.#put(body)
        return Promise.resolve()
      }
    } catch (error) {
      return Promise.reject(error as Error)
    }
    this.#waiting++
    const sent = this.#tail.then(() => this.#later(body, signal))
    this.#tail = sent.catch(() => undefined).then(() => void this.#waiting--)
    return signal ? abortable(sent, signal) : sent
  }

  /** Resolves when what was sent before has gone out; never rejects. */
  settled(): Promise<void> {
    return this.#tail
  }

  async #later(body: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const { outbox } = this.#options
    while (outbox.congested || !this.window.take(body.length)) {
      if (signal?.aborted) return
      await (outbox.congested ? outbox.room() : this.window.changed())
      if (signal?.aborted) return
    }
    this.#put(body)
  }

  #put(body: Uint8Array): void {
    try {
      this.#options.outbox.send(dataFrame(this.#options.slot, body))
    } catch (error) {
      // The transport does not take it: nothing of the window was used.
      this.window.grant(body.length, 1)
      throw error
    }
  }
}

/** `promise`, or the signal's reason as soon as it is aborted. */
function abortable(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason as Error)
    signal.addEventListener('abort', aborted, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted))
  })
}
