import { ServiceError, type Logger } from '@micrograft/contracts'
import { within, type NatsLink } from '@micrograft/nats-link'
import type { NodeRecord } from '@micrograft/plugin-kit'
import { createInbox, type Msg } from '@nats-io/transport-node'
import {
  announcementMessages,
  queryMessage,
  readAnnouncement,
  readQuery,
  readService,
  serviceMessages,
  type Announcement,
  type Claim,
} from './wire.js'

export interface PeersSettings {
  readonly prefix: string
  readonly queryMs: number
  readonly maxNodes: number
}

export interface PeersListener {
  /** What this registry answers for: nodes of a service, or all. */
  readonly asked: (name: string | undefined) => Iterable<readonly [Claim, readonly NodeRecord[]]>
  readonly told: (announcement: Announcement) => void
}

/** The other registries on the server: what is said to them, asked of them and heard from them. */
export class Peers {
  readonly #link: NatsLink
  readonly #settings: PeersSettings
  readonly #log: Logger
  readonly #closing = new AbortController()

  constructor(link: NatsLink, settings: PeersSettings, log: Logger) {
    this.#link = link
    this.#settings = settings
    this.#log = log
  }

  get connected(): boolean {
    return this.#link.connected
  }

  /** Answers and hears from now on. */
  async listen({ asked, told }: PeersListener): Promise<void> {
    const { prefix } = this.#settings
    const hear = (data: Uint8Array): void => {
      const announcement = readAnnouncement(data)
      if (announcement) told(announcement)
    }
    const warn = (error: Error): void => this.#log.warn('the nats registry cannot hear others', { error })
    const subscriptions = [
      this.#link.subscribe(`${prefix}.query`, (each) => this.#answer(each, asked), { onError: warn }),
      this.#link.subscribe(`${prefix}.watch`, ({ data }) => hear(data), { onError: warn }),
    ]
    for (const each of subscriptions) await this.#link.taken(each)
  }

  /** Answers nobody any more, and ends every question with `reason`. */
  end(reason: ServiceError): void {
    this.#closing.abort(reason)
  }

  /** @throws `too-large` */
  announcements(
    action: Announcement['action'],
    records: readonly NodeRecord[],
    claim: Claim | undefined,
  ): readonly Buffer[] {
    try {
      return announcementMessages(action, records, claim, this.#link.maxPayload)
    } catch (cause) {
      if (cause instanceof RangeError) throw new ServiceError('too-large', cause.message, { cause })
      throw cause
    }
  }

  /** Resolves when the server has all of them. */
  async tell(messages: readonly Buffer[], signal?: AbortSignal): Promise<void> {
    const subject = `${this.#settings.prefix}.watch`
    await Promise.all(messages.map((message) => this.#link.publish(subject, message, {}, signal)))
  }

  /** Says once more what holds, and does not wait until the server has it. */
  repeat(records: readonly NodeRecord[], claim: Claim): void {
    for (const message of this.announcements('update', records, claim)) {
      this.#link.send(`${this.#settings.prefix}.watch`, message)
    }
  }

  /** Asks, and hands over what is heard until the time is over and answers have stopped coming. */
  async ask(
    name: string | undefined,
    signal: AbortSignal | undefined,
    listener: (record: NodeRecord, claim: Claim | undefined) => void,
  ): Promise<void> {
    const { prefix, queryMs, maxNodes } = this.#settings
    const inbox = createInbox()
    let heard = false
    let alone = false
    let count = 0
    const subscription = this.#link.subscribe(inbox, ({ data, headers }) => {
      if (headers?.code === 503) alone = true
      else {
        heard = true
        this.quietly(() => {
          const { records, claim } = readService(data)
          for (const record of records) if (count++ < maxNodes) listener(record, claim)
        })
      }
    })
    try {
      await this.#link.publish(`${prefix}.query`, queryMessage(name), { reply: inbox }, signal)
      this.#link.requireTaken(subscription)
      const last = performance.now() + queryMs * 30
      if (!alone) await this.#wait(queryMs, signal)
      while (heard && performance.now() < last) {
        heard = false
        await this.#wait(queryMs / 2, signal)
      }
    } finally {
      this.#link.unsubscribe(subscription)
    }
  }

  /** Anybody may send anything on the subjects, and it must not end the connection's reading. */
  quietly(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#log.debug('a message of the nats registry is passed over', { error })
    }
  }

  #answer({ data, reply }: Msg, asked: PeersListener['asked']): void {
    const query = readQuery(data)
    if (!query || reply === undefined || this.#closing.signal.aborted) return
    for (const [claim, records] of asked(query.name)) {
      for (const message of serviceMessages(records, claim, this.#link.maxPayload))
        this.#link.send(reply, message)
    }
  }

  /** Waits, and then until what came in while this process was busy has been read. */
  async #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(() => setImmediate(resolve), ms)
    })
    try {
      await within(within(over, this.#closing.signal), signal)
    } finally {
      clearTimeout(timer)
    }
  }
}
