import { ServiceError, type Connection, type Message, type ServerReply } from '@micrograft/contracts'
import type { ConnectionOwner, ServedConnection } from '../serve/connection-server.js'
import { takesParts, type RangeHandler } from '../transport/bare-messages.js'
import { protocolError } from '../transport/protocol-error.js'
import { DeadlineWheel } from '../deadlines/deadline-wheel.js'
import { FrameType, highestVersion, lowestVersion, type Hello } from './frame.js'
import { FrameReader } from './frame-reader.js'
import { errorFrame, goAwayFrame, helloFrame, pingFrame } from './frame-writer.js'
import { OpenRequests } from './open-requests.js'
import { Outbox } from './outbox.js'
import { IncomingRequest, type RequestOwner } from './server-request.js'
import { IncomingStream } from './server-stream.js'
import { ReceivedTargets } from './target-table.js'

const noBytes = Buffer.alloc(0)

/** Numbers of pings: what is answered to the first was sent by a client that has read the go-away before it. */
const goneAway = 0
const stillComing = 1

export interface ServerConnectionOptions {
  readonly maxCalls: number
  readonly maxStreams: number
  readonly maxTargets: number
  readonly maxFrameBytes: number
  readonly maxQueuedBytes: number
  readonly windowBytes: number
  readonly windowMessages: number
}

/** One connection of a client. */
export class ServerConnection implements RangeHandler, RequestOwner, ServedConnection {
  readonly remote: string
  /** When it came, for those that say nothing. */
  readonly since: number = DeadlineWheel.now()
  readonly #owner: ConnectionOwner
  readonly #options: ServerConnectionOptions
  readonly #connection: Connection
  readonly #outbox: Outbox
  readonly #reader = new FrameReader()
  readonly #targets: ReceivedTargets
  readonly #open: OpenRequests
  #peer: Hello | undefined
  #streams = 0
  #over = false
  #draining = false
  #aborted = false
  /** Frames that have come whole; with bytes, as they were when it was last looked at. */
  #frames = 0
  #seenFrames = 0
  #seenBytes = 0
  /** Whether the client knows that it is to make its calls elsewhere. */
  heardGoAway = false

  constructor(connection: Connection, owner: ConnectionOwner, options: ServerConnectionOptions) {
    this.remote = connection.remote
    this.#owner = owner
    this.#options = options
    this.#connection = connection
    this.#targets = new ReceivedTargets(options.maxTargets)
    // A peer that does not read is not read from. A client never does that, so the two cannot wait for each other.
    this.#outbox = new Outbox(connection, options.maxQueuedBytes, (congested) => {
      if (congested) {
        connection.pause()
      } else {
        connection.resume()
        owner.changed(this)
      }
    })
    this.#open = new OpenRequests(this.#outbox, owner.wheel, () => owner.changed(this))
    const { maxFrameBytes, maxCalls, maxTargets, windowBytes, windowMessages } = options
    this.#outbox.send(
      helloFrame({
        lowest: lowestVersion,
        highest: highestVersion,
        maxFrameBytes,
        maxCalls,
        maxTargets,
        windowBytes,
        windowMessages,
      }),
    )
  }

  get running(): number {
    return this.#open.running
  }

  /** Whether frames wait for the client to read. */
  get congested(): boolean {
    return this.#outbox.congested
  }

  get greeted(): boolean {
    return this.#peer !== undefined
  }

  get over(): boolean {
    return this.#over
  }

  message({ body }: Message): void {
    this.range(body, 0, body.length)
  }

  range(bytes: Uint8Array, start: number, end: number): void {
    if (this.#over) return
    this.#frames++
    try {
      this.#reader.reset(bytes, start, end)
      this.#reader.limit(this.#options.maxFrameBytes)
      this.#take(this.#reader)
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      this.refuse(error)
    }
    this.#reader.reset(noBytes)
  }

  closed(): void {
    this.#over = true
    this.#outbox.end()
    this.#open.abandon(new ServiceError('canceled', `the caller ${this.remote} is gone`))
    this.#owner.changed(this)
  }

  expired(request: IncomingRequest): void {
    this.#open.abort(
      request,
      new ServiceError('timeout', `${request.endpoint} did not end within the caller's deadline`),
    )
  }

  /** Asks the client to make its calls elsewhere; those that cross this are still answered. */
  retire(): void {
    if (this.#draining) return
    this.#draining = true
    this.#outbox.send(goAwayFrame('unavailable', 'the server stops'))
    // What the client answers to this it answers after it has read the go-away.
    this.#outbox.send(pingFrame(FrameType.ping, goneAway))
  }

  /**
   * Gives the client a sign of life where a frame takes long to come: its own ping waits behind that frame.
   * Called now and then.
   */
  tick(): void {
    const connection = this.#connection
    if (!takesParts(connection) || !this.#peer || this.#over) return
    const { bytesRead } = connection
    if (bytesRead !== this.#seenBytes && this.#frames === this.#seenFrames)
      this.#outbox.send(pingFrame(FrameType.ping, stillComing))
    this.#seenBytes = bytesRead
    this.#seenFrames = this.#frames
  }

  #heard(): void {
    this.heardGoAway = true
    this.#owner.changed(this)
  }

  /** Answers what is open with `error` and aborts it, and takes nothing more. */
  abort(error: ServiceError): void {
    this.#aborted = true
    this.#open.abortAll(error)
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  /** The client broke the protocol: it is told, and the connection ends. */
  refuse(error: ServiceError): void {
    if (this.#over) return
    this.#outbox.send(goAwayFrame('protocol', error.message))
    this.#outbox.end()
    this.#over = true
    this.#open.abandon(new ServiceError('canceled', `the caller ${this.remote} broke the protocol`))
    void this.#connection.close()
  }

  #take(reader: FrameReader): void {
    const type = reader.byte()
    if (type === FrameType.call) {
      this.#call(reader)
      return
    }
    if (type === FrameType.hello) {
      this.#hello(reader.hello())
      return
    }
    this.#greeting()
    switch (type) {
      case FrameType.open:
        this.#openStream(reader)
        return
      case FrameType.data:
      case FrameType.end:
      case FrameType.window:
      case FrameType.cancel:
        this.#onOpen(type, reader)
        return
      case FrameType.ping:
        this.#outbox.send(pingFrame(FrameType.pong, reader.varint()))
        reader.done()
        return
      case FrameType.pong:
        if (this.#draining && reader.varint() === goneAway) this.#heard()
        return
      case FrameType.goAway:
        this.#draining = true
        this.#heard()
        return
      default:
        throw protocolError(`a client sent a frame of type ${type}`)
    }
  }

  #hello(hello: Hello): void {
    if (this.#peer) throw protocolError('a second hello')
    if (hello.lowest > highestVersion || hello.highest < lowestVersion) {
      throw protocolError(
        `this server speaks rpc ${lowestVersion} to ${highestVersion}, the client ${hello.lowest} to ${hello.highest}`,
      )
    }
    this.#peer = hello
    this.#open.maxFrameBytes = hello.maxFrameBytes
  }

  #greeting(): Hello {
    if (!this.#peer) throw protocolError('a connection begins with a hello')
    return this.#peer
  }

  #call(reader: FrameReader): void {
    this.#greeting()
    const request = this.#request(reader)
    const body = reader.rest()
    if (!this.#admits(request, 'unary')) return
    this.#open.add(request, undefined)
    let reply: Promise<ServerReply>
    try {
      reply = this.#owner.dispatcher.unary(request, body)
    } catch (error) {
      reply = Promise.reject(error as Error)
    }
    reply.then(
      (reply) => this.#open.reply(request, reply),
      (error: unknown) => this.#open.failed(request, error),
    )
  }

  #openStream(reader: FrameReader): void {
    const peer = this.#greeting()
    const request = this.#request(reader)
    reader.done()
    const { maxStreams } = this.#options
    if (this.#streams >= maxStreams) {
      this.#outbox.send(
        errorFrame(
          request.slot,
          new ServiceError('overloaded', `the connection has ${maxStreams} streams already`),
        ),
      )
      return
    }
    if (!this.#admits(request, 'stream')) return
    const stream = new IncomingStream(
      { outbox: this.#outbox, slot: request.slot, window: peer, maxFrameBytes: peer.maxFrameBytes },
      this.#options,
    )
    this.#open.add(request, stream)
    this.#streams++
    void this.#serve(request, stream)
  }

  async #serve(request: IncomingRequest, stream: IncomingStream): Promise<void> {
    try {
      const metadata = await this.#owner.dispatcher.stream(request, stream)
      await stream.settled()
      this.#streams--
      this.#open.ended(request, metadata)
    } catch (error) {
      this.#streams--
      this.#open.failed(request, error)
    } finally {
      stream.finish()
    }
  }

  #request(reader: FrameReader): IncomingRequest {
    const slot = reader.varint()
    if (slot >= this.#options.maxCalls) {
      throw protocolError(`a call uses the slot ${slot}, there are ${this.#options.maxCalls}`)
    }
    if (this.#open.at(slot)) throw protocolError(`a call uses the slot ${slot}, where another is open`)
    const timeoutMs = reader.varint()
    const target = this.#targets.read(reader)
    const metadata = reader.metadata()
    const dueAt = timeoutMs === 0 ? Infinity : DeadlineWheel.now() + timeoutMs
    return new IncomingRequest(this, slot, dueAt, target, metadata)
  }

  /** Whether the request is taken; where it is not, its caller is told why. */
  #admits(request: IncomingRequest, kind: 'unary' | 'stream'): boolean {
    const refusal = this.#refusal(request, kind)
    if (refusal) this.#outbox.send(errorFrame(request.slot, refusal))
    return refusal === undefined
  }

  #refusal({ service, endpoint }: IncomingRequest, kind: 'unary' | 'stream'): ServiceError | undefined {
    if (this.#aborted) return new ServiceError('unavailable', `${service} takes no new calls; it stops`)
    const { maxCalls } = this.#options
    if (this.#open.running >= maxCalls) {
      return new ServiceError('overloaded', `the connection has ${maxCalls} calls under way already`)
    }
    const known = this.#owner.dispatcher.kind(endpoint)
    if (known === kind) return undefined
    if (known === undefined) return new ServiceError('not-found', `${service} has no endpoint ${endpoint}`)
    return new ServiceError(
      'bad-request',
      `${endpoint} of ${service} is ${known === 'unary' ? 'no' : 'a'} stream; call it as one`,
    )
  }

  /** A frame for a slot that is open, or was: what crossed its last frame is for nobody. */
  #onOpen(type: number, reader: FrameReader): void {
    const slot = reader.varint()
    const open = this.#open.at(slot)
    if (!open) {
      if (slot >= this.#options.maxCalls)
        throw protocolError(`a frame is for the slot ${slot}, which is none`)
      return
    }
    const { request, stream } = open
    if (type === FrameType.cancel) {
      this.#open.abort(request, reader.reason())
      return
    }
    if (!stream) throw protocolError(`a frame of type ${type} is for a call`)
    if (type === FrameType.data) {
      stream.data(reader.rest())
    } else if (type === FrameType.window) {
      const bytes = reader.varint()
      const messages = reader.varint()
      reader.done()
      stream.grant(bytes, messages)
    } else {
      reader.metadata()
      reader.done()
      stream.peerEnd()
    }
  }
}
