import { ServiceError, type Subscription } from '@micrograft/contracts'
import { asText, type RedisClient } from '@micrograft/redis-link'
import { isBefore, readEntry, type Entry } from './entry.js'
import { Inbox } from './inbox.js'
import { StreamReader } from './stream-reader.js'
import { blockMsOf, pauseBefore, type SubscriptionContext } from './subscription-context.js'

/** Most messages that wait to be handed to one handler again. */
const maxRetrying = 1000

/** Reads all of a stream from now on. What its handler rejects it keeps itself, for it alone has to get it again. */
export class TopicSubscription implements Subscription {
  readonly topic: string
  readonly #context: SubscriptionContext
  readonly #inbox: Inbox
  readonly #reader: StreamReader
  readonly #retrying = new Map<Entry, NodeJS.Timeout>()
  #room: (() => void) | undefined
  #last: string
  #disposed: Promise<void> | undefined

  static async open(
    context: SubscriptionContext,
    signal: AbortSignal | undefined,
  ): Promise<TopicSubscription> {
    const last = await context.commands.run((client) => newestId(client, context.key), { signal })
    return new TopicSubscription(context, last ?? '0-0')
  }

  private constructor(context: SubscriptionContext, last: string) {
    const { topic, handler, concurrency, onError, limits, commands, link, key } = context
    this.topic = topic
    this.#context = context
    this.#last = last
    this.#inbox = new Inbox({
      topic,
      // A copy: the handler owns what it gets, and may get it again.
      handler: ({ message, ...delivery }) =>
        handler({ ...delivery, message: { header: { ...message.header }, body: message.body.slice() } }),
      concurrency,
      size: Math.max(limits.prefetch, concurrency),
      onError,
      settle: async (entry, failure) => {
        if (failure) this.#retryLater(entry)
      },
    })
    const blockMs = blockMsOf(limits)
    this.#reader = new StreamReader({
      link,
      commands,
      blockMs,
      next: async () => {
        await this.#inbox.ready()
        while (this.#retrying.size >= maxRetrying && !this.#disposed)
          await new Promise<void>((resolve) => (this.#room = resolve))
        const count = String(Math.max(1, this.#inbox.room))
        return ['XREAD', 'COUNT', count, 'BLOCK', String(blockMs), 'STREAMS', key, this.#last]
      },
      take: (entries) => {
        for (const [rawId, fields] of entries) {
          const id = rawId.toString()
          this.#last = id
          const entry = readEntry(id, 0, fields)
          if ('error' in entry) onError(entry.error, undefined)
          else this.#inbox.put(entry)
        }
      },
      // A stream that has nothing as new as what was read is another one: all of it is new.
      connected: async (client) => {
        const newest = await newestId(client, key)
        if (newest === undefined || isBefore(newest, this.#last)) this.#last = '0-0'
      },
      mend: async () => false,
      onError,
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose()
    return this.#disposed
  }

  async #dispose(): Promise<void> {
    for (const timer of this.#retrying.values()) clearTimeout(timer)
    this.#retrying.clear()
    const handled = this.#inbox.stop()
    this.#room?.()
    await this.#reader.stop()
    await handled
  }

  #retryLater(entry: Entry): void {
    const { limits, topic, onError } = this.#context
    const redelivered = entry.redelivered + 1
    if (redelivered >= limits.maxDeliveries) {
      const message = `message ${entry.id} of ${topic} was rejected ${redelivered} times and is given up`
      onError(new ServiceError('internal', message), { topic, message: entry.message, redelivered })
      return
    }
    if (this.#disposed) return
    const timer = setTimeout(
      () => {
        this.#retrying.delete(entry)
        this.#inbox.put({ ...entry, redelivered })
        this.#room?.()
      },
      pauseBefore(redelivered, limits),
    )
    this.#retrying.set(entry, timer)
  }
}

async function newestId(client: RedisClient, key: string): Promise<string | undefined> {
  const newest = await client.sendCommand(['XREVRANGE', key, '+', '-', 'COUNT', '1'], asText)
  return (newest as [string, unknown][])[0]?.[0]
}
