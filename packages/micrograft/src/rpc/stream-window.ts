import { ServiceError } from '@micrograft/contracts'
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

interface Reader {
  readonly resolve: (result: IteratorResult<Uint8Array, undefined>) => void
  readonly reject: (error: unknown) => void
}

const finished: IteratorReturnResult<undefined> = { done: true, value: undefined }

/** What came in and was not read yet: never more than the window, and one message. */
export class ReceiveQueue implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #options: ReceiveQueueOptions
  #queue: Uint8Array[] = []
  #readers: Reader[] = []
  #bytes: number
  #messages: number
  /** Read, but not given back to the peer yet. */
  #readBytes = 0
  #readMessages = 0
  #ended = false
  #failed = false
  #error: unknown

  constructor(options: ReceiveQueueOptions) {
    this.#options = options
    this.#bytes = options.windowBytes
    this.#messages = options.windowMessages
  }

  /** @throws `protocol` where the peer sends more than its window. */
  push(body: Uint8Array): void {
    if (this.#bytes <= 0 || this.#messages <= 0) throw protocolError('a stream sends more than its window')
    this.#bytes -= body.length
    this.#messages--
    // Nobody reads any more, and nobody gives credit back: the peer waits until the stream ends.
    if (this.#ended) return
    const reader = this.#readers.shift()
    if (!reader) {
      this.#queue.push(body)
      return
    }
    reader.resolve({ done: false, value: body })
    this.#read(body)
  }

  /** What is queued is still read, then it ends. */
  end(): void {
    this.#ended = true
    const readers = this.#readers
    this.#readers = []
    for (const { resolve } of readers) resolve(finished)
  }

  /** What is queued is still read, unless `now`; then it throws. */
  fail(error: unknown, now = false): void {
    const whole = this.#ended && this.#queue.length === 0
    if (now) this.#queue = []
    if (whole || (this.#ended && !now)) return
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
      this.#read(body)
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
    this.#queue = []
    this.#failed = false
    this.end()
    if (left) this.#options.left()
    return Promise.resolve(finished)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Gives credit back once half of the window was read, so that windows cost few frames. */
  #read({ length }: Uint8Array): void {
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
