/** Bytes and messages that may wait to be read before the connection is asked to stop. */
const inboxBytes = 262_144
const inboxMessages = 128

export interface StreamInboxOptions {
  /** Too much waits (`true`), or there is room again. */
  readonly full: (full: boolean) => void
  /** The reader left before the end. */
  readonly left: () => void
}

interface Reader {
  readonly resolve: (result: IteratorResult<Uint8Array, undefined>) => void
  readonly reject: (error: unknown) => void
}

const finished: IteratorReturnResult<undefined> = { done: true, value: undefined }

/**
 * What came in on a stream and was not read yet. The wire has no windows: where too much waits, the
 * whole connection stops being read.
 */
export class StreamInbox implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #options: StreamInboxOptions
  #queue: Uint8Array[] = []
  #readers: Reader[] = []
  #bytes = 0
  #full = false
  #ended = false
  #failed = false
  #error: unknown

  constructor(options: StreamInboxOptions) {
    this.#options = options
  }

  push(body: Uint8Array): void {
    if (this.#ended) return
    const reader = this.#readers.shift()
    if (reader) {
      reader.resolve({ done: false, value: body })
      return
    }
    this.#queue.push(body)
    this.#bytes += body.length
    if (!this.#full && (this.#bytes >= inboxBytes || this.#queue.length >= inboxMessages)) this.#tell(true)
  }

  /** What is queued is still read, then it ends. */
  end(): void {
    this.#ended = true
    const readers = this.#readers
    this.#readers = []
    for (const { resolve } of readers) resolve(finished)
    if (this.#full) this.#tell(false)
  }

  /** What is queued is still read, unless `now`; then it throws, once. */
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
      this.#bytes -= body.length
      if (this.#full && this.#bytes * 2 < inboxBytes && this.#queue.length * 2 < inboxMessages)
        this.#tell(false)
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
    if (left) this.#options.left()
    return Promise.resolve(finished)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #clear(): void {
    this.#queue = []
    this.#bytes = 0
  }

  #tell(full: boolean): void {
    this.#full = full
    this.#options.full(full)
  }
}
