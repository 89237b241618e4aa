import { createHash, randomUUID } from 'node:crypto'
import { ServiceError } from '@micrograft/contracts'
import { isUnheard, jetStreamNumber, natsError, within, type NatsLink } from '@micrograft/nats-link'
import {
  AckPolicy,
  DeliverPolicy,
  jetstreamManager,
  type ConsumerConfig,
  type JetStreamManager,
} from '@nats-io/jetstream'
import { nanos, type Msg } from '@nats-io/transport-node'
import type { JetStreamSettings } from './jetstream-options.js'
import { lacksStream, mostTries, Stream } from './stream.js'
import { matches } from './topic.js'

/** JetStream's number of its error for a consumer that is not there: nats-server, `errors.json`. */
const consumerGone = 10_014

/** The stream and its consumers: one for each queue on a topic, and one for each subscription without. */
export class Queues {
  readonly settings: JetStreamSettings
  readonly #link: NatsLink
  readonly #manager: JetStreamManager
  readonly #stream: Stream

  private constructor(link: NatsLink, manager: JetStreamManager, settings: JetStreamSettings) {
    this.#link = link
    this.#manager = manager
    this.#stream = new Stream(link, manager, settings)
    this.settings = settings
  }

  static async open(link: NatsLink, settings: JetStreamSettings, signal: AbortSignal): Promise<Queues> {
    const opening = (async () => {
      const manager = await jetstreamManager(link.connection, { timeout: link.timeoutMs })
      const queues = new Queues(link, manager, settings)
      await queues.#stream.open()
      return queues
    })()
    try {
      return await within(opening, signal)
    } catch (error) {
      if (signal.aborted) throw error
      throw natsError(error, `${link.what} cannot open the stream ${settings.stream}`)
    }
  }

  /** @throws `bad-request` where the stream does not hold the subject. */
  require(subject: string): void {
    const { stream, subjects } = this.settings
    if (subjects.some((each) => matches(subject, each))) return
    throw new ServiceError(
      'bad-request',
      `the stream ${stream} does not hold ${subject}, only ${subjects.join(', ')}; add it to jetstream.subjects`,
    )
  }

  /** The consumer of a queue, made where it is not there yet: it keeps what is published from then on. */
  async ensure(subject: string, name: string, shared: boolean): Promise<void> {
    const { stream, ackWaitMs, maxAckPending, inactiveMs, prefetch } = this.settings
    const wanted = {
      ack_wait: nanos(ackWaitMs),
      max_ack_pending: Math.max(maxAckPending, prefetch),
      // Whoever gets a message too often ends it: one that the server gives up stays in the stream.
      max_deliver: -1,
    }
    const fixed: Partial<ConsumerConfig> = {
      durable_name: name,
      filter_subject: subject,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.New,
      ...(shared ? {} : { inactive_threshold: nanos(inactiveMs) }),
    }
    const { consumers } = this.#manager
    const known = await consumers.info(stream, name).catch((error: unknown) => {
      if (lacksStream(error) || jetStreamNumber(error) === consumerGone) return undefined
      throw error
    })
    if (known) {
      const differs = ([key, value]: [string, unknown]) => known.config[key as keyof ConsumerConfig] !== value
      if (Object.entries(wanted).some(differs)) await consumers.update(stream, name, wanted)
      return
    }
    for (let tries = 1; ; tries++) {
      try {
        await consumers.add(stream, { ...fixed, ...wanted })
        return
      } catch (error) {
        if (tries === mostTries || !lacksStream(error)) throw error
        await this.#stream.restore()
      }
    }
  }

  /** What a consumer is asked for messages by. */
  requestSubject(name: string): string {
    return `$JS.API.CONSUMER.MSG.NEXT.${this.settings.stream}.${name}`
  }

  /** Resolves when the stream has the message. */
  async publish(subject: string, data: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const { stream } = this.settings
    const { data: answer } = await this.#ask(subject, data, signal)
    let ack: { stream?: string; error?: { code: number; err_code: number; description: string } }
    try {
      ack = JSON.parse(Buffer.from(answer).toString()) as typeof ack
    } catch {
      ack = {}
    }
    if (ack.error) {
      const error = Object.assign(new Error(ack.error.description), { apiError: () => ack.error })
      throw natsError(error, `${this.#link.what} cannot publish on ${subject}`)
    }
    if (ack.stream !== undefined) return
    throw new ServiceError('protocol', `who answers on ${subject} is not the stream ${stream}`)
  }

  /** Where nobody hears, the stream is gone with all that it held: it was in memory, or somebody has deleted it. */
  async #ask(subject: string, data: Uint8Array, signal: AbortSignal | undefined): Promise<Msg> {
    try {
      return await this.#link.request(subject, data, {}, signal)
    } catch (error) {
      if (!isUnheard(error)) throw error
    }
    await within(this.#stream.restore(), signal)
    return this.#link.request(subject, data, {}, signal)
  }

  async forget(name: string): Promise<void> {
    await this.#manager.consumers.delete(this.settings.stream, name)
  }
}

/** The same in every process, and a name that JetStream takes whatever the topic is. */
export function consumerName(subject: string, queue: string | undefined): string {
  if (queue === undefined) return `each-${randomUUID()}`
  const readable = queue.replaceAll('.', '_').slice(0, 64)
  return `${readable}-${createHash('sha256').update(`${queue}\0${subject}`).digest('hex').slice(0, 32)}`
}
