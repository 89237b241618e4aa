import type { Socket } from 'node:net'
import { ServiceError, type ConnectionHandler, type Message } from '@micrograft/contracts'
import { takesRanges, type PartsConnection } from './bare-messages.js'
import { highWaterBytes, type ConnectionLimits } from './limits.js'
import { headerBytes, MessageReader, prefixBytes, writeBareHead, writeHead } from './message-frame.js'
import { protocolError } from './protocol-error.js'
import { lostError } from './socket-error.js'
import { type WriteBuffers, writeBufferBytes } from './write-buffers.js'

const refused = -1

/** Bodies from this size on are handed to the socket as they are. */
const copyBelowBytes = 16_384

/** What is put together leaves once it is this much, and at the end of the tick. Found by measuring. */
const flushBytes = 8192

/** How long a peer has to take what is queued and to end its side after `close`. */
const closeTimeoutMs = 5000

export interface StreamConnectionOptions {
  readonly remote: string
  readonly limits: ConnectionLimits
  readonly buffers: WriteBuffers
  /** Called once, when the socket is closed. */
  readonly onClosed: (connection: StreamConnection) => void
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: ServiceError) => void
}

/** A connection over a socket made with `allowHalfOpen`: the messages of a tick leave in one write. */
export class StreamConnection implements PartsConnection {
  readonly remote: string
  readonly #socket: Socket
  readonly #limits: ConnectionLimits
  readonly #buffers: WriteBuffers
  #reader: MessageReader | undefined
  #handler: ConnectionHandler | undefined
  #error: ServiceError | undefined
  /** No more is sent: closed, destroyed, or the peer is gone. */
  #ended = false
  #buffer: Buffer | undefined
  #filled = 0
  #flushing = false
  #waiters: Waiter[] = []
  readonly #closed: Promise<void>

  constructor(socket: Socket, { remote, limits, buffers, onClosed }: StreamConnectionOptions) {
    this.remote = remote
    this.#socket = socket
    this.#limits = limits
    this.#buffers = buffers
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('end', () => {
      if (this.#reader?.unfinished)
        this.destroy(protocolError(`${remote} ended the connection inside a message`))
      else this.#flush()
      this.#ended = true
      socket.end()
    })
    socket.on('drain', () => this.#release())
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
    this.#reader = new MessageReader(
      this.#limits.maxMessageBytes,
      (message) => handler.message(message),
      takesRanges(handler) ? (bytes, start, end) => handler.range(bytes, start, end) : undefined,
    )
  }

  send(message: Message): boolean {
    const { header, body } = message
    const head = headerBytes(header)
    const queued = this.#admit(head + body.length)
    if (queued === refused) return false
    if (body.length < copyBelowBytes && head < copyBelowBytes) {
      const buffer = this.#room(prefixBytes + head + body.length)
      const at = writeHead(buffer, this.#filled, message, head)
      buffer.set(body, at)
      this.#joined(at + body.length)
    } else {
      const bytes = Buffer.allocUnsafe(prefixBytes + head)
      writeHead(bytes, 0, message, head)
      this.#sendLarge(bytes, body)
    }
    return queued < highWaterBytes
  }

  sendParts(head: Buffer, headLength: number, body: Uint8Array): boolean {
    const size = headLength + body.length
    const queued = this.#admit(1 + size)
    if (queued === refused) return false
    if (body.length < copyBelowBytes && headLength < copyBelowBytes) {
      const buffer = this.#room(prefixBytes + 1 + size)
      const at = writeBareHead(buffer, this.#filled, size)
      head.copy(buffer, at, 0, headLength)
      buffer.set(body, at + headLength)
      this.#joined(at + size)
    } else {
      const bytes = Buffer.allocUnsafe(prefixBytes + 1 + size)
      const at = writeBareHead(bytes, 0, size)
      head.copy(bytes, at, 0, headLength)
      bytes.set(body, at + headLength)
      this.#flush()
      this.#socket.write(bytes)
    }
    return queued < highWaterBytes
  }

  drained(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#ended)
        reject(this.#error ?? new ServiceError('closed', `the connection to ${this.remote} has ended`))
      else if (this.#filled + this.#socket.writableLength < highWaterBytes) resolve()
      else this.#waiters.push({ resolve, reject })
    })
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  async close(): Promise<void> {
    if (!this.#ended) {
      this.#flush()
      this.#ended = true
      this.#socket.end()
      // A paused socket would never see the end of the other side.
      this.#socket.resume()
      const timer = setTimeout(() => this.#socket.destroy(), closeTimeoutMs)
      void this.#closed.then(() => clearTimeout(timer))
    }
    await this.#closed
  }

  destroy(error?: ServiceError): void {
    this.#error ??= error
    this.#ended = true
    this.#filled = 0
    this.#reader?.stop()
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    try {
      this.#reader?.push(chunk)
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      this.destroy(error)
    }
  }

  /** What is queued with `size` bytes more, or `refused` where that is too much and the connection has ended. */
  #admit(size: number): number {
    if (this.#ended) throw new ServiceError('closed', `the connection to ${this.remote} has ended`)
    const { maxMessageBytes, maxQueuedBytes } = this.#limits
    if (size - 1 > maxMessageBytes) {
      throw new ServiceError(
        'too-large',
        `a message of ${size - 1} bytes is above the limit of ${maxMessageBytes}`,
      )
    }
    const queued = this.#filled + this.#socket.writableLength + prefixBytes + size
    if (queued <= maxQueuedBytes) return queued
    const detail = `${queued} bytes wait, at most ${maxQueuedBytes} may`
    this.destroy(new ServiceError('overloaded', `${this.remote} does not read: ${detail}`))
    return refused
  }

  /** The buffer that `size` bytes fit into, behind what is in it. */
  #room(size: number): Buffer {
    if (this.#filled + size > writeBufferBytes) this.#flush()
    return (this.#buffer ??= this.#buffers.take())
  }

  #joined(filled: number): void {
    this.#filled = filled
    // The peer works on what it has while the rest is put together.
    if (filled >= flushBytes) this.#flush()
    if (this.#flushing) return
    this.#flushing = true
    // By then the poll phase has handed over what had come on every connection, and promises that it settled have run.
    setImmediate(this.#flushTick)
  }

  #sendLarge(head: Buffer, body: Uint8Array): void {
    this.#flush()
    this.#socket.cork()
    this.#socket.write(head)
    this.#socket.write(body)
    this.#socket.uncork()
  }

  readonly #flushTick = (): void => {
    this.#flushing = false
    this.#flush()
    if (this.#waiters.length > 0 && this.#socket.writableLength < highWaterBytes) this.#release()
  }

  #flush(): void {
    const buffer = this.#buffer
    if (!buffer) return
    const bytes = buffer.subarray(0, this.#filled)
    this.#buffer = undefined
    this.#filled = 0
    if (this.#socket.destroyed || bytes.length === 0) {
      this.#buffers.give(buffer)
    } else if (this.#socket.writableLength > 0) {
      // A slow peer must not hold a whole buffer for each tick.
      this.#socket.write(Buffer.from(bytes))
      this.#buffers.give(buffer)
    } else {
      this.#socket.write(bytes)
      // Nothing is left over: the system took it all at once, and nobody looks at the buffer any longer.
      if (this.#socket.writableLength === 0) this.#buffers.give(buffer)
    }
  }

  #release(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const { resolve } of waiters) resolve()
  }

  #finish(): void {
    this.#ended = true
    if (this.#buffer) this.#buffers.give(this.#buffer)
    this.#buffer = undefined
    this.#filled = 0
    const error = this.#error
    for (const { reject } of this.#waiters) {
      reject(error ?? new ServiceError('closed', `the connection to ${this.remote} has ended`))
    }
    this.#waiters = []
    this.#handler?.closed(error)
  }
}
