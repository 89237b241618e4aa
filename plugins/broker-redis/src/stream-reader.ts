import { ServiceError } from '@micrograft/contracts'
import { asBytes, RedisLink, type LinkOptions, type RedisClient } from '@micrograft/redis-link'

/** An entry as the server gives it: its id, and names and values of its fields in turn. */
export type RawEntry = readonly [id: Buffer, fields: readonly Buffer[]]

export interface StreamReaderOptions {
  readonly link: LinkOptions
  /** Where other commands go, also while this one's connection waits. */
  readonly commands: RedisLink
  /** Longest that the server holds an empty answer back, in milliseconds. */
  readonly blockMs: number
  /** Resolves to the next command, when there is room for what it brings. */
  readonly next: () => Promise<readonly string[]>
  readonly take: (entries: readonly RawEntry[]) => void
  /** Done on each new connection. */
  readonly connected?: ((client: RedisClient) => Promise<void>) | undefined
  /** Mends what a command failed of; `false` where it cannot. */
  readonly mend: (error: ServiceError) => Promise<boolean>
  readonly onError: (error: Error, delivery: undefined) => void
}

/** Between two reads that fail; twice as long each time. */
const firstPauseMs = 5
/** Longest of those. */
const pauseMs = 1000
/** Between two tries to wake a read that had not reached the server at the first. */
const unblockEveryMs = 10

/** Reads one stream for ever, on a connection of its own: the server holds an answer back until there is one. */
export class StreamReader {
  readonly #options: StreamReaderOptions
  readonly #link: RedisLink
  readonly #ending = new AbortController()
  readonly #ended: Promise<void>
  #clientId = ''
  /** Reads that have failed since one did not. */
  #failed = 0

  constructor(options: StreamReaderOptions) {
    this.#options = options
    this.#link = new RedisLink({
      ...options.link,
      prepare: async (client) => {
        this.#clientId = String(await client.sendCommand(['CLIENT', 'ID']))
        await options.connected?.(client)
      },
    })
    this.#ended = this.#read()
  }

  /** Takes no more. What the server has handed over by then was taken, or is still the consumer's. */
  async stop(): Promise<void> {
    this.#ending.abort()
    // Cut off, the server could hand a message to a connection that nobody reads.
    await Promise.race([this.#ended, this.#unblock()])
    await this.#link[Symbol.asyncDispose]()
    await this.#ended
  }

  async #read(): Promise<void> {
    const { next, take, blockMs, link } = this.#options
    while (!this.#ending.signal.aborted) {
      const command = await next()
      if (this.#ending.signal.aborted) return
      try {
        const reply = await this.#link.run((client) => client.sendCommand(command, asBytes), {
          timeoutMs: blockMs + link.commandTimeoutMs,
        })
        this.#failed = 0
        if (!this.#ending.signal.aborted && Array.isArray(reply)) take((reply[1] ?? []) as RawEntry[])
      } catch (error) {
        if (!this.#ending.signal.aborted) await this.#recover(ServiceError.from(error))
      }
    }
  }

  /** Never rejects: a subscription goes on until it is disposed. */
  async #recover(error: ServiceError): Promise<void> {
    try {
      if (await this.#options.mend(error)) return
    } catch (failure) {
      error = ServiceError.from(failure)
    }
    // Once for each time that it fails, not for each try.
    if (this.#failed === 0) this.#options.onError(error, undefined)
    const again = Math.min(pauseMs, firstPauseMs * 2 ** Math.min(this.#failed++, 10))
    const away = ['unavailable', 'timeout'].includes(error.code) && !this.#link.isConnected
    // A server that loads its data, or may not write at the moment, is there and says no.
    if (away) await this.#link.connected().catch(() => this.#pause(unblockEveryMs))
    else await this.#pause(again)
  }

  async #unblock(): Promise<void> {
    const until = performance.now() + this.#options.link.commandTimeoutMs
    while (this.#link.isConnected && performance.now() < until) {
      try {
        await this.#options.commands.run((client) =>
          client.sendCommand(['CLIENT', 'UNBLOCK', this.#clientId]),
        )
      } catch {
        // Not reached, or not allowed: it is cut off.
        return
      }
      await new Promise((resolve) => setTimeout(resolve, unblockEveryMs))
    }
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#ending
    return new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const end = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = setTimeout(end, ms)
      signal.addEventListener('abort', end, { once: true })
    })
  }
}
