import { ServiceError, type Logger } from '@micrograft/contracts'
import { Connection, type ConnectionOptions } from 'rabbitmq-client'
import { isRefusal, rabbitmqError } from './rabbitmq-error.js'

export interface LinkOptions {
  readonly connection: ConnectionOptions
  /** For messages, without a password. */
  readonly label: string
  readonly log: Logger
}

/** What of the library has to be other than it is; the tests tell where this is not so any more. */
interface Inside {
  /** What frames are read and written by, where it should be what the server agreed to. */
  readonly _opt: { frameMax: number }
  readonly _state: { readonly frameMax: number }
  _handleChunk(
    frame: { readonly type: number; readonly fields: { contentType?: string | undefined } } | null,
  ): void
}

const headerFrame = 2

/** Longest wait for a server that does not answer when it is told good-bye, in milliseconds. */
export const closeTimeoutMs = 1000

/** One connection, which comes back by itself, and who waits for it. */
export class Link implements AsyncDisposable {
  readonly connection: Connection
  readonly #options: LinkOptions
  readonly #waiting = new Set<() => void>()
  #failure: ServiceError | undefined
  #blocked: string | undefined
  #closed = false

  constructor(options: LinkOptions) {
    const { log, label } = options
    this.#options = options
    this.connection = new Connection(options.connection)
    this.connection.on('error', (error: unknown) => {
      this.#failure = rabbitmqError(error, `cannot reach RabbitMQ at ${label}`)
      this.#blocked = undefined
      if (this.#closed) return
      log.warn('connection failed', { error: this.#failure })
      this.#failed?.(this.#failure)
    })
    const inside = this.connection as unknown as Inside
    const handleChunk = inside._handleChunk
    inside._handleChunk = (frame) => {
      // It would read bodies that are said to be text or JSON, and what is written of that is not what came.
      if (frame?.type === headerFrame) frame.fields.contentType = undefined
      handleChunk.call(inside, frame)
    }
    this.connection.on('connection', () => {
      inside._opt.frameMax = inside._state.frameMax
      this.#failure = undefined
      this.#wake()
    })
    this.connection.on('connection.blocked', (reason: string) => {
      this.#blocked = reason
      log.warn('the server takes no messages', { reason })
    })
    this.connection.on('connection.unblocked', () => {
      this.#blocked = undefined
      this.#wake()
    })
  }

  #failed: ((error: ServiceError) => void) | undefined

  /** Resolves when it is there for the first time. @throws `unavailable`, `unauthenticated`, `forbidden`, or the signal's reason. */
  async open(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { connectionTimeout = 0, hosts = [] } = this.#options.connection
    const { promise, resolve, reject } = deferred()
    // One address that refuses is all there is; where there are more, the next may not.
    this.#failed = (error) => {
      if (isRefusal(error) || hosts.length < 2) reject(error)
    }
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    const timer = setTimeout(() => reject(this.unavailable()), connectionTimeout)
    const leave = this.whenReady(resolve)
    try {
      await promise
    } finally {
      this.#failed = undefined
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      leave()
    }
  }

  /** Calls `then` once messages can be sent, which may be at once, or it is disposed. @returns takes it back. */
  whenReady(then: () => void): () => void {
    if (this.connection.ready) {
      then()
      return () => undefined
    }
    this.#waiting.add(then)
    return () => this.#waiting.delete(then)
  }

  /** Why messages cannot be sent. */
  unavailable(): ServiceError {
    const { label } = this.#options
    if (this.#blocked !== undefined)
      return new ServiceError(
        'overloaded',
        `RabbitMQ at ${label} takes no messages: ${this.#blocked}; make room on its disk or in its memory`,
      )
    return new ServiceError(
      'unavailable',
      this.#failure?.message ?? `cannot reach RabbitMQ at ${label} in time; is it running?`,
      { cause: this.#failure },
    )
  }

  /** Ends it, also where the server does not answer. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#wake()
    await atMost(closeTimeoutMs, this.connection.close())
    this.connection.unsafeDestroy()
  }

  #wake(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const each of waiting) each()
  }
}

/** Resolves when `work` has ended, either way, or so much time has passed. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))
  await Promise.race([work.catch(() => undefined), late])
  clearTimeout(timer)
}

function deferred(): {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
} {
  let resolve!: () => void
  let reject!: (error: unknown) => void
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
