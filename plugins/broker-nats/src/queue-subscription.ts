import type { Logger, ServiceError, Subscription } from '@micrograft/contracts'
import { natsError, type LinkSubscription, type NatsLink } from '@micrograft/nats-link'
import { createInbox, type Msg } from '@nats-io/transport-node'
import type { Handling } from './handling.js'
import type { Queues } from './queues.js'

/** How long one request for messages stands, and how often the server says meanwhile that it does. */
const expiresMs = 30_000
const heartbeatMs = 2500
/** How long nothing has come when nothing is on its way. */
const quietMs = 50
/** Longest between two signs of life. */
const mostKeepMs = 60_000
/** Between tries to go on where the server cannot. */
const againMs = 500

/**
 * A subscription of a JetStream queue. It asks for as many messages as it has room for, so that what it
 * cannot handle stays with the server; what it has is its own as long as it says so now and then.
 */
export class QueueSubscription implements Subscription {
  readonly topic: string
  readonly #link: NatsLink
  readonly #queues: Queues
  readonly #subject: string
  readonly #consumer: string
  readonly #shared: boolean
  readonly #handling: Handling
  readonly #log: Logger
  readonly #onEnd: (subscription: QueueSubscription) => void
  readonly #inbox = createInbox()
  readonly #subscription: LinkSubscription
  #isTaken = false
  readonly #forgetBack: () => void
  /** Messages that wait, in order, and all that are not settled yet. */
  readonly #waiting: Msg[] = []
  readonly #held = new Set<Msg>()
  #running = 0
  /** What the request that stands still may bring. */
  #asked = 0
  #heardAt = performance.now()
  #resuming = false
  #failing = false
  #again: NodeJS.Timeout | undefined
  readonly #watch: NodeJS.Timeout
  readonly #keep: NodeJS.Timeout
  #idle: (() => void) | undefined
  #ending: Promise<void> | undefined
  /** Until when a server that is away is waited for. */
  #endsAt = Infinity

  constructor(
    link: NatsLink,
    queues: Queues,
    subject: string,
    consumer: string,
    shared: boolean,
    handling: Handling,
    log: Logger,
    onEnd: (subscription: QueueSubscription) => void,
  ) {
    this.topic = handling.topic
    this.#link = link
    this.#queues = queues
    this.#subject = subject
    this.#consumer = consumer
    this.#shared = shared
    this.#handling = handling
    this.#log = log
    this.#onEnd = onEnd
    this.#subscription = link.subscribe(this.#inbox, (message) => this.#hear(message), {
      onError: (error) => this.#isTaken && handling.tell(error),
    })
    this.#forgetBack = link.onBack(() => this.#resume())
    this.#watch = setInterval(() => this.#check(), heartbeatMs).unref()
    const keepMs = Math.min(queues.settings.ackWaitMs / 3, mostKeepMs)
    this.#keep = setInterval(() => this.#keepHeld(), keepMs).unref()
  }

  /** Resolves when messages come. @throws `forbidden` */
  async taken(): Promise<void> {
    await this.#link.taken(this.#subscription)
    const room = this.#room()
    if (room > 0) await this.#request(room)
    this.#isTaken = true
  }

  /** Takes no more, and resolves when all that it had taken is handled. */
  [Symbol.asyncDispose](): Promise<void> {
    return (this.#ending ??= this.#end())
  }

  async #end(): Promise<void> {
    clearInterval(this.#watch)
    clearTimeout(this.#again)
    this.#forgetBack()
    this.#heardAt = performance.now()
    this.#endsAt = this.#heardAt + this.#link.timeoutMs
    // What the request that stands still brings would be lost to everybody for `ackWaitMs`.
    while (this.#asked > 0 && this.#link.connected && performance.now() - this.#heardAt < quietMs) {
      await new Promise((resolve) => setTimeout(resolve, quietMs / 5))
    }
    await this.#link.drain(this.#subscription)
    if (this.#held.size > 0) await new Promise<void>((resolve) => (this.#idle = resolve))
    clearInterval(this.#keep)
    if (!this.#shared && this.#link.connected) {
      await this.#queues
        .forget(this.#consumer)
        .catch((error: unknown) => this.#log.debug('cannot delete a consumer', { topic: this.topic, error }))
    }
    this.#onEnd(this)
  }

  #hear(message: Msg): void {
    this.#heardAt = performance.now()
    this.#failing = false
    // The server's own messages have a status; those of the stream come by their own subject.
    if (message.subject === this.#inbox) return this.#hearStatus(message.headers?.code ?? 0)
    this.#asked = Math.max(0, this.#asked - 1)
    this.#held.add(message)
    this.#waiting.push(message)
    this.#next()
  }

  #hearStatus(code: number): void {
    if (code === 100) return
    this.#asked = 0
    // 404 and 408 end a request that had its time; all others say that something is not as it should be.
    if (code === 404 || code === 408) this.#ask()
    else this.#resumeLater()
  }

  /** Asks for as much as there is room for, unless it is asked already. */
  #ask(): void {
    const room = this.#room()
    if (room === 0) return
    this.#request(room).catch((error: ServiceError) => {
      this.#asked = 0
      // A server that is away is told of by its connection.
      if (!error.retryable) this.#fail(error)
      this.#resumeLater()
    })
  }

  #room(): number {
    if (this.#ending || this.#asked > 0 || this.#again || !this.#link.connected) return 0
    const { prefetch } = this.#queues.settings
    const most = Math.max(prefetch, this.#handling.concurrency)
    const room = most - this.#waiting.length - this.#running
    // What is handled and not settled yet is held up by the server, not by the handler.
    return room < most / 2 || this.#held.size > most * 8 ? 0 : room
  }

  async #request(room: number): Promise<void> {
    this.#asked = room
    this.#heardAt = performance.now()
    const request = { batch: room, expires: expiresMs * 1e6, idle_heartbeat: heartbeatMs * 1e6 }
    const subject = this.#queues.requestSubject(this.#consumer)
    await this.#link.publish(subject, Buffer.from(JSON.stringify(request)), { reply: this.#inbox })
  }

  /** Nothing heard, not even that there is nothing: the request is lost. */
  #check(): void {
    if (this.#asked > 0 && performance.now() - this.#heardAt > heartbeatMs * 2.5) this.#resume()
  }

  #resumeLater(): void {
    if (this.#ending) return
    this.#again ??= setTimeout(() => {
      this.#again = undefined
      this.#resume()
    }, againMs).unref()
  }

  /** Goes on after a loss; the server may have forgotten the consumer. */
  #resume(): void {
    if (this.#ending || this.#resuming || !this.#link.connected) return
    this.#resuming = true
    this.#queues
      .ensure(this.#subject, this.#consumer, this.#shared)
      .then(
        () => {
          this.#asked = 0
          this.#ask()
        },
        (error: unknown) => {
          this.#fail(natsError(error, `cannot go on with ${this.topic}`))
          this.#resumeLater()
        },
      )
      .finally(() => (this.#resuming = false))
  }

  /** Tells once for each time that it fails, not for each try. */
  #fail(error: ServiceError): void {
    if (!this.#failing && !this.#ending) this.#handling.tell(error)
    this.#failing = true
  }

  #next(): void {
    while (this.#running < this.#handling.concurrency) {
      const message = this.#waiting.shift()
      if (!message) break
      this.#running++
      void this.#handle(message)
    }
  }

  async #handle(message: Msg): Promise<void> {
    const redelivered = deliveriesBefore(message)
    // Whoever had it last has ended without an answer.
    const spent = redelivered >= this.#queues.settings.maxDeliver
    const outcome = spent ? 'failed' : await this.#handling.handle(message.data, redelivered)
    this.#running--
    this.#next()
    this.#ask()
    await this.#settle(message, this.#answer(outcome, redelivered))
    this.#held.delete(message)
    this.#ask()
    if (this.#held.size === 0) this.#idle?.()
  }

  #answer(outcome: 'handled' | 'failed' | 'malformed', redelivered: number): string {
    if (outcome === 'handled') return '+ACK'
    const { backoffMs, maxDeliver } = this.#queues.settings
    if (outcome === 'malformed' || redelivered + 1 >= maxDeliver) {
      this.#log.error('message given up', { topic: this.topic, deliveries: redelivered + 1 })
      return '+TERM'
    }
    const delay = backoffMs[Math.min(redelivered, backoffMs.length - 1)] as number
    return `-NAK ${JSON.stringify({ delay: Math.round(delay * 1e6) })}`
  }

  /** Tells the server how it went, once more where the connection was lost over it, while the message is this one's. */
  async #settle({ reply = '' }: Msg, answer: string): Promise<void> {
    const until = performance.now() + this.#queues.settings.ackWaitMs
    for (;;) {
      try {
        return await this.#link.publish(reply, Buffer.from(answer))
      } catch (error) {
        const left = Math.min(until, this.#endsAt) - performance.now()
        const { code, retryable } = error as ServiceError
        if (left <= 0 || !retryable) {
          if (code === 'closed') this.#log.warn('cannot acknowledge a message', { topic: this.topic, error })
          else this.#handling.tell(error as ServiceError)
          return
        }
        await new Promise((resolve) => setTimeout(resolve, Math.min(left, againMs)))
      }
    }
  }

  #keepHeld(): void {
    for (const { reply = '' } of this.#held) {
      try {
        this.#link.send(reply, Buffer.from('+WPI'))
      } catch {
        return
      }
    }
  }
}

/** From the subject to answer on: `$JS.ACK.<stream>.<consumer>.<deliveries>…`, or with domain and account before the stream (NATS ADR-15). */
function deliveriesBefore({ reply = '' }: Msg): number {
  const tokens = reply.split('.')
  const deliveries = Number(tokens[tokens.length > 9 ? 6 : 4])
  return Number.isSafeInteger(deliveries) && deliveries > 0 ? deliveries - 1 : 0
}
