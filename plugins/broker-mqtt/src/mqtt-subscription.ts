import { randomUUID } from 'node:crypto'
import { ServiceError, type Delivery, type DeliveryHandler, type Subscription } from '@micrograft/contracts'
import { abortable } from '@micrograft/plugin-kit'
import type { IClientOptions, IPublishPacket } from 'mqtt'
import { Acknowledgements } from './acknowledgements.js'
import { decodeMessage } from './message.js'
import { mqttError } from './mqtt-error.js'
import { atMost, closeTimeoutMs, MqttLink } from './mqtt-link.js'

export interface MqttSubscriptionOptions {
  readonly topic: string
  /** The topic on the server, with its prefix. */
  readonly serverTopic: string
  readonly queue: string | undefined
  readonly concurrency: number
  readonly handler: DeliveryHandler
  readonly onError: (error: Error, delivery: Delivery | undefined) => void
  readonly client: IClientOptions
  readonly label: string
  readonly drainMs: number
  readonly onEnd: (subscription: MqttSubscription) => void
}

interface Waiting {
  readonly packet: IPublishPacket
  readonly handled: () => void
}

/** Most messages without an acknowledgement that wait for the handler: others publish them, and the server holds none back. */
const maxWaiting = 1024

/** Pause before a subscription is asked for again that the server refused, in milliseconds. */
const subscribeAgainMs = 1000

/** Says to the library that a message is not answered by it. */
const answeredLater = new Error('the message is acknowledged when it is handled')

/**
 * One subscription, with a connection of its own: the server then sends no more than the handler takes
 * at a time, and each subscription gets its own copy.
 */
export class MqttSubscription implements Subscription {
  readonly topic: string
  readonly #options: MqttSubscriptionOptions
  readonly #link: MqttLink
  readonly #acknowledgements: Acknowledgements
  readonly #waiting: Waiting[] = []
  /** Comes last of what the server has put in line for this subscription. */
  readonly #marker = `micrograft/drain/${randomUUID()}`
  #running = 0
  #over = false
  #reachedMarker: (() => void) | undefined
  #idle: (() => void) | undefined
  #later: NodeJS.Timeout | undefined
  #disposed: Promise<void> | undefined

  constructor(options: MqttSubscriptionOptions) {
    this.topic = options.topic
    this.#options = options
    this.#link = new MqttLink({
      client: options.client,
      label: options.label,
      onLost: (error) => this.#tell(error, undefined),
    })
    const { client } = this.#link
    this.#acknowledgements = new Acknowledgements(client)
    client.handleMessage = (packet, done) => {
      const answered = packet.qos === 0
      this.#receive(packet)
      done(answered ? undefined : answeredLater)
    }
  }

  /** Resolves when messages come. @throws what the server answers, `unavailable`, or the signal's reason. */
  async opened(signal: AbortSignal): Promise<void> {
    try {
      await this.#link.open(signal)
      await abortable(this.#subscribe(), signal)
      this.#link.client.on('connect', () => this.#subscribeAgain())
    } catch (error) {
      void this[Symbol.asyncDispose]()
      if (signal.aborted) throw signal.reason
      throw mqttError(error, `cannot subscribe to ${this.topic}`)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#disposed ??= this.#dispose())
  }

  async #subscribe(): Promise<void> {
    await this.#link.client.subscribeAsync(this.#filter, { qos: 1, rh: 2 })
  }

  /**
   * Also where the server says that it has the session: Mosquitto 2.0 says so after a restart, and has
   * forgotten its shared subscriptions. Where it refuses, it is asked until it does not.
   */
  #subscribeAgain(tries = 1): void {
    clearTimeout(this.#later)
    if (this.#disposed) return
    this.#subscribe().catch((error: unknown) => {
      if (!this.#link.client.connected || this.#disposed) return
      if (tries === 1) this.#tell(mqttError(error, `cannot subscribe to ${this.topic} again`), undefined)
      this.#later = setTimeout(() => this.#subscribeAgain(tries + 1), subscribeAgainMs).unref()
    })
  }

  async #dispose(): Promise<void> {
    clearTimeout(this.#later)
    const { queue, drainMs } = this.#options
    const { client } = this.#link
    if (queue !== undefined && client.connected) await atMost(drainMs, this.#drain())
    this.#over = true
    this.#waiting.length = 0
    await this.#whenIdle()
    await this.#link[Symbol.asyncDispose]()
    this.#options.onEnd(this)
  }

  /**
   * Handles what the server has put in line for this one of the queue, for no other gets it. What comes
   * through the line after the subscription has ended and behind all of that is a message to oneself.
   */
  async #drain(): Promise<void> {
    const { client } = this.#link
    const reached = new Promise<void>((resolve) => (this.#reachedMarker = resolve))
    let asked = false
    const ask = async () => {
      await client.subscribeAsync(this.#marker, { qos: 1 })
      await client.unsubscribeAsync(this.#filter)
      await client.publishAsync(this.#marker, '', { qos: 1 })
      asked = true
    }
    await atMost(closeTimeoutMs, ask())
    if (!asked) return
    await reached
    await this.#whenIdle()
  }

  get #filter(): string {
    const { queue, serverTopic } = this.#options
    return queue === undefined ? serverTopic : `$share/${queue}/${serverTopic}`
  }

  #receive(packet: IPublishPacket): void {
    const { qos, messageId = 0, topic, dup } = packet
    const handled = qos === 0 ? () => undefined : this.#acknowledgements.receive(messageId, dup)
    if (!handled || this.#over) return
    if (topic === this.#marker) {
      handled()
      this.#reachedMarker?.()
      return
    }
    // A subscription without a queue ends at once.
    if (this.#disposed && this.#options.queue === undefined) return
    if (this.#waiting.length >= maxWaiting) {
      this.#tell(
        new ServiceError('overloaded', `a message of ${this.topic} was dropped: ${maxWaiting} wait already`),
        undefined,
      )
      handled()
      return
    }
    this.#waiting.push({ packet, handled })
    this.#next()
  }

  #next(): void {
    while (this.#running < this.#options.concurrency) {
      const next = this.#waiting.shift()
      if (!next) break
      this.#running++
      void this.#handle(next)
    }
    if (this.#running === 0 && this.#waiting.length === 0) this.#idle?.()
  }

  async #handle({ packet, handled }: Waiting): Promise<void> {
    const delivery: Delivery = { topic: this.topic, message: decodeMessage(packet), redelivered: 0 }
    try {
      await this.#options.handler(delivery)
    } catch (error) {
      this.#tell(error instanceof Error ? error : ServiceError.from(error), delivery)
    }
    // MQTT has no way to have it delivered again: not to answer would stop all that comes behind it.
    handled()
    this.#running--
    this.#next()
  }

  #whenIdle(): Promise<void> {
    if (this.#running === 0 && this.#waiting.length === 0) return Promise.resolve()
    return new Promise((resolve) => (this.#idle = resolve))
  }

  #tell(error: Error, delivery: Delivery | undefined): void {
    try {
      this.#options.onError(error, delivery)
    } catch {
      // Whoever is told of errors must not make more of them.
    }
  }
}
