import { createHash, randomUUID } from 'node:crypto'
import { ServiceError } from '@micrograft/contracts'
import { natsError, within, type NatsLink } from '@micrograft/nats-link'
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type ConsumerConfig,
  type JetStreamManager,
} from '@nats-io/jetstream'
import { nanos } from '@nats-io/transport-node'
import type { JetStreamSettings } from './jetstream-options.js'
import { matches } from './topic.js'

/** The stream and its consumers: one for each queue on a topic, and one for each subscription without. */
export class Queues {
  readonly settings: JetStreamSettings
  readonly #link: NatsLink
  readonly #manager: JetStreamManager

  private constructor(link: NatsLink, manager: JetStreamManager, settings: JetStreamSettings) {
    this.#link = link
    this.#manager = manager
    this.settings = settings
  }

  static async open(link: NatsLink, settings: JetStreamSettings, signal: AbortSignal): Promise<Queues> {
    const opening = (async () => {
      const manager = await jetstreamManager(link.connection, { timeout: link.timeoutMs })
      const queues = new Queues(link, manager, settings)
      await queues.#openStream()
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
    const { stream, ackWaitMs, maxAckPending, maxDeliver, inactiveMs, prefetch } = this.settings
    const wanted = {
      ack_wait: nanos(ackWaitMs),
      max_ack_pending: Math.max(maxAckPending, prefetch),
      max_deliver: Number.isFinite(maxDeliver) ? maxDeliver : -1,
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
      if (isMissing(error)) return undefined
      throw error
    })
    if (!known) await consumers.add(stream, { ...fixed, ...wanted })
    else if (
      Object.entries(wanted).some(([key, value]) => known.config[key as keyof ConsumerConfig] !== value)
    )
      await consumers.update(stream, name, wanted)
  }

  /** What a consumer is asked for messages by. */
  requestSubject(name: string): string {
    return `$JS.API.CONSUMER.MSG.NEXT.${this.settings.stream}.${name}`
  }

  /** Resolves when the stream has the message. */
  async publish(subject: string, data: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const { stream } = this.settings
    const { data: answer } = await this.#link.request(subject, data, {}, signal)
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

  async forget(name: string): Promise<void> {
    await this.#manager.consumers.delete(this.settings.stream, name)
  }

  async #openStream(): Promise<void> {
    const { stream, storage, replicas, maxAgeMs, maxBytes, subjects } = this.settings
    const { streams } = this.#manager
    try {
      const { config } = await streams.info(stream)
      const missing = subjects.filter((each) => !config.subjects.includes(each))
      if (missing.length > 0) await streams.update(stream, { subjects: [...config.subjects, ...missing] })
    } catch (error) {
      if (!isMissing(error)) throw error
      await streams.add({
        name: stream,
        subjects: [...subjects],
        // A message goes when every queue that there is has handled it.
        retention: RetentionPolicy.Interest,
        // What is refused is told to the publisher; what is dropped is told to nobody.
        discard: DiscardPolicy.New,
        storage: storage === 'file' ? StorageType.File : StorageType.Memory,
        num_replicas: replicas,
        max_age: nanos(maxAgeMs),
        max_bytes: maxBytes,
      })
    }
  }
}

/** The same in every process, and a name that JetStream takes whatever the topic is. */
export function consumerName(subject: string, queue: string | undefined): string {
  if (queue === undefined) return `each-${randomUUID()}`
  const readable = queue.replaceAll('.', '_').slice(0, 64)
  return `${readable}-${createHash('sha256').update(`${queue}\0${subject}`).digest('hex').slice(0, 32)}`
}

function isMissing(error: unknown): boolean {
  const { name } = error as Error
  return name === 'StreamNotFoundError' || name === 'ConsumerNotFoundError'
}
