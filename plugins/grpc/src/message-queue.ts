/** What a queue asks of the stream that fills it. */
export interface MessageSource {
  pause(): void
  resume(): void
  /** The reader has left. */
  left(): void
}

/** Messages that came and were not read yet. What fills it stands still while there are any. */
export class MessageQueue implements AsyncIterable<Uint8Array> {
  readonly #source: MessageSource
  #messages: Uint8Array[] = []
  #waiting: { resolve(result: IteratorResult<Uint8Array>): void; reject(error: unknown): void }[] = []
  #over = false
  #error: Error | undefined

  constructor(source: MessageSource) {
    this.#source = source
  }

  put(message: Uint8Array): void {
    if (this.#over) return
    const waiting = this.#waiting.shift()
    if (waiting) {
      waiting.resolve({ done: false, value: message })
      return
    }
    this.#messages.push(message)
    this.#source.pause()
  }

  /** The last that comes, after the messages before it. */
  end(error?: Error): void {
    if (this.#over) return
    this.#over = true
    this.#error = error
    for (const waiting of this.#waiting.splice(0)) {
      if (error) waiting.reject(error)
      else waiting.resolve({ done: true, value: undefined })
    }
  }

  /** Ends it with an error now; what was not read yet is dropped. */
  fail(error: Error): void {
    this.#messages = []
    if (this.#over) this.#error ??= error
    else this.end(error)
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: () => this.#next(),
      return: async () => {
        const unread = this.#messages.length > 0
        this.#messages = []
        if (!this.#over || unread) this.#source.left()
        this.end()
        this.#error = undefined
        return { done: true, value: undefined }
      },
    }
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    const message = this.#messages.shift()
    if (message) {
      if (this.#messages.length === 0) this.#source.resume()
      return { done: false, value: message }
    }
    if (this.#over) {
      if (this.#error) throw this.#error
      return { done: true, value: undefined }
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
    })
  }
}
