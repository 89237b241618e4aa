interface Reader {
  readonly resolve: (result: IteratorResult<Uint8Array, undefined>) => void
  readonly reject: (error: unknown) => void
}

const finished: IteratorReturnResult<undefined> = { done: true, value: undefined }

/** What came in on a stream and was not read yet, for whoever iterates. How much that may be is for subclasses to hold. */
export abstract class MessageQueue implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #left: () => void
  #queue: Uint8Array[] = []
  #readers: Reader[] = []
  #ended = false
  #failed = false
  #error: unknown

  /** @param left The reader left before the end. */
  constructor(left: () => void) {
    this.#left = left
  }

  /** Messages that wait. */
  get length(): number {
    return this.#queue.length
  }

  /** A message waits. */
  protected queued(_body: Uint8Array): void {}

  /** A message was handed to its reader. @param hadWaited Whether `queued` was called with it. */
  protected abstract read(body: Uint8Array, hadWaited: boolean): void

  /** What waits was thrown away. */
  protected cleared(): void {}

  push(body: Uint8Array): void {
    if (this.#ended) return
    const reader = this.#readers.shift()
    if (!reader) {
      this.#queue.push(body)
      this.queued(body)
      return
    }
    reader.resolve({ done: false, value: body })
    this.read(body, false)
  }

  /** What waits is still read, then it ends. */
  end(): void {
    this.#ended = true
    const readers = this.#readers
    this.#readers = []
    for (const { resolve } of readers) resolve(finished)
  }

  /** What waits is still read, unless `now`; then it throws, once. */
  fail(error: unknown, now = false): void {
    if (this.#ended && (!now || this.#queue.length === 0)) return
    if (now) this.#clear()
    const reader = this.#readers.shift()
    if (reader) {
      reader.reject(error)
    } else {
      this.#failed = true
      this.#error = error
    }
    this.end()
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const body = this.#queue.shift()
    if (body) {
      this.read(body, true)
      return Promise.resolve({ done: false, value: body })
    }
    if (this.#failed) {
      this.#failed = false
      return Promise.reject(this.#error as Error)
    }
    if (this.#ended) return Promise.resolve(finished)
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }))
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    const left = !this.#ended || this.#queue.length > 0
    this.#clear()
    this.#failed = false
    this.end()
    if (left) this.#left()
    return Promise.resolve(finished)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #clear(): void {
    this.#queue = []
    this.cleared()
  }
}
