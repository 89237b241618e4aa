import { ServiceError, type Connection, type Message } from '@micrograft/contracts'

/** One direction of a stream, at the end that sends: in order, and no faster than the connection. */
export class StreamOutbox {
  readonly #connection: Connection
  #waiting = 0
  #tail: Promise<void> = Promise.resolve()
  #full = false
  #failed = false
  #error: unknown
  #wake: (() => void) | undefined

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** @throws `too-large`, what `fail` said, the signal's reason. */
  send(message: Message, signal?: AbortSignal): Promise<void> {
    if (this.#failed) return Promise.reject(this.#error as Error)
    if (signal?.aborted) return Promise.reject(signal.reason as Error)
    try {
      if (this.#waiting === 0 && !this.#full && this.#put(message)) return Promise.resolve()
    } catch (error) {
      return Promise.reject(error as Error)
    }
    this.#waiting++
    const sent = this.#tail.then(() => this.#later(message, signal))
    this.#tail = sent.catch(() => undefined).then(() => void this.#waiting--)
    return signal ? abortable(sent, signal) : sent
  }

  /** Resolves when what was sent before has gone to the connection; never rejects. */
  settled(): Promise<void> {
    return this.#tail
  }

  /** Every `send` throws `error` from now on, those that wait too. */
  fail(error: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.#error = error
    this.#wake?.()
  }

  async #later(message: Message, signal: AbortSignal | undefined): Promise<void> {
    const isOver = () => this.#failed || signal?.aborted === true
    while (!isOver()) {
      if (!this.#full && this.#put(message)) return
      await new Promise<void>((resolve) => (this.#wake = resolve))
      this.#wake = undefined
    }
    if (this.#failed) throw this.#error
  }

  /** Gives `false` where the connection has ended: why, its handler is told next, and says it by `fail`. */
  #put(message: Message): boolean {
    try {
      if (!this.#connection.send(message)) this.#fill()
      return true
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code !== 'closed') throw error
      this.#full = true
      return false
    }
  }

  #fill(): void {
    this.#full = true
    const room = () => {
      this.#full = false
      this.#wake?.()
    }
    this.#connection.drained().then(room, () => undefined)
  }
}

/** What `send` of a stream throws once nothing more may be sent. */
export function endedError(): ServiceError {
  return new ServiceError('closed', 'the stream has ended')
}

/** `promise`, or the signal's reason as soon as it is aborted. */
function abortable(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason as Error)
    signal.addEventListener('abort', aborted, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted))
  })
}
