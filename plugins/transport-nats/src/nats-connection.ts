import {
  ServiceError,
  timerMs,
  type Connection,
  type ConnectionHandler,
  type Message,
} from '@micrograft/contracts'
import type { NatsLink } from '@micrograft/nats-link'
import type { Msg } from '@nats-io/transport-node'
import { messageBytes } from './frames.js'
import type { Heard, PeerWire } from './peer-wire.js'
import { SendQueue } from './send-queue.js'

export interface ConnectionSettings {
  readonly maxMessageBytes: number
  readonly maxQueuedBytes: number
  readonly keepAliveMs: number
  readonly idleTimeoutMs: number
}

export interface ConnectionEnds {
  /** What the peer hears. */
  readonly peer: string
  /** What this end hears. */
  readonly inbox: string
  readonly wire: PeerWire
  /** How often the peer gives a sign of life, in milliseconds. */
  readonly peerKeepAliveMs: number
  /** Told once, when it is over: ends what hears the inbox. */
  readonly onOver: () => void
}

/** Bytes that a peer may have sent that nobody has taken yet. */
const windowBytes = 524_288
/** Queued bytes from which on `send` says that there is no room. */
const highWaterBytes = 262_144
/** How long a peer may take to end its side, in milliseconds. */
const endTimeoutMs = 5000

/** One end of a connection over two inboxes. */
export class NatsPeerConnection implements Connection {
  readonly remote: string
  readonly #link: NatsLink
  readonly #settings: ConnectionSettings
  readonly #ends: ConnectionEnds
  /** Frames that the peer has no room for yet. */
  readonly #queue: SendQueue
  #handler: ConnectionHandler | undefined
  /** What came and was not handed over, and how much room it takes. */
  #inbound: Heard[] = []
  #inboundBytes = 0
  /** What parts behind that took, of a message that is not whole. */
  #waitingBytes = 0
  #owedCredit = 0
  #paused = false
  #handing = false
  /** Nothing more is sent; the peer said that it sends nothing more; nothing more is told. */
  #ended = false
  #endSent = false
  #peerEnded = false
  #over = false
  #error: ServiceError | undefined
  #heardAt = performance.now()
  #lookedAt = performance.now()
  #sentAt = performance.now()
  readonly #timer: NodeJS.Timeout
  #endTimer: NodeJS.Timeout | undefined
  #settled!: () => void
  readonly #closed = new Promise<void>((resolve) => (this.#settled = resolve))

  constructor(remote: string, link: NatsLink, settings: ConnectionSettings, ends: ConnectionEnds) {
    this.remote = remote
    this.#link = link
    this.#settings = settings
    this.#ends = ends
    // Go-micro does not say what it has room for.
    const room = ends.wire.controls ? windowBytes : Infinity
    this.#queue = new SendQueue(Math.min(highWaterBytes, settings.maxQueuedBytes / 2), room)
    const { keepAliveMs, idleTimeoutMs } = settings
    const everyMs = ends.wire.controls ? keepAliveMs : idleTimeoutMs / 4
    this.#timer = setInterval(() => this.#look(), timerMs(everyMs)).unref()
  }

  /** Resolves when its end has been told. */
  get closed(): Promise<void> {
    return this.#closed
  }

  attach(handler: ConnectionHandler): void {
    this.#handler = handler
    this.#hand()
  }

  send(message: Message): boolean {
    if (this.#ended) throw new ServiceError('closed', `the connection to ${this.remote} has ended`)
    const { maxMessageBytes, maxQueuedBytes } = this.#settings
    const size = messageBytes(message)
    if (size > maxMessageBytes) {
      throw new ServiceError(
        'too-large',
        `a message of ${size} bytes is above the limit of ${maxMessageBytes}`,
      )
    }
    const waiting = this.#queue.bytes + size
    // Where nothing waits the peer is not slow: a message of any size that may be passes.
    if (waiting > maxQueuedBytes && waiting > size) {
      const wait = `${waiting} bytes wait, at most ${maxQueuedBytes} may`
      this.destroy(new ServiceError('overloaded', `${this.remote} does not read: ${wait}`))
      return false
    }
    for (const frame of this.#ends.wire.encode(message)) this.#queue.put(frame)
    this.#pump()
    return !this.#over && this.#queue.isLow
  }

  async drained(): Promise<void> {
    if (this.#ended) throw this.#reason()
    await this.#queue.drained()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#hand()
  }

  async close(): Promise<void> {
    if (!this.#ended) this.#end()
    await this.#closed
  }

  destroy(error?: ServiceError): void {
    if (this.#over) return
    if (this.#ends.wire.controls) {
      this.#quietly(() => this.#publish(this.#ends.wire.control('reset', Buffer.from(error?.message ?? ''))))
    }
    this.#finish(error)
  }

  /** What the server lost: the connection cannot go on. */
  lost(): void {
    this.#finish(
      new ServiceError('unavailable', `the connection to ${this.remote} was lost with that to nats`),
    )
  }

  hear({ data, headers }: Msg): void {
    if (this.#over) return
    this.#heardAt = performance.now()
    if (headers?.code === 503) {
      const message = `the connection to ${this.remote} was lost: nobody listens there any more`
      return this.#finish(new ServiceError('unavailable', message))
    }
    try {
      this.#take(this.#ends.wire.decode(data))
    } catch (error) {
      this.destroy(ServiceError.from(error, 'protocol'))
    }
  }

  #take(heard: Heard): void {
    switch (heard.kind) {
      case 'credit':
        this.#queue.grant(heard.bytes, windowBytes)
        return this.#pump()
      case 'ping':
        return
      case 'reset':
        return this.#finish(
          new ServiceError('unavailable', `the connection to ${this.remote} was lost: reset by the peer`),
        )
      case 'part':
        // What is larger than the room must come whole all the same, but not behind what nobody takes.
        if (this.#inbound.length === 0) return this.#give(heard.bytes)
        this.#waitingBytes += heard.bytes
        return this.#checkRoom()
      case 'message':
        this.#checkSize(heard.message)
        this.#inboundBytes += heard.bytes
        this.#checkRoom()
    }
    this.#inbound.push(heard)
    this.#hand()
  }

  /** @throws `protocol` */
  #checkSize(message: Message): void {
    const size = messageBytes(message)
    const { maxMessageBytes } = this.#settings
    if (size <= maxMessageBytes) return
    throw new ServiceError('protocol', `a message of ${size} bytes came, at most ${maxMessageBytes} may be`)
  }

  /** @throws `protocol`, `overloaded` */
  #checkRoom(): void {
    const { controls } = this.#ends.wire
    if (
      this.#inboundBytes + this.#waitingBytes <=
      (controls ? windowBytes * 2 : this.#settings.maxQueuedBytes)
    )
      return
    throw new ServiceError(
      controls ? 'protocol' : 'overloaded',
      `${this.remote} sent more than there is room for`,
    )
  }

  #hand(): void {
    // What a handler does in its turn, such as `resume`, must not hand over the next one before it ends.
    if (this.#handing || !this.#handler) return
    this.#handing = true
    let at = 0
    while (at < this.#inbound.length && !this.#paused && !this.#over) {
      const heard = this.#inbound[at++] as Heard
      if (heard.kind === 'message') {
        this.#inboundBytes -= heard.bytes
        this.#handler.message(heard.message)
        this.#give(heard.bytes)
      } else if (heard.kind === 'end') {
        this.#peerEnded = true
        if (!this.#ended) this.#end()
      }
    }
    this.#inbound.splice(0, at)
    this.#handing = false
    if (this.#inbound.length === 0) {
      this.#give(this.#waitingBytes)
      this.#waitingBytes = 0
    }
    this.#maybeOver()
  }

  /** Gives the peer room again, in portions. */
  #give(bytes: number): void {
    if (!this.#ends.wire.controls || this.#over) return
    this.#owedCredit += bytes
    if (this.#owedCredit < windowBytes / 4) return
    const amount = Buffer.alloc(4)
    amount.writeUInt32BE(this.#owedCredit)
    this.#owedCredit = 0
    this.#control(() => this.#ends.wire.control('credit', amount))
  }

  #pump(): void {
    try {
      this.#queue.flush((frame) => this.#publish(frame))
    } catch (error) {
      return this.#finish(ServiceError.from(error, 'unavailable'))
    }
    if (this.#ended && !this.#endSent && this.#queue.isEmpty) {
      this.#endSent = true
      if (this.#ends.wire.controls) this.#control(() => this.#ends.wire.control('end'))
    }
    this.#maybeOver()
  }

  /** Sends what is queued and then says that it was all. */
  #end(): void {
    this.#ended = true
    this.#paused = false
    this.#endTimer = setTimeout(() => this.#finish(undefined), endTimeoutMs).unref()
    this.#queue.refuse(this.#reason())
    this.#pump()
    this.#hand()
  }

  #maybeOver(): void {
    if (!this.#endSent || this.#over) return
    // Go-micro never says that it ends.
    if ((this.#peerEnded || !this.#ends.wire.controls) && this.#inbound.length === 0) this.#finish(undefined)
  }

  #finish(error: ServiceError | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#ended = true
    this.#error = error
    this.#queue.clear()
    this.#inbound = []
    clearInterval(this.#timer)
    clearTimeout(this.#endTimer)
    this.#ends.onOver()
    this.#queue.refuse(this.#reason())
    setImmediate(() => {
      this.#settled()
      this.#handler?.closed(error)
    })
  }

  #look(): void {
    const { idleTimeoutMs, keepAliveMs } = this.#settings
    const now = performance.now()
    if (!this.#ends.wire.controls) {
      if (now - Math.max(this.#heardAt, this.#sentAt) > idleTimeoutMs) this.#finish(undefined)
      return
    }
    // After a stall what came meanwhile is still unread: nobody is declared dead for it.
    const isLate = now - this.#lookedAt > keepAliveMs * 2
    this.#lookedAt = now
    if (!isLate && now - this.#heardAt > this.#ends.peerKeepAliveMs * 3.5) {
      return this.destroy(new ServiceError('unavailable', `${this.remote} has not been heard for too long`))
    }
    this.#control(() => this.#ends.wire.control('ping'))
  }

  #publish(frame: Buffer): void {
    this.#ends.wire.stamp(frame)
    // With an inbox to answer in, the server says where nobody hears it.
    this.#link.send(this.#ends.peer, frame, { reply: this.#ends.inbox })
    this.#sentAt = performance.now()
  }

  #control(frame: () => Buffer): void {
    if (this.#over) return
    try {
      this.#publish(frame())
    } catch (error) {
      this.#finish(ServiceError.from(error, 'unavailable'))
    }
  }

  #quietly(work: () => void): void {
    try {
      work()
    } catch {
      // The peer notices by itself.
    }
  }

  #reason(): ServiceError {
    return this.#error ?? new ServiceError('closed', `the connection to ${this.remote} has ended`)
  }
}
