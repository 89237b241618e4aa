import { ServiceError } from '@micrograft/contracts'
import type { NatsConnection } from '@nats-io/transport-node'
import { inTime } from './waits.js'

export interface OutboxOptions {
  /** Longest wait for the server's answer. */
  readonly timeoutMs: number
  readonly maxPendingBytes: number
  /** What a call fails with whose bytes the server did not say to have. */
  readonly failure: (error: unknown) => ServiceError
}

interface Batch {
  bytes: number
  done: Promise<void>
}

/** Counts what was sent until the server has it, and asks whether it does. */
export class Outbox {
  readonly #connection: NatsConnection
  readonly #options: OutboxOptions
  #batch: Batch | undefined
  #pendingBytes = 0

  constructor(connection: NatsConnection, options: OutboxOptions) {
    this.#connection = connection
    this.#options = options
  }

  /** @throws `overloaded` where so many bytes more are too many. */
  requireRoom(bytes: number): void {
    const { maxPendingBytes } = this.#options
    if (this.#pendingBytes + bytes <= maxPendingBytes) return
    throw new ServiceError(
      'overloaded',
      `${this.#pendingBytes} bytes wait until the server has them, at most ${maxPendingBytes} may; send slower`,
    )
  }

  /**
   * Counts what was just sent. Resolves when the server has it, and all that it had sent before is here.
   * What is sent in one turn shares one question.
   */
  flush(bytes: number): Promise<void> {
    const batch = (this.#batch ??= this.#begin())
    batch.bytes += bytes
    this.#pendingBytes += bytes
    return batch.done
  }

  /** Counts what `ask` sends until there is an answer, which says as much as that of a flush. */
  async during<T>(bytes: number, ask: () => Promise<T>): Promise<T> {
    this.#pendingBytes += bytes
    try {
      return await ask()
    } catch (error) {
      // They may lie in the socket still: the next flush tells.
      void this.flush(bytes)
      throw error
    } finally {
      this.#pendingBytes -= bytes
    }
  }

  #begin(): Batch {
    const batch: Batch = { bytes: 0, done: Promise.resolve() }
    batch.done = Promise.resolve().then(async () => {
      this.#batch = undefined
      // The bytes lie in the socket until the server answers or is lost, however long whoever sent them waits.
      const answered = this.#connection.flush().finally(() => (this.#pendingBytes -= batch.bytes))
      try {
        await inTime(answered, this.#options.timeoutMs)
      } catch (error) {
        throw this.#options.failure(error)
      }
      // The server tells of a refusal before it answers; who listens to that has its turn first.
      await new Promise((resolve) => setImmediate(resolve))
    })
    batch.done.catch(() => undefined)
    return batch
  }
}
