import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { ServiceError, type CallOptions, type Subscription } from '@micrograft/contracts'
import { asBytes, asText, type RedisClient } from '@micrograft/redis-link'
import { isBefore, readEntry, type Entry } from './entry.js'
import { Inbox } from './inbox.js'
import { StreamReader, type RawEntry } from './stream-reader.js'
import { claimScript, giveBackScript, joinScript, rejectScript, touchScript } from './stream-scripts.js'
import { blockMsOf, type SubscriptionContext } from './subscription-context.js'

/** Between two tries to tell the server that a message is handled. */
const settleAgainMs = 200

/** One consumer of the group that stands for a queue. */
export class QueueSubscription implements Subscription {
  readonly topic: string
  readonly #queue: string
  readonly #context: SubscriptionContext
  readonly #consumer = `${hostname()}-${process.pid}-${randomUUID()}`
  readonly #inbox: Inbox
  readonly #reader: StreamReader
  readonly #timer: NodeJS.Timeout
  #last: string
  #claiming: Promise<void> | undefined
  #givingBack = false
  /** Why taking over what others left failed the last time. */
  #refused: string | undefined
  #disposed: Promise<void> | undefined

  static async open(
    context: SubscriptionContext,
    queue: string,
    signal: AbortSignal | undefined,
  ): Promise<QueueSubscription> {
    const last = await newestId(context, { signal })
    await evaluate(context, joinScript, [queue, '$'], { signal })
    return new QueueSubscription(context, queue, last ?? '0-0')
  }

  private constructor(context: SubscriptionContext, queue: string, last: string) {
    const { topic, handler, concurrency, onError, limits, commands, link, key } = context
    this.topic = topic
    this.#queue = queue
    this.#context = context
    this.#last = last
    this.#inbox = new Inbox({
      topic,
      handler,
      concurrency,
      size: Math.max(limits.prefetch, concurrency),
      onError,
      settle: (entry, failure) => this.#settle(entry.id, failure?.message),
    })
    const blockMs = blockMsOf(limits)
    this.#reader = new StreamReader({
      link,
      commands,
      blockMs,
      next: async () => {
        await this.#inbox.ready()
        const count = String(Math.max(1, this.#inbox.room))
        const group = ['GROUP', queue, this.#consumer, 'COUNT', count, 'BLOCK', String(blockMs)]
        return ['XREADGROUP', ...group, 'STREAMS', key, '>']
      },
      take: (entries) => {
        for (const [id, fields] of entries) {
          this.#last = id.toString()
          this.#put(readEntry(this.#last, 0, fields))
        }
      },
      connected: (client) => this.#giveBackLost(client),
      mend: (error) => this.#joinAgain(error),
      onError,
    })
    const everyMs = Math.min(limits.redeliveryCheckMs, Math.ceil(limits.claimAfterMs / 3))
    this.#timer = setInterval(() => this.#look(), everyMs)
    this.#look()
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose()
    return this.#disposed
  }

  async #dispose(): Promise<void> {
    const handled = this.#inbox.stop()
    await this.#reader.stop()
    await handled
    clearInterval(this.#timer)
    await this.#claiming
    try {
      await this.#context.commands.run((client) => this.#giveBack(client, 'leave', []))
    } catch (error) {
      // Others take over what is left when claimAfterMs has passed.
      const failure = ServiceError.from(error)
      if (!isGroupMissing(failure)) this.#context.onError(failure, undefined)
    }
  }

  /** Gives back all that the consumer was sent, but `except`. */
  #giveBack(client: RedisClient, then: 'leave' | 'stay', except: readonly string[]): Promise<unknown> {
    const { key, limits } = this.#context
    const args = [this.#queue, this.#consumer, String(limits.claimAfterMs), then, ...except]
    return client.sendCommand(['EVAL', giveBackScript, '1', key, ...args])
  }

  /** With a connection goes what the server had sent on it: nobody has that now. */
  async #giveBackLost(client: RedisClient): Promise<void> {
    this.#givingBack = true
    try {
      // What is on its way over the other connection is not lost.
      await this.#claiming
      await this.#giveBack(client, 'stay', this.#inbox.ids)
    } catch {
      // There may be no group, which is mended when it is read from.
    } finally {
      this.#givingBack = false
    }
  }

  /** Now and then: a sign of life for what it has, before it takes over what others left. */
  #look(): void {
    if (!this.#context.commands.isConnected) return
    const { ids } = this.#inbox
    if (ids.length > 0)
      evaluate(this.#context, touchScript, [this.#queue, this.#consumer, ...ids]).catch(() => undefined)
    this.#claim()
  }

  #put(entry: Entry | { readonly id: string; readonly error: ServiceError }): void {
    if (!('error' in entry)) return this.#inbox.put(entry)
    this.#context.onError(entry.error, undefined)
    void this.#settle(entry.id, entry.error.message, 0)
  }

  /** Where the server is away it is told when it is back: until then the message is still ours. */
  async #settle(
    id: string,
    reason: string | undefined,
    maxDeliveries: number = this.#context.limits.maxDeliveries,
  ): Promise<void> {
    const { commands, key, limits, onError } = this.#context
    for (;;) {
      try {
        if (reason === undefined) {
          await commands.run((client) => client.sendCommand(['XACK', key, this.#queue, id]))
        } else {
          const text = reason.slice(0, 1024)
          const counts = [String(maxDeliveries), String(limits.maxDeadLetters)]
          await evaluate(this.#context, rejectScript, [this.#queue, this.#consumer, id, ...counts, text])
        }
        return
      } catch (error) {
        const failure = ServiceError.from(error)
        if (isGroupMissing(failure)) return
        if (this.#disposed || !failure.retryable) return onError(failure, undefined)
        await new Promise((resolve) => setTimeout(resolve, settleAgainMs))
      }
    }
  }

  /** Takes over what others left. One at a time; it never rejects. */
  #claim(): void {
    const { room } = this.#inbox
    if (room === 0 || this.#givingBack || this.#disposed) return
    const { limits } = this.#context
    const numbers = [
      room,
      limits.claimAfterMs,
      limits.redeliveryDelayMs,
      limits.maxDeliveries,
      limits.maxDeadLetters,
    ]
    this.#claiming ??= evaluate(
      this.#context,
      claimScript,
      [this.#queue, this.#consumer, ...numbers.map(String)],
      { reply: asBytes },
    )
      .then((reply) => {
        const [taken, refused] = reply as [[Buffer, number, RawEntry[1]][], Buffer]
        for (const [id, redelivered, fields] of taken)
          this.#put(readEntry(id.toString(), redelivered, fields))
        this.#tellRefused(refused.length > 0 ? this.#unburied(refused.toString()) : undefined)
      })
      .catch((error: unknown) => {
        const failure = ServiceError.from(error)
        if (!failure.retryable && failure.code !== 'closed' && !isGroupMissing(failure))
          this.#tellRefused(failure)
      })
      .finally(() => (this.#claiming = undefined))
  }

  #unburied(reason: string): ServiceError {
    const { topic, deadKey } = this.#context
    return new ServiceError('conflict', `a message of ${topic} cannot be put in ${deadKey}: ${reason}`)
  }

  /** Once for each reason, not for each try. */
  #tellRefused(failure: ServiceError | undefined): void {
    if (failure && failure.message !== this.#refused) this.#context.onError(failure, undefined)
    this.#refused = failure?.message
  }

  /** A server that lost its data knows no group: it is made again, where this consumer stood. */
  async #joinAgain(error: ServiceError): Promise<boolean> {
    if (!isGroupMissing(error)) return false
    const newest = await newestId(this.#context)
    // A stream that has nothing as new as what was read is another one: all of it is new.
    if (newest === undefined || isBefore(newest, this.#last)) this.#last = '0-0'
    await evaluate(this.#context, joinScript, [this.#queue, this.#last])
    return true
  }
}

function isGroupMissing({ cause }: ServiceError): boolean {
  return cause instanceof Error && /NOGROUP|^UNBLOCKED/.test(cause.message)
}

function evaluate(
  { commands, key, deadKey }: SubscriptionContext,
  script: string,
  args: readonly string[],
  { reply = asText, signal }: CallOptions & { readonly reply?: object } = {},
): Promise<unknown> {
  const command = ['EVAL', script, '2', key, deadKey, ...args]
  return commands.run((client) => client.sendCommand(command, reply), { signal })
}

async function newestId(
  { commands, key }: SubscriptionContext,
  options?: CallOptions,
): Promise<string | undefined> {
  const command = ['XREVRANGE', key, '+', '-', 'COUNT', '1']
  const newest = await commands.run((client) => client.sendCommand(command, asText), options)
  return (newest as [string, unknown][])[0]?.[0]
}
