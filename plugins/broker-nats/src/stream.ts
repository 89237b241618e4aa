import { ServiceError } from '@micrograft/contracts'
import { jetStreamNumber, natsError, type NatsLink } from '@micrograft/nats-link'
import {
  DiscardPolicy,
  RetentionPolicy,
  StorageType,
  type JetStreamManager,
  type StreamConfig,
} from '@nats-io/jetstream'
import { nanos } from '@nats-io/transport-node'
import type { JetStreamSettings } from './jetstream-options.js'

/** JetStream's numbers of errors: nats-server, `errors.json`. */
const streamThere = 10_058
const streamGone = 10_059
const filterOutside = 10_093

/** Others may write the subjects of the stream at the same time, over each other. */
export const mostTries = 20

/** The stream that holds what is published. */
export class Stream {
  readonly #link: NatsLink
  readonly #manager: JetStreamManager
  readonly #settings: JetStreamSettings
  #restoring: Promise<void> | undefined

  constructor(link: NatsLink, manager: JetStreamManager, settings: JetStreamSettings) {
    this.#link = link
    this.#manager = manager
    this.#settings = settings
  }

  /** Makes it where there is none, and adds the subjects that it lacks. */
  async open(): Promise<void> {
    const { stream, subjects } = this.#settings
    for (let tries = 0; tries < mostTries; tries++) {
      const config = await this.#find()
      const missing = config && subjects.filter((each) => !config.subjects.includes(each))
      if (missing?.length === 0) return
      if (missing) await this.#manager.streams.update(stream, { subjects: [...config.subjects, ...missing] })
      else await this.#add()
    }
    throw new ServiceError(
      'conflict',
      `the stream ${stream} loses its subjects again and again: others give it other ones; name another stream`,
    )
  }

  /** As `open`, where somebody has taken it away; all who ask meanwhile wait for one answer. */
  async restore(): Promise<void> {
    this.#restoring ??= this.#link.whileConnected(this.open()).finally(() => (this.#restoring = undefined))
    try {
      await this.#restoring
    } catch (error) {
      throw natsError(error, `${this.#link.what} cannot open the stream ${this.#settings.stream}`)
    }
  }

  async #find(): Promise<StreamConfig | undefined> {
    try {
      return (await this.#manager.streams.info(this.#settings.stream)).config
    } catch (error) {
      if (jetStreamNumber(error) === streamGone) return undefined
      throw error
    }
  }

  async #add(): Promise<void> {
    const { stream, storage, replicas, maxAgeMs, maxBytes, subjects } = this.#settings
    try {
      await this.#manager.streams.add({
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
    } catch (error) {
      // Somebody else, with other options, was making it at the same time.
      if (jetStreamNumber(error) !== streamThere) throw error
    }
  }
}

/** Whether JetStream refused a consumer since the stream is gone, or does not hold its subject any more. */
export function lacksStream(error: unknown): boolean {
  return [streamGone, filterOutside].includes(jetStreamNumber(error) ?? 0)
}
