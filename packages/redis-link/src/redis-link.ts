import { ServiceError, type CallOptions, type Logger } from '@micrograft/contracts'
import { Changes } from './changes.js'
import { connectTo, type ConnectionName, type RedisClient } from './redis-connection.js'
import { redisError } from './redis-error.js'
import type { RedisEndpoint } from './redis-options.js'
import { inTime, pause } from './waits.js'

export interface LinkOptions {
  /** For messages, e.g. `the redis store`. */
  readonly what: string
  readonly endpoints: readonly RedisEndpoint[]
  readonly connectTimeoutMs: number
  readonly commandTimeoutMs: number
  readonly maxReconnectDelayMs: number
  readonly log: Logger
  /** Done on each new connection before commands go to it; where it fails, the connection is given up. */
  readonly prepare?: ((client: RedisClient) => Promise<void>) | undefined
}

export interface RunOptions extends CallOptions {
  /** @default the link's `commandTimeoutMs` */
  readonly timeoutMs?: number | undefined
}

/** Most commands under way, those included that wait for a connection. */
const maxRunning = 10_000
const firstDelayMs = 50

/**
 * One connection at a time to the first server that takes it, made again for ever. The library's own
 * reconnecting knows one address only, and its timeout ends where a command is written: here a command
 * that no answer comes to fails in time, and a server that has gone silent is given up.
 */
export class RedisLink implements AsyncDisposable {
  readonly #options: LinkOptions
  readonly #closing = new AbortController()
  readonly #changes = new Changes()
  #client: RedisClient | undefined
  #previous: ConnectionName | undefined
  #where: string
  #failure: ServiceError | undefined
  /** Since the last connection that lasted. */
  #tries = 0
  #running = 0
  #lastAnswer = 0
  #kept: Promise<void> | undefined

  constructor(options: LinkOptions) {
    this.#options = options
    this.#where = options.endpoints[0]?.label ?? 'nowhere'
  }

  /**
   * A link that is connected.
   * @throws `unavailable` where no server takes it in time, `unauthenticated`, and the signal's reason.
   */
  static async open(options: LinkOptions, signal: AbortSignal): Promise<RedisLink> {
    const link = new RedisLink(options)
    try {
      await link.connected({ signal, timeoutMs: options.connectTimeoutMs })
      return link
    } catch (error) {
      await link[Symbol.asyncDispose]()
      throw error
    }
  }

  get isConnected(): boolean {
    return this.#client !== undefined
  }

  /** Runs commands on the connection, waiting for one first. It tries nothing twice. */
  async run<T>(work: (client: RedisClient) => Promise<T>, options: RunOptions = {}): Promise<T> {
    const { signal, timeoutMs = this.#options.commandTimeoutMs } = options
    signal?.throwIfAborted()
    if (this.#running >= maxRunning)
      throw new ServiceError(
        'overloaded',
        `${this.#options.what} has ${maxRunning} commands under way; send fewer at a time`,
      )
    this.#running++
    let client = this.#client
    let leftMs = timeoutMs
    if (!client) {
      const started = performance.now()
      try {
        client = await this.connected({ signal, timeoutMs })
      } catch (error) {
        this.#running--
        throw error
      }
      leftMs -= performance.now() - started
    }
    return this.#ask(client, work, leftMs, timeoutMs, signal)
  }

  /** The connection as soon as there is one. */
  async connected({
    signal,
    timeoutMs = this.#options.commandTimeoutMs,
  }: RunOptions = {}): Promise<RedisClient> {
    const end = performance.now() + timeoutMs
    for (;;) {
      signal?.throwIfAborted()
      if (this.#closing.signal.aborted) throw this.#closedError()
      this.#kept ??= this.#keep()
      if (this.#client) return this.#client
      // More waiting does not make a password right. The link itself goes on trying.
      const allTried = this.#tries >= this.#options.endpoints.length
      if (this.#failure && !this.#failure.retryable && allTried) throw this.#failure
      if (!(await this.#changes.next(end - performance.now(), signal)))
        throw (
          this.#failure ??
          new ServiceError(
            'unavailable',
            `redis at ${this.#where} did not answer within ${timeoutMs} ms; is the server running?`,
          )
        )
    }
  }

  /** Gives the connection up; the next one is made at once. */
  drop(): void {
    const client = this.#client
    this.#client = undefined
    client?.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.drop()
    this.#changes.tell()
    await this.#kept
  }

  #ask<T>(
    client: RedisClient,
    work: (client: RedisClient) => Promise<T>,
    leftMs: number,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const where = this.#where
    const sent = performance.now()
    let silence: NodeJS.Timeout | undefined
    const asked = work(client).then(
      (value) => {
        this.#answered(silence)
        return value
      },
      (error: unknown) => {
        this.#answered(silence)
        const failure = this.#closing.signal.aborted ? this.#closedError() : redisError(error, where)
        if (/^(READONLY|NOAUTH|MASTERDOWN)/.test((error as Error).message) && this.#client === client)
          this.drop()
        throw failure
      },
    )
    // Silent since then: what is queued on it would only grow.
    const giveUp = () => {
      if (this.#lastAnswer < sent && this.#client === client) this.drop()
    }
    // Who asks may leave sooner, aborted or late for having waited for the connection; that has its whole time.
    const leave = () => {
      silence = setTimeout(giveUp, Math.max(0, timeoutMs - (performance.now() - sent))).unref()
    }
    const late = () => {
      if (leftMs < timeoutMs) leave()
      else giveUp()
      return new ServiceError(
        'timeout',
        `redis at ${where} did not answer within ${timeoutMs} ms; the command may have been done`,
      )
    }
    return inTime(asked, leftMs, late, signal, leave)
  }

  #answered(silence: NodeJS.Timeout | undefined): void {
    clearTimeout(silence)
    this.#running--
    this.#lastAnswer = performance.now()
  }

  /** Connects again and again until the link is closed. */
  async #keep(): Promise<void> {
    const { endpoints, log, prepare, maxReconnectDelayMs, connectTimeoutMs: timeoutMs } = this.#options
    const { signal } = this.#closing
    const anyRole = endpoints.length === 1
    let next = 0
    while (!signal.aborted) {
      const endpoint = endpoints[next] as RedisEndpoint
      this.#where = endpoint.label
      try {
        const previous = this.#previous
        const options = { timeoutMs, signal, anyRole, previous, prepare, log }
        const { client, name, gone } = await connectTo(endpoint, options)
        this.#previous = name
        if (this.#tries > 0) log.info('connected again', { to: endpoint.label, tries: this.#tries })
        this.#failure = undefined
        this.#client = client
        this.#changes.tell()
        const since = performance.now()
        this.#failure = redisError(await gone, endpoint.label)
        this.#client = undefined
        // One that takes connections and does not keep them, as a replica is left at the first write, is not asked at once.
        this.#tries = performance.now() - since < maxReconnectDelayMs ? this.#tries + 1 : 0
        client.destroy()
        if (!signal.aborted) log.warn('connection lost', { to: endpoint.label, error: this.#failure })
      } catch (error) {
        this.#failure = redisError(error, endpoint.label)
        if (!signal.aborted)
          log.warn('cannot connect', { to: endpoint.label, tries: this.#tries, error: this.#failure })
        this.#tries++
        next = (next + 1) % endpoints.length
        this.#changes.tell()
      }
      await pause(this.#reconnectDelay(), signal)
    }
  }

  /** Grows from round to round over the addresses, with jitter, so that not all clients come at once. */
  #reconnectDelay(): number {
    const { endpoints, maxReconnectDelayMs } = this.#options
    const round = Math.min(16, Math.floor(this.#tries / endpoints.length))
    return Math.min(maxReconnectDelayMs, firstDelayMs * 2 ** round) * (0.5 + Math.random() / 2)
  }

  #closedError(): ServiceError {
    return new ServiceError('closed', `${this.#options.what} was closed`)
  }
}
