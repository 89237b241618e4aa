import type { Socket } from 'node:net'
import { ServiceError, type ConnectionHandler, type Message } from '@micrograft/contracts'
import type { PartsConnection } from './bare-messages.js'
import { DrainWaiters } from './drain-waiters.js'
import type { FramedConnection, Framer, Framing } from './framing.js'
import { closeTimeoutMs, highWaterBytes, type ConnectionLimits } from './limits.js'
import { RestDeadline } from './rest-deadline.js'
import { lostError } from './socket-error.js'
import { WriteBatch } from './write-batch.js'
import { type WriteBuffers, writeBufferBytes } from './write-buffers.js'

const refused = -1

/** Bodies from this size on are handed to the socket as they are. */
const copyBelowBytes = 16_384

/** How long a peer that is told why it is refused has to hear it out. */
const farewellMs = 1000

export interface StreamConnectionOptions {
  readonly remote: string
  /** The address that was dialled; `undefined` where the connection was accepted. */
  readonly dialled: string | undefined
  readonly framing: Framing
  readonly limits: ConnectionLimits
  readonly buffers: WriteBuffers
  /** Called once, when the socket is closed. */
  readonly onClosed: (connection: StreamConnection) => void
}

/** A connection over a socket made with `allowHalfOpen`: the messages of a tick leave in one write. */
export class StreamConnection implements PartsConnection, FramedConnection {
  readonly remote: string
  readonly dialled: string | undefined
  bytesRead = 0
  readonly #socket: Socket
  readonly #framer: Framer
  readonly #limits: ConnectionLimits
  readonly #batch: WriteBatch
  readonly #waiters = new DrainWaiters()
  readonly #rest: RestDeadline | undefined
  #handler: ConnectionHandler | undefined
  #error: ServiceError | undefined
  /** No more is sent: closed, destroyed, or the peer is gone. */
  #ended = false
  readonly #closed: Promise<void>

  constructor(socket: Socket, options: StreamConnectionOptions) {
    const { remote, dialled, framing, limits, buffers, onClosed } = options
    this.remote = remote
    this.dialled = dialled
    this.#socket = socket
    this.#framer = framing.open(this)
    this.#limits = limits
    this.#batch = new WriteBatch(socket, buffers, () => this.#roomAgain())
    this.#rest = this.#restDeadline(framing.messageTimeoutMs)
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('end', () => {
      this.#readEnd()
      this.#batch.flush()
      this.#ended = true
      socket.end()
      this.#endWithin(closeTimeoutMs)
    })
    socket.on('drain', () => this.#waiters.release())
    socket.on('error', (error) => (this.#error ??= lostError(remote, error)))
    this.#closed = new Promise((resolve) => {
      socket.once('close', () => {
        onClosed(this)
        resolve()
        this.#finish()
      })
    })
  }

  /** Says whom to tell; until then nothing is read. */
  attach(handler: ConnectionHandler): void {
    this.#handler = handler
    this.#framer.attach(handler)
  }

  send(message: Message): boolean {
    const { body } = message
    const head = this.#framer.head(message, body.length)
    const queued = this.#admit(head + body.length)
    if (queued === refused) return false
    if (body.length < copyBelowBytes && head < copyBelowBytes) {
      const buffer = this.#batch.room(head + body.length)
      const at = this.#framer.write(buffer, this.#batch.filled, message, head, body.length)
      buffer.set(body, at)
      this.#batch.joined(at + body.length)
    } else {
      const bytes = Buffer.allocUnsafe(head)
      this.#framer.write(bytes, 0, message, head, body.length)
      this.#batch.write(bytes, body)
    }
    if (this.#framer.last) this.finish()
    return queued < highWaterBytes
  }

  sendParts(head: Buffer, headLength: number, body: Uint8Array): boolean {
    const size = headLength + body.length
    const own = this.#framer.head(undefined, size)
    const queued = this.#admit(own + size)
    if (queued === refused) return false
    if (body.length < copyBelowBytes && own + size <= writeBufferBytes) {
      const buffer = this.#batch.room(own + size)
      let at = this.#framer.write(buffer, this.#batch.filled, undefined, own, size)
      // A head has a few bytes: `copy` would make a view of them first, which costs more than all of this.
      for (let i = 0; i < headLength; i++) buffer[at++] = head[i] as number
      buffer.set(body, at)
      this.#batch.joined(at + body.length)
    } else {
      const bytes = Buffer.allocUnsafe(own + size)
      const at = this.#framer.write(bytes, 0, undefined, own, size)
      head.copy(bytes, at, 0, headLength)
      bytes.set(body, at + headLength)
      this.#batch.flush()
      this.#socket.write(bytes)
    }
    if (this.#framer.last) this.finish()
    return queued < highWaterBytes
  }

  flush(): void {
    this.#batch.flush()
  }

  answer(text: string): void {
    const size = Buffer.byteLength(text)
    if (this.#ended || this.#admit(size) === refused) return
    const buffer = this.#batch.room(size)
    this.#batch.joined(this.#batch.filled + buffer.write(text, this.#batch.filled))
  }

  finish(): void {
    void this.close()
  }

  drained(): Promise<void> {
    if (this.#ended) return Promise.reject(this.#error ?? this.#endedError())
    if (this.#batch.filled + this.#socket.writableLength < highWaterBytes) return Promise.resolve()
    return this.#waiters.wait()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  async close(): Promise<void> {
    if (!this.#ended) {
      this.#batch.flush()
      this.#ended = true
      this.#socket.end()
      // A paused socket would never see the end of the other side.
      this.#socket.resume()
      this.#endWithin(closeTimeoutMs)
    }
    await this.#closed
  }

  destroy(error?: ServiceError): void {
    this.#error ??= error
    this.#ended = true
    this.#batch.drop()
    this.#framer.stop()
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    this.bytesRead += chunk.length
    try {
      this.#framer.push(chunk)
    } catch (error) {
      this.#refuse(error)
    }
    if (this.#rest && this.#framer.unfinished) this.#rest.expect()
  }

  #readEnd(): void {
    try {
      this.#framer.end()
    } catch (error) {
      this.#refuse(error)
    }
  }

  /** Ends the connection for what the peer sent, and tells it why where the protocol can. */
  #refuse(error: unknown): void {
    if (!(error instanceof ServiceError)) throw error
    const farewell = this.#ended ? undefined : this.#framer.farewell(error)
    if (farewell === undefined) return this.destroy(error)
    this.#error ??= error
    this.#batch.flush()
    this.#ended = true
    this.#framer.stop()
    // Bytes that nobody reads would make the system reset the connection, and the peer miss what it is told.
    this.#socket.end(farewell)
    this.#socket.resume()
    this.#endWithin(farewellMs)
  }

  /** Refuses the peer where the message that has begun is not whole in time. */
  #restDeadline(timeoutMs: number | undefined): RestDeadline | undefined {
    if (timeoutMs === undefined) return undefined
    return new RestDeadline({
      framer: this.#framer,
      timeoutMs,
      isOver: () => this.#ended,
      isPaused: () => this.#socket.isPaused(),
      late: () =>
        this.#refuse(
          new ServiceError('timeout', `${this.remote} left a message unfinished for ${timeoutMs} ms`),
        ),
    })
  }

  #endWithin(ms: number): void {
    const timer = setTimeout(() => this.#socket.destroy(), ms)
    void this.#closed.then(() => clearTimeout(timer))
  }

  /** What is queued with `size` bytes more, or `refused` where that is too much and the connection has ended. */
  #admit(bytes: number): number {
    if (this.#ended) throw this.#endedError()
    const { maxMessageBytes, maxQueuedBytes } = this.#limits
    const size = bytes - this.#framer.uncounted
    if (size > maxMessageBytes) {
      throw new ServiceError(
        'too-large',
        `a message of ${size} bytes is above the limit of ${maxMessageBytes}`,
      )
    }
    const waiting = this.#batch.filled + this.#socket.writableLength
    const queued = waiting + bytes
    // Where nothing waits the peer is not slow: a message of any size that may be passes.
    if (queued <= maxQueuedBytes || waiting === 0) return queued
    const detail = `${queued} bytes wait, at most ${maxQueuedBytes} may`
    this.destroy(new ServiceError('overloaded', `${this.remote} does not read: ${detail}`))
    return refused
  }

  #roomAgain(): void {
    if (this.#waiters.size > 0 && this.#socket.writableLength < highWaterBytes) this.#waiters.release()
  }

  #finish(): void {
    this.#ended = true
    this.#rest?.stop()
    this.#batch.drop()
    const error = this.#error
    if (this.#waiters.size > 0) this.#waiters.fail(error ?? this.#endedError())
    this.#handler?.closed(error)
  }

  #endedError(): ServiceError {
    return new ServiceError('closed', `the connection to ${this.remote} has ended`)
  }
}
