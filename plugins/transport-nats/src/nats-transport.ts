import {
  requireLimits,
  resolveOptions,
  ServiceError,
  timerMs,
  type CallOptions,
  type ComponentContext,
  type Connection,
  type ConnectionHandler,
  type DialOptions,
  type Listener,
  type Logger,
  type Transport,
  type TransportLimits,
} from '@micrograft/contracts'
import { connectionDefaults, NatsLink, within, type NatsConnectionOptions } from '@micrograft/nats-link'
import type { Msg } from '@nats-io/transport-node'
import { dialSubject, greetingSubject, listenSubject } from './address.js'
import { dialPeer, heardBySomebody, unreached } from './dialling.js'
import { Door, type Accept, type ConnectionMakes, type DoorSettings, type NewConnection } from './door.js'
import { frameHeadBytes } from './frames.js'
import { longestKeepAliveMs } from './greeting.js'
import { NatsPeerConnection } from './nats-connection.js'
import { goWire, peerWire } from './peer-wire.js'

export interface NatsTransportOptions extends NatsConnectionOptions, TransportLimits {
  /** How often a connection gives a sign of life, in milliseconds; a peer that gives none for three and a half times as long is gone; at most 600_000. @default 10_000 */
  readonly keepAliveMs?: number | undefined
  /** How long a connection with a peer of go-micro stays without a message, in milliseconds: such a peer never says that it ends. @default 120_000 */
  readonly idleTimeoutMs?: number | undefined
}

const defaults = {
  ...connectionDefaults,
  maxMessageBytes: 4_194_304,
  maxQueuedBytes: 16_777_216,
  maxConnections: 10_000,
  keepAliveMs: 10_000,
  idleTimeoutMs: 120_000,
}

/** Messages over a NATS server: whoever reaches it reaches every service on it, without a port of its own. */
export async function natsTransport(
  options: NatsTransportOptions | undefined,
  { service, log, signal }: ComponentContext,
): Promise<Transport> {
  const resolved = resolveOptions('the options of the nats transport', defaults, options)
  const { maxMessageBytes, maxQueuedBytes, maxConnections, keepAliveMs, idleTimeoutMs, ...connection } =
    resolved
  const settings = { maxMessageBytes, maxQueuedBytes, maxConnections, keepAliveMs, idleTimeoutMs }
  requireLimits('the options of the nats transport', settings)
  if (keepAliveMs > longestKeepAliveMs) {
    const most = `at most ${longestKeepAliveMs} may be, for peers would miss a sign of life`
    throw new ServiceError('invalid-option', `keepAliveMs is ${keepAliveMs}; ${most}`)
  }
  const what = 'the nats transport'
  return new NatsTransport(await NatsLink.open(connection, { what, service, log, signal }), settings, log)
}

/** Largest piece of a message, in bytes, where the server takes more. */
const maxPieceBytes = 262_144
const defaultDialTimeoutMs = 5000

class NatsTransport implements Transport {
  readonly name = 'nats'
  readonly #link: NatsLink
  readonly #settings: DoorSettings
  readonly #log: Logger
  readonly #connections = new Set<NatsPeerConnection>()
  readonly #listeners = new Set<Listener>()
  /** Ends those dials that are under way. */
  readonly #dials = new Set<AbortController>()
  readonly #makes: ConnectionMakes = {
    connection: (ends) => this.#connection(ends),
    peerWire: () => {
      const { maxMessageBytes } = this.#settings
      const pieceBytes = Math.min(maxPieceBytes, this.#link.maxPayload - frameHeadBytes)
      return peerWire(Math.max(1, pieceBytes), maxMessageBytes)
    },
    goWire: () => goWire(this.#link.maxPayload),
  }
  #ended: Promise<void> | undefined

  constructor(link: NatsLink, settings: DoorSettings, log: Logger) {
    this.#link = link
    this.#settings = settings
    this.#log = log
    link.onLost(() => {
      for (const connection of this.#connections) connection.lost()
      for (const dial of this.#dials)
        dial.abort(new ServiceError('unavailable', 'the connection to nats was lost while dialling'))
    })
  }

  async listen(address: string, accept: Accept, { signal }: CallOptions = {}): Promise<Listener> {
    this.#ready(signal)
    const subject = listenSubject(address)
    const taken = await heardBySomebody(this.#link, subject, signal)
    this.#ready(signal)
    if (taken) {
      const next = 'stop what listens there or choose another address'
      throw new ServiceError('conflict', `${subject} is taken; ${next}`)
    }
    const door = new Door(this.#link, accept, this.#settings, this.#makes)
    const hear = (message: Msg, how: (message: Msg) => void): void => {
      try {
        how(message)
      } catch (error) {
        this.#log.debug('a message to a listener is passed over', { address: subject, error })
      }
    }
    const subscriptions = [
      this.#link.subscribe(subject, (message) => hear(message, (each) => door.hearGo(each))),
      this.#link.subscribe(greetingSubject(subject), (message) => hear(message, (each) => door.greet(each))),
    ]
    let closing: Promise<void> | undefined
    const close = async (): Promise<void> => {
      this.#listeners.delete(listener)
      for (const each of subscriptions) this.#link.unsubscribe(each)
      if (this.#link.connected) await this.#link.flush().catch(() => undefined)
    }
    const listener: Listener = { address: subject, [Symbol.asyncDispose]: () => (closing ??= close()) }
    this.#listeners.add(listener)
    try {
      await this.#link.flush(signal)
      return listener
    } catch (error) {
      void listener[Symbol.asyncDispose]()
      throw error
    }
  }

  async dial(
    address: string,
    handler: ConnectionHandler,
    { signal, timeoutMs = defaultDialTimeoutMs, secure }: DialOptions = {},
  ): Promise<Connection> {
    this.#ready(signal)
    if (secure) {
      throw new ServiceError(
        'unsupported',
        'the nats transport has no TLS of its own; the node asks for it, and it ends at the server here',
      )
    }
    const subject = dialSubject(address)
    const late = new AbortController()
    this.#dials.add(late)
    const timer = setTimeout(
      () => late.abort(unreached(subject, `no answer within ${timeoutMs} ms`)),
      timerMs(timeoutMs),
    )
    try {
      const { keepAliveMs } = this.#settings
      const connecting = dialPeer(this.#link, subject, handler, keepAliveMs, this.#makes, late.signal)
      const giveUp = (): void => {
        late.abort(signal?.reason)
        connecting.then(
          (connection) => connection.destroy(),
          () => undefined,
        )
      }
      return await within(connecting, signal, giveUp)
    } finally {
      clearTimeout(timer)
      this.#dials.delete(late)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#ended ??= this.#end())
  }

  async #end(): Promise<void> {
    const closing = [...this.#listeners].map((each) => each[Symbol.asyncDispose]())
    for (const dial of this.#dials) dial.abort(this.#link.closed())
    const connections = [...this.#connections]
    for (const connection of connections) connection.destroy(this.#link.closed())
    await Promise.all([...closing, ...connections.map(({ closed }) => closed)])
    // What the peers were told last is to reach them.
    if (this.#link.connected) await this.#link.flush().catch(() => undefined)
    await this.#link.close()
  }

  #connection({ remote, ...ends }: NewConnection): NatsPeerConnection {
    const connection = new NatsPeerConnection(remote, this.#link, this.#settings, {
      ...ends,
      onOver: () => {
        ends.onOver()
        this.#connections.delete(connection)
      },
    })
    this.#connections.add(connection)
    return connection
  }

  #ready(signal: AbortSignal | undefined): void {
    if (this.#ended) throw this.#link.closed()
    this.#link.ready(signal)
  }
}
