import { ServiceError, type Logger } from '@micrograft/contracts'
import type { RedisLink } from '@micrograft/redis-link'
import { sweepScript } from './stream-scripts.js'

export interface BacklogsOptions {
  readonly commands: RedisLink
  readonly retainMs: number
  readonly maxBacklog: number
  readonly sweepMs: number
  readonly forgetConsumersMs: number
  readonly log: Logger
}

interface Backlog {
  length: number
  publishedSince: number
  sweptAt: number
  sweeping: boolean
  /** Whether the server refused it the last time. */
  refused: boolean
}

/** Of so many topics it is known how full they are. */
const maxTopics = 10_000
/** How soon a full one is looked at again. */
const fullAgainMs = 1000

/** Keeps streams short: takes out what is handled, and refuses more where too much is not. */
export class Backlogs {
  readonly #options: BacklogsOptions
  readonly #known = new Map<string, Backlog>()

  constructor(options: BacklogsOptions) {
    this.#options = options
  }

  /** @throws `overloaded` where a stream has as many messages as it may, and its queues are behind. */
  admit(key: string): void {
    const backlog = this.#known.get(key)
    if (!backlog || backlog.length < this.#options.maxBacklog) return
    this.used(key, 0)
    throw new ServiceError(
      'overloaded',
      `${key} holds ${backlog.length} messages that a queue has not handled; add subscribers, take out a queue that nobody needs with XGROUP DESTROY, or raise maxBacklog`,
    )
  }

  /** Told of each message that was published, and now and then by who subscribes. */
  used(key: string, published: number): void {
    const backlog = this.#backlog(key)
    backlog.publishedSince += published
    const { maxBacklog, sweepMs } = this.#options
    const age = performance.now() - backlog.sweptAt
    const left = maxBacklog - backlog.length
    const due = left <= 0 ? age >= fullAgainMs : age >= sweepMs || backlog.publishedSince * 2 >= left
    if (due && !backlog.sweeping && this.#options.commands.isConnected) void this.#sweep(key, backlog)
  }

  #backlog(key: string): Backlog {
    let backlog = this.#known.get(key)
    if (!backlog) {
      backlog = { length: 0, publishedSince: 0, sweptAt: -Infinity, sweeping: false, refused: false }
      this.#known.set(key, backlog)
      if (this.#known.size > maxTopics) this.#known.delete(this.#known.keys().next().value as string)
    }
    return backlog
  }

  async #sweep(key: string, backlog: Backlog): Promise<void> {
    const { commands, retainMs, maxBacklog, forgetConsumersMs, log } = this.#options
    backlog.sweeping = true
    backlog.publishedSince = 0
    try {
      const args = [retainMs, maxBacklog, forgetConsumersMs].map(String)
      const command = ['EVAL', sweepScript, '1', key, ...args]
      backlog.length = Number(await commands.run((client) => client.sendCommand(command)))
      backlog.refused = false
    } catch (error) {
      // Nobody waits for it; the next message or the next look tries again.
      const failure = ServiceError.from(error)
      if (failure.retryable || failure.code === 'closed') return
      if (!backlog.refused) log.error('cannot take out what is handled', { stream: key, error: failure })
      backlog.refused = true
    } finally {
      backlog.sweptAt = performance.now()
      backlog.sweeping = false
    }
  }
}
