import { ServiceError, type Logger } from '@micrograft/contracts'
import type {
  Msg,
  MsgHdrs,
  NatsConnection,
  NatsConnectionImpl,
  SubscriptionImpl,
} from '@nats-io/transport-node'
import { ConnectionWatch } from './connection-watch.js'
import { LinkSubscription } from './link-subscription.js'
import { endConnection, openConnection } from './nats-connection.js'
import { natsError } from './nats-error.js'
import { natsSettings, type NatsConnectionOptions, type NatsSettings } from './nats-options.js'
import { Outbox } from './outbox.js'
import { inTime, within } from './waits.js'

export interface NatsSendOptions {
  readonly reply?: string | undefined
  readonly headers?: MsgHdrs | undefined
}

export interface NatsLinkContext {
  /** Names the component in errors, e.g. `the nats broker`. */
  readonly what: string
  readonly service: string
  readonly log: Logger
  readonly signal: AbortSignal
  /** Hears nothing of what it publishes itself. @default false */
  readonly noEcho?: boolean | undefined
}

/**
 * A connection that comes back by itself. While it is lost, what needs it fails at once and nothing is
 * kept for later: the client library would, and then lose it.
 */
export class NatsLink {
  readonly what: string
  readonly #settings: NatsSettings
  readonly #connection: NatsConnectionImpl
  readonly #watch: ConnectionWatch
  readonly #outbox: Outbox
  readonly #log: Logger
  /** Subscriptions that the server does not take. */
  readonly #refused = new Set<LinkSubscription>()
  #closing: Promise<void> | undefined

  private constructor(connection: NatsConnection, settings: NatsSettings, { what, log }: NatsLinkContext) {
    this.what = what
    this.#settings = settings
    this.#connection = connection as NatsConnectionImpl
    this.#log = log
    this.#watch = new ConnectionWatch(what, this.#connection, log)
    this.#watch.onBack(() => this.#subscribeRefused())
    this.#outbox = new Outbox(connection, {
      timeoutMs: settings.timeoutMs,
      maxPendingBytes: settings.maxPendingBytes,
      failure: (error) => (this.#closing ? this.closed() : natsError(error, `${what} got no answer`)),
    })
  }

  /** @throws `unavailable`, `unauthenticated`, `invalid-option`, the signal's reason. */
  static async open(options: NatsConnectionOptions, context: NatsLinkContext): Promise<NatsLink> {
    const { what, service, signal, noEcho = false } = context
    const settings = natsSettings(options, `micrograft ${service}`)
    signal.throwIfAborted()
    try {
      return new NatsLink(await openConnection(settings, { noEcho }, signal), settings, context)
    } catch (error) {
      if (signal.aborted) throw error
      const at = settings.places.map(({ host, port }) => `${host}:${port}`).join(', ')
      throw natsError(error, `${what} cannot connect to ${at}`)
    }
  }

  get connection(): NatsConnection {
    return this.#connection
  }

  get timeoutMs(): number {
    return this.#settings.timeoutMs
  }

  get connected(): boolean {
    return this.#watch.connected
  }

  /** Largest message that the server takes, in bytes. */
  get maxPayload(): number {
    return this.#connection.info?.max_payload ?? 1_048_576
  }

  /** @throws the signal's reason, `closed`, `unavailable` while the connection is lost. */
  ready(signal?: AbortSignal): void {
    signal?.throwIfAborted()
    if (this.#closing) throw this.closed()
    if (!this.connected) {
      throw new ServiceError('unavailable', `${this.what} has lost its server, and tries to reach it again`)
    }
  }

  closed(): ServiceError {
    return new ServiceError('closed', `${this.what} was closed; open another`)
  }

  /** Tells of each loss of the connection. @returns ends that. */
  onLost(listener: () => void): () => void {
    return this.#watch.onLost(listener)
  }

  /** Tells when the connection is there again, with its subscriptions. @returns ends that. */
  onBack(listener: () => void): () => void {
    return this.#watch.onBack(listener)
  }

  /** Sends a message; `flush` says when the server has it. @throws `too-large`, `overloaded`, as `ready`. */
  send(subject: string, data: Uint8Array, options: NatsSendOptions = {}): void {
    this.#publish(subject, data, options)
  }

  /** Sends a message, and resolves when the server has it. @throws also `forbidden`, `timeout`. */
  async publish(
    subject: string,
    data: Uint8Array,
    options: NatsSendOptions = {},
    signal?: AbortSignal,
  ): Promise<void> {
    this.ready(signal)
    const publishing = this.#watch.publishing(subject)
    try {
      await within(this.#publish(subject, data, options), signal)
      const { denied } = publishing
      if (denied) throw natsError(denied, `${this.what} cannot publish on ${subject}`)
    } finally {
      this.#watch.published(subject, publishing)
    }
  }

  /** Resolves when the server has all that was sent, and all that it had sent before is here. */
  async flush(signal?: AbortSignal): Promise<void> {
    this.ready(signal)
    await within(this.#outbox.flush(0), signal)
  }

  async request(
    subject: string,
    data: Uint8Array,
    options: NatsSendOptions & { readonly timeoutMs?: number | undefined } = {},
    signal?: AbortSignal,
  ): Promise<Msg> {
    this.#check(data.byteLength, signal)
    const { headers, timeoutMs = this.timeoutMs } = options
    const ask = (): Promise<Msg> =>
      this.#connection.request(subject, data, { timeout: timeoutMs, ...(headers && { headers }) })
    try {
      return await this.#outbox.during(data.byteLength, async () =>
        within(this.#watch.unlessLost(ask()), signal),
      )
    } catch (error) {
      if (signal?.aborted) throw error
      throw natsError(error, `${this.what} got no answer on ${subject}`)
    }
  }

  /** `work`, or `unavailable` as soon as the connection is lost over it, or `timeout`. */
  whileConnected<T>(work: Promise<T>): Promise<T> {
    return inTime(this.#watch.unlessLost(work), this.timeoutMs)
  }

  /**
   * Hears messages. Where the server refuses it, `onError` is told, and it is made again with the next
   * connection: permissions change with that.
   *
   * @param callback What it throws is logged and passed over: the client library would stop reading.
   */
  subscribe(
    subject: string,
    callback: (message: Msg) => void,
    {
      queue,
      onError,
    }: { queue?: string | undefined; onError?: ((error: ServiceError) => void) | undefined } = {},
  ): LinkSubscription {
    this.ready()
    const hear = (error: Error | null, message: Msg): void => {
      try {
        if (!error) return callback(message)
        subscription.refused = natsError(error, `${this.what} cannot subscribe to ${subject}`)
        this.#refused.add(subscription)
        onError?.(subscription.refused)
      } catch (thrown) {
        this.#log.debug('a message is passed over', { subject, error: thrown })
      }
    }
    const subscription = new LinkSubscription(this.#watch.overLimit, () =>
      this.#connection.subscribe(subject, { ...(queue !== undefined && { queue }), callback: hear }),
    )
    return subscription
  }

  /** Resolves when the server has a subscription. @throws as `requireTaken` */
  async taken(subscription: LinkSubscription, signal?: AbortSignal): Promise<void> {
    await this.flush(signal)
    this.requireTaken(subscription)
  }

  /**
   * For one that the server has answered since.
   * @throws `forbidden` where the server refuses it, `overloaded` where it takes no more.
   */
  requireTaken({ refused, overLimit }: LinkSubscription): void {
    if (refused) throw refused
    if (this.#watch.overLimit === overLimit) return
    throw new ServiceError(
      'overloaded',
      `${this.what} may have no more subscriptions; raise max_subscriptions of the server, or subscribe less`,
    )
  }

  /** Ends a subscription, also while the connection is lost. */
  unsubscribe(subscription: LinkSubscription): void {
    this.#refused.delete(subscription)
    const { current } = subscription
    if (!this.#connection.isClosed() && !current.isClosed()) current.unsubscribe()
  }

  /** Ends a subscription when all that the server had sent to it by then has come. */
  async drain(subscription: LinkSubscription): Promise<void> {
    const { current } = subscription
    if (this.connected && !current.isClosed()) {
      this.#connection.protocol.unsub(current as SubscriptionImpl)
      // What the server was just handing over may come behind its first answer, and comes before its second.
      const answers = this.#connection.flush().then(() => this.#connection.flush())
      await inTime(answers, this.timeoutMs).catch(() => undefined)
    }
    this.unsubscribe(subscription)
  }

  /** Ends the connection at once; what has not been flushed is lost. */
  close(): Promise<void> {
    return (this.#closing ??= endConnection(this.#connection))
  }

  #subscribeRefused(): void {
    const refused = [...this.#refused]
    this.#refused.clear()
    for (const subscription of refused) subscription.again()
  }

  #check(bytes: number, signal?: AbortSignal): void {
    this.ready(signal)
    if (bytes > this.maxPayload) {
      throw new ServiceError(
        'too-large',
        `a message of ${bytes} bytes is above the server’s max_payload of ${this.maxPayload}`,
      )
    }
    this.#outbox.requireRoom(bytes)
  }

  #publish(subject: string, data: Uint8Array, { reply, headers }: NatsSendOptions): Promise<void> {
    this.#check(data.byteLength + (headers ? 256 : 0))
    try {
      this.#connection.publish(subject, data, {
        ...(reply !== undefined && { reply }),
        ...(headers && { headers }),
      })
    } catch (error) {
      throw natsError(error, `${this.what} cannot publish on ${subject}`)
    }
    return this.#outbox.flush(data.byteLength)
  }
}
