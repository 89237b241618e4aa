import {
  ServiceError,
  timerMs,
  type Connection,
  type ErrorCode,
  type Message,
  type Transport,
} from '@micrograft/contracts'
import { takesParts, type RangeHandler } from '../transport/bare-messages.js'
import { protocolError } from '../transport/protocol-error.js'
import type { Exchange } from './client-exchange.js'
import { DeadlineWheel } from '../deadlines/deadline-wheel.js'
import { FrameType, highestVersion, lowestVersion, type Hello } from './frame.js'
import { FrameReader } from './frame-reader.js'
import { cancelFrame, goAwayFrame, helloFrame, pingFrame } from './frame-writer.js'
import { Outbox } from './outbox.js'
import { SignsOfLife } from './signs-of-life.js'
import { SentTargets } from './target-table.js'

const noBytes = Buffer.alloc(0)

export interface ClientConnectionOptions {
  readonly dialTimeoutMs: number
  readonly pingIntervalMs: number
  readonly pingTimeoutMs: number
  readonly idleMs: number
  readonly maxFrameBytes: number
  readonly maxQueuedBytes: number
  readonly windowBytes: number
  readonly windowMessages: number
  /** Whether the node is open to TLS alone. */
  readonly secure: boolean
}

export interface ConnectionWatcher {
  /** It takes no new calls from now on; told once, before `ended`. */
  draining(connection: ClientConnection): void
  ended(connection: ClientConnection): void
}

/** One connection to a server, with many calls at once. */
export class ClientConnection implements RangeHandler {
  /** It takes no new calls: the server goes away, it is being closed, or it is over. */
  draining = false
  outbox!: Outbox
  readonly #options: ClientConnectionOptions
  readonly #watcher: ConnectionWatcher
  readonly #reader = new FrameReader()
  readonly #exchanges: (Exchange | undefined)[] = []
  readonly #free: number[] = []
  #open = 0
  #connection: Connection | undefined
  #peer: Hello | undefined
  #targets = new SentTargets(0)
  #greeted: (() => void) | undefined
  #over = false
  #error: ServiceError | undefined
  /** Frames that came and exchanges that were started, to see whether anything happens. */
  #received = 0
  #started = 0
  readonly #life: SignsOfLife

  private constructor(options: ClientConnectionOptions, watcher: ConnectionWatcher) {
    this.#options = options
    this.#watcher = watcher
    this.#life = new SignsOfLife(options)
  }

  /** Connects and waits for the server's hello. */
  static async dial(
    transport: Transport,
    address: string,
    options: ClientConnectionOptions,
    signal: AbortSignal,
    watcher: ConnectionWatcher,
  ): Promise<ClientConnection> {
    const end = DeadlineWheel.now() + options.dialTimeoutMs
    const client = new ClientConnection(options, watcher)
    const connection = await transport.dial(address, client, {
      signal,
      timeoutMs: options.dialTimeoutMs,
      secure: options.secure || undefined,
    })
    await client.#greet(connection, Math.max(1, end - DeadlineWheel.now()), signal)
    return client
  }

  /** Why it takes no new calls. */
  get error(): ServiceError {
    return this.#error ?? new ServiceError('unavailable', `${this.#remote} takes no new calls; it goes away`)
  }

  get peer(): Hello {
    return this.#peer as Hello
  }

  /**
   * Gives `exchange` a slot and sends it.
   * @throws `overloaded`, `too-large`, `bad-request`; then nothing was sent.
   */
  start(exchange: Exchange, now: number): void {
    const peer = this.#peer as Hello
    const slot = this.#free.pop() ?? this.#exchanges.length
    if (slot >= peer.maxCalls) {
      throw new ServiceError(
        'overloaded',
        `${this.#remote} takes ${peer.maxCalls} calls at a time on a connection; raise connections of the rpc client, or maxCalls there`,
      )
    }
    const target = this.#targets.find(exchange.request)
    const timeoutMs =
      exchange.dueAt === Infinity ? 0 : Math.min(0x7fff_ffff, Math.max(1, Math.ceil(exchange.dueAt - now)))
    try {
      const { scratch } = this.outbox
      const { body } = exchange
      const head = exchange.writeHead(scratch, slot, timeoutMs, target)
      const size = head + body.length
      if (size > peer.maxFrameBytes) {
        throw new ServiceError(
          'too-large',
          `a request of ${size} bytes is above the limit of ${peer.maxFrameBytes} that ${this.#remote} has`,
        )
      }
      if (!this.outbox.hasRoom(size)) {
        throw new ServiceError(
          'overloaded',
          `${this.#remote} does not read: no more may wait to be sent to it`,
        )
      }
      this.outbox.sendParts(head, body)
    } catch (error) {
      this.#release(slot)
      throw error
    }
    this.#targets.sent(target)
    this.#exchanges[slot] = exchange
    this.#open++
    this.#started++
    this.outbox.pace(this.#open)
    exchange.slot = slot
    exchange.connection = this
    exchange.started(this)
  }

  /** Tells the server that nobody waits for `exchange`; its slot is free once the server has answered that. */
  cancel({ slot }: Exchange, code: ErrorCode, reason: unknown): void {
    if (this.#over) return
    // Whatever a signal was aborted with: not all of it can be made a text.
    const detail = reason instanceof Error ? reason.message : typeof reason === 'string' ? reason : ''
    this.outbox.tell((maxBytes) => cancelFrame(slot, code, detail, maxBytes), this.peer.maxFrameBytes)
  }

  message({ body }: Message): void {
    this.range(body, 0, body.length)
  }

  range(bytes: Uint8Array, start: number, end: number): void {
    if (this.#over) return
    this.#received++
    try {
      this.#reader.reset(bytes, start, end)
      this.#reader.limit(this.#options.maxFrameBytes)
      this.#take(this.#reader)
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      this.#refuse(error)
    }
    this.#reader.reset(noBytes)
  }

  retire(): void {
    this.close()
  }

  closed(error: ServiceError | undefined): void {
    this.#over = true
    this.#drain()
    this.outbox?.end()
    this.#error ??= this.#lost(error)
    this.#greeted?.()
    this.#failAll(this.#error)
    this.#watcher.ended(this)
  }

  /** Looks for signs of life, and closes what is not used. */
  tick(now: number): void {
    const connection = this.#connection
    if (this.#over || !connection) return
    // A frame that takes long to come is a sign of life before it is whole.
    const received = takesParts(connection) ? connection.bytesRead : this.#received
    switch (this.#life.look(now, received, this.#started, this.#open > 0)) {
      case 'silent':
        this.outbox.send(pingFrame(FrameType.ping, this.#received % 0x7fff_ffff))
        break
      case 'dead':
        this.destroy(
          new ServiceError(
            'unavailable',
            `${this.#remote} did not answer a ping within ${this.#options.pingTimeoutMs} ms`,
          ),
        )
        break
      case 'unused':
        this.close()
    }
  }

  /** Takes no new calls, and ends when those under way have. */
  close(): void {
    this.#drain()
    if (this.#open === 0) void this.#connection?.close()
  }

  destroy(error: ServiceError): void {
    this.#error ??= error
    this.#connection?.destroy(error)
  }

  get #remote(): string {
    return this.#connection?.remote ?? 'the server'
  }

  async #greet(connection: Connection, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const { maxFrameBytes, windowBytes, windowMessages, maxQueuedBytes } = this.#options
    this.#connection = connection
    this.outbox = new Outbox(connection, maxQueuedBytes)
    this.outbox.send(
      helloFrame({
        lowest: lowestVersion,
        highest: highestVersion,
        maxFrameBytes,
        maxCalls: 0,
        maxTargets: 0,
        windowBytes,
        windowMessages,
      }),
    )
    const aborted = () => this.destroy(signal.reason as ServiceError)
    signal.addEventListener('abort', aborted)
    const timer = setTimeout(() => {
      this.destroy(
        new ServiceError('unavailable', `${connection.remote} sent no hello in time; does it speak rpc?`),
      )
    }, timerMs(timeoutMs))
    try {
      if (signal.aborted) aborted()
      if (!this.#peer && !this.#over) await new Promise<void>((resolve) => (this.#greeted = resolve))
    } finally {
      this.#greeted = undefined
      clearTimeout(timer)
      signal.removeEventListener('abort', aborted)
    }
    if (this.#over || !this.#peer) {
      throw (
        this.#error ?? new ServiceError('unavailable', `${connection.remote} closed the connection at once`)
      )
    }
  }

  #take(reader: FrameReader): void {
    const type = reader.byte()
    if (!this.#peer) {
      if (type === FrameType.goAway) this.#goAway(reader)
      else if (type === FrameType.hello) this.#hello(reader.hello())
      else throw protocolError(`${this.#remote} does not begin with a hello`)
      return
    }
    switch (type) {
      case FrameType.ping:
        this.outbox.send(pingFrame(FrameType.pong, reader.varint()))
        reader.done()
        return
      case FrameType.pong:
        return
      case FrameType.goAway:
        this.#goAway(reader)
        return
      case FrameType.error:
      case FrameType.reply:
      case FrameType.data:
      case FrameType.end:
      case FrameType.window:
        this.#answer(type, reader)
        return
      default:
        throw protocolError(`a server sent a frame of type ${type}`)
    }
  }

  #answer(type: number, reader: FrameReader): void {
    const slot = reader.varint()
    const exchange = this.#exchanges[slot]
    if (!exchange)
      throw protocolError(`a frame of type ${type} is for the slot ${slot}, where nothing is open`)
    if (type === FrameType.error) exchange.failed(reader.error())
    else if (!exchange.take(type, reader)) return
    this.#exchanges[slot] = undefined
    this.#open--
    this.#release(slot)
    if (this.draining && this.#open === 0) void this.#connection?.close()
  }

  #hello(hello: Hello): void {
    if (hello.lowest > highestVersion || hello.highest < lowestVersion) {
      throw protocolError(
        `${this.#remote} speaks rpc ${hello.lowest} to ${hello.highest}, this client ${lowestVersion} to ${highestVersion}`,
      )
    }
    this.#peer = hello
    this.#targets = new SentTargets(hello.maxTargets)
    this.#greeted?.()
  }

  #goAway(reader: FrameReader): void {
    const reason = reader.reason()
    if (reason.code === 'protocol') this.#error ??= reason
    this.#drain()
    if (this.#open === 0) void this.#connection?.close()
  }

  /** The server broke the protocol: it is told, and what is under way fails at once. */
  #refuse(error: ServiceError): void {
    this.#error ??= error
    this.#drain()
    this.outbox.send(goAwayFrame('protocol', error.message))
    this.outbox.end()
    this.#over = true
    this.#failAll(error)
    this.#greeted?.()
    void this.#connection?.close()
  }

  #lost(cause: ServiceError | undefined): ServiceError {
    if (cause?.code === 'protocol' || cause?.code === 'unavailable') return cause
    return new ServiceError('unavailable', `the connection to ${this.#remote} ended before the answer`, {
      cause,
    })
  }

  #failAll(error: ServiceError): void {
    this.#open = 0
    for (const exchange of this.#exchanges.splice(0)) exchange?.failed(error)
  }

  #release(slot: number): void {
    this.#free.push(slot)
  }

  #drain(): void {
    if (this.draining) return
    this.draining = true
    this.#watcher.draining(this)
  }
}
