import type { ServiceError } from '@micrograft/contracts'
import type { AsyncMessage } from 'rabbitmq-client'
import type { Link } from './link.js'
import { bytesOf, isPublishers, pauseHeader, redeliveredHeader } from './message.js'
import type { Settings } from './rabbitmq-options.js'
import { Sender } from './sender.js'

/** Most dead letters that are kept; the oldest go first. */
const maxDeadLetters = 10_000

export interface Rejected {
  readonly message: AsyncMessage
  /** The server's queue that it came from. */
  readonly queue: string
  readonly topic: string
  /** How often it had been delivered before. */
  readonly redelivered: number
  readonly error: Error
}

/**
 * Puts messages aside whose handler rejected. There is a queue for each length of pause, shared by all
 * queues: what has waited long enough in it goes back, through the default exchange, to the queue that
 * its routing key names. After the last time a message goes to the dead letters.
 */
export class Retries implements AsyncDisposable {
  readonly #settings: Settings
  readonly #link: Link
  #sender: Sender | undefined

  constructor(settings: Settings, link: Link) {
    this.#settings = settings
    this.#link = link
  }

  /** Resolves when the server has it: the message may be acknowledged then. */
  async put({ message, queue, topic, redelivered, error }: Rejected): Promise<void> {
    const { exchange, maxRedeliveries, retryMs, maxRetryMs } = this.#settings
    const sender = (this.#sender ??= this.#newSender())
    const headers = Object.fromEntries(
      Object.entries(message.headers ?? {}).filter(([name]) => isPublishers(name)),
    )
    const last = redelivered >= maxRedeliveries
    const envelope = last
      ? {
          routingKey: deadLetters(exchange),
          headers: {
            ...headers,
            'micrograft-topic': topic,
            'micrograft-queue': queue,
            'micrograft-error': error.message.slice(0, 1024),
          },
        }
      : {
          exchange: retryExchange(exchange),
          routingKey: queue,
          headers: {
            ...headers,
            [redeliveredHeader]: redelivered + 1,
            [pauseHeader]: String(pauseOf(redelivered, retryMs, maxRetryMs)),
          },
        }
    const body = bytesOf(message.body)
    try {
      await sender.send(
        `cannot put a message of ${topic} aside`,
        { ...envelope, durable: true, mandatory: true },
        Buffer.from(body.buffer, body.byteOffset, body.byteLength),
      )
    } catch (failure) {
      if ((failure as ServiceError).code === 'not-found') this.#leave(sender)
      throw failure
    }
  }

  /** Somebody deleted a queue: the next sender makes them all again. */
  #leave(sender: Sender): void {
    if (this.#sender !== sender) return
    this.#sender = undefined
    void sender[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sender?.[Symbol.asyncDispose]()
  }

  #newSender(): Sender {
    const { exchange, publishTimeoutMs, maxPending } = this.#settings
    const pauses = pausesOf(this.#settings)
    const name = (pause: number) => `${retryExchange(exchange)}.${pause}`
    return new Sender({
      link: this.#link,
      timeoutMs: publishTimeoutMs,
      maxPending,
      topology: {
        exchanges: [{ exchange: retryExchange(exchange), type: 'headers', durable: true }],
        queues: [
          { queue: deadLetters(exchange), durable: true, arguments: { 'x-max-length': maxDeadLetters } },
          ...pauses.map((pause) => ({
            queue: name(pause),
            durable: true,
            arguments: { 'x-message-ttl': pause, 'x-dead-letter-exchange': '' },
          })),
        ],
        queueBindings: pauses.map((pause) => ({
          exchange: retryExchange(exchange),
          queue: name(pause),
          arguments: { 'x-match': 'all', [pauseHeader]: String(pause) },
        })),
      },
    })
  }
}

function retryExchange(exchange: string): string {
  return `${exchange}.retry`
}

function deadLetters(exchange: string): string {
  return `${exchange}.dead`
}

/** Each length of pause, the shortest first. */
function pausesOf({ maxRedeliveries, retryMs, maxRetryMs }: Settings): readonly number[] {
  const pauses: number[] = []
  for (let i = 0; i < maxRedeliveries && pauses.at(-1) !== maxRetryMs; i++)
    pauses.push(pauseOf(i, retryMs, maxRetryMs))
  return pauses
}

function pauseOf(redelivered: number, retryMs: number, maxRetryMs: number): number {
  return Math.min(maxRetryMs, retryMs * 2 ** redelivered)
}
