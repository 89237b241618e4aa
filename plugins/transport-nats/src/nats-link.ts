import { ServiceError, type Logger } from '@micrograft/contracts'
import {
  connect,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type NatsConnectionImpl,
  type Subscription,
  type SubscriptionImpl,
} from '@nats-io/transport-node'
import { natsError } from './nats-error.js'
import { natsSettings, type NatsConnectionOptions, type NatsSettings } from './nats-options.js'
import { someAnswer } from './nats-probe.js'

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

interface Batch {
  bytes: number
  done: Promise<void>
}

/** Subjects that the server refused lately; more of them are not remembered. */
const maxDenied = 1000

/**
 * A connection that comes back by itself. While it is lost, what needs it fails at once and nothing is
 * kept for later: the client library would, and then lose it.
 */
export class NatsLink {
  readonly what: string
  readonly #settings: NatsSettings
  readonly #log: Logger
  readonly #connection: NatsConnectionImpl
  readonly #onLost = new Set<() => void>()
  readonly #onBack = new Set<() => void>()
  readonly #denied = new Map<string, Error>()
  #batch: Batch | undefined
  #pendingBytes = 0
  #lost = false
  #closing: Promise<void> | undefined

  private constructor(connection: NatsConnection, settings: NatsSettings, { what, log }: NatsLinkContext) {
    this.#connection = connection as NatsConnectionImpl
    this.#settings = settings
    this.what = what
    this.#log = log
    void this.#follow()
  }

  /** @throws `unavailable`, `unauthenticated`, `invalid-option`, the signal's reason. */
  static async open(options: NatsConnectionOptions, context: NatsLinkContext): Promise<NatsLink> {
    const { what, service, signal, noEcho = false } = context
    const settings = natsSettings(options, `micrograft ${service}`)
    const { places, connectTimeoutMs, handshakeFirst, client } = settings
    signal.throwIfAborted()
    const at = places.map(({ host, port }) => `${host}:${port}`).join(', ')
    try {
      await someAnswer(places, connectTimeoutMs, !handshakeFirst, signal)
      const connecting = connect({ ...client, noEcho })
      const connection = await within(connecting, signal, () => connecting.then(end, () => undefined))
      return new NatsLink(connection, settings, context)
    } catch (error) {
      if (signal.aborted) throw error
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
    return this.#connection.protocol.connected && !this.#connection.isClosed()
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
    this.#onLost.add(listener)
    return () => this.#onLost.delete(listener)
  }

  /** Tells when the connection is there again, with its subscriptions. @returns ends that. */
  onBack(listener: () => void): () => void {
    this.#onBack.add(listener)
    return () => this.#onBack.delete(listener)
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
    this.#denied.delete(subject)
    await within(this.#publish(subject, data, options), signal)
    const denied = this.#denied.get(subject)
    if (denied) throw natsError(denied, `${this.what} cannot publish on ${subject}`)
  }

  /** Resolves when the server has all that was sent, and all that it had sent before is here. */
  async flush(signal?: AbortSignal): Promise<void> {
    this.ready(signal)
    await within(this.#join(0), signal)
  }

  async request(
    subject: string,
    data: Uint8Array,
    options: NatsSendOptions & { readonly timeoutMs?: number | undefined } = {},
    signal?: AbortSignal,
  ): Promise<Msg> {
    this.#check(data.byteLength, signal)
    const { headers, timeoutMs = this.timeoutMs } = options
    const bytes = data.byteLength
    this.#pendingBytes += bytes
    try {
      const asked = this.#connection.request(subject, data, {
        timeout: timeoutMs,
        ...(headers && { headers }),
      })
      const answer = await within(this.#unlessLost(asked), signal)
      this.#pendingBytes -= bytes
      return answer
    } catch (error) {
      // They may lie in the socket still: the next flush tells.
      this.#pendingBytes -= bytes
      this.#join(bytes)
      if (signal?.aborted) throw error
      throw natsError(error, `${this.what} got no answer on ${subject}`)
    }
  }

  /** `work`, or `unavailable` as soon as the connection is lost over it, or `timeout`. */
  whileConnected<T>(work: Promise<T>): Promise<T> {
    return inTime(this.#unlessLost(work), this.timeoutMs)
  }

  /** @param callback Never throws: the client library would stop reading. */
  subscribe(
    subject: string,
    callback: (message: Msg) => void,
    {
      queue,
      onError,
    }: { queue?: string | undefined; onError?: ((error: ServiceError) => void) | undefined } = {},
  ): Subscription {
    this.ready()
    return this.#connection.subscribe(subject, {
      ...(queue !== undefined && { queue }),
      callback: (error, message) => {
        if (error) onError?.(natsError(error, `${this.what} cannot subscribe to ${subject}`))
        else callback(message)
      },
    })
  }

  /** Ends a subscription, also while the connection is lost. */
  unsubscribe(subscription: Subscription): void {
    if (!this.#connection.isClosed() && !subscription.isClosed()) subscription.unsubscribe()
  }

  /** Ends a subscription when all that the server had sent to it by then has come. */
  async drain(subscription: Subscription): Promise<void> {
    if (this.connected && !subscription.isClosed()) {
      this.#connection.protocol.unsub(subscription as SubscriptionImpl)
      // What the server was just handing over may come behind its first answer, and comes before its second.
      const answers = this.#connection.flush().then(() => this.#connection.flush())
      await inTime(answers, this.timeoutMs).catch(() => undefined)
    }
    this.unsubscribe(subscription)
  }

  /** Ends the connection at once; what has not been flushed is lost. */
  close(): Promise<void> {
    return (this.#closing ??= end(this.#connection))
  }

  #unlessLost<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const forget = this.onLost(() => {
        forget()
        reject(new ServiceError('unavailable', `${this.what} lost its server before the answer came`))
      })
      work.then(
        (value) => {
          forget()
          resolve(value)
        },
        (error: unknown) => {
          forget()
          reject(error as Error)
        },
      )
    })
  }

  #check(bytes: number, signal?: AbortSignal): void {
    this.ready(signal)
    if (bytes > this.maxPayload) {
      throw new ServiceError(
        'too-large',
        `a message of ${bytes} bytes is above the server’s max_payload of ${this.maxPayload}`,
      )
    }
    const { maxPendingBytes } = this.#settings
    if (this.#pendingBytes + bytes <= maxPendingBytes) return
    throw new ServiceError(
      'overloaded',
      `${this.#pendingBytes} bytes wait until the server has them, at most ${maxPendingBytes} may; send slower`,
    )
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
    return this.#join(data.byteLength)
  }

  /** What is sent in one turn shares one question to the server whether it has it. */
  #join(bytes: number): Promise<void> {
    const batch = (this.#batch ??= this.#begin())
    batch.bytes += bytes
    this.#pendingBytes += bytes
    return batch.done
  }

  #begin(): Batch {
    const batch: Batch = { bytes: 0, done: Promise.resolve() }
    batch.done = Promise.resolve().then(async () => {
      this.#batch = undefined
      // The bytes lie in the socket until the server answers or is lost, however long whoever sent them waits.
      const answered = this.#connection.flush().finally(() => (this.#pendingBytes -= batch.bytes))
      try {
        await inTime(answered, this.timeoutMs)
      } catch (error) {
        if (this.#closing) throw this.closed()
        throw natsError(error, `${this.what} got no answer`)
      }
      // The server tells of a refusal before it answers; who listens to that has its turn first.
      await new Promise((resolve) => setImmediate(resolve))
    })
    batch.done.catch(() => undefined)
    return batch
  }

  async #follow(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === 'disconnect' && !this.#lost) {
        this.#lost = true
        this.#log.warn('connection to nats lost', { server: status.server })
        for (const listener of this.#onLost) listener()
      } else if (status.type === 'reconnect' && this.#lost && this.connected) {
        this.#lost = false
        this.#denied.clear()
        this.#log.info('connection to nats is back', { server: status.server })
        for (const listener of this.#onBack) listener()
      } else if (status.type === 'staleConnection') {
        // The client library first waits until the silent server has taken what is left to send.
        void this.#connection.protocol.transport.close(new Error('the server has fallen silent'))
      } else if (status.type === 'error') {
        this.#log.warn('nats refused something', { error: status.error })
        const { operation, subject } = status.error as { operation?: string; subject?: string }
        if (operation === 'publish' && subject !== undefined && this.#denied.size < maxDenied) {
          this.#denied.set(subject, status.error)
        }
      }
    }
  }
}

/** `work`, or the signal's reason as soon as there is one. */
export function within<T>(work: Promise<T>, signal?: AbortSignal, onAbort?: () => unknown): Promise<T> {
  if (!signal) return work
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason as Error)
      onAbort?.()
    }
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** `work`, or a `TimeoutError` as the client library has it. */
function inTime<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(Object.assign(new Error(`no answer within ${timeoutMs} ms`), { name: 'TimeoutError' })),
      timeoutMs,
    ).unref()
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** Closes a connection, and also what the client library leaves where it is just trying to connect again. */
async function end(connection: NatsConnection): Promise<void> {
  const { protocol } = connection as NatsConnectionImpl
  const discard = (): void => {
    protocol.heartbeats.cancel()
    protocol.transport.discard()
  }
  const trying = protocol.connectPromise
  await connection.close()
  discard()
  trying?.then(discard, discard)
}
