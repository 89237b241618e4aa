import type { Socket } from 'node:net'
import { type WriteBuffers, writeBufferBytes } from './write-buffers.js'

/** What is put together leaves once it is this much, and at the end of the tick. Found by measuring. */
const flushBytes = 2048

/** The writes of one tick to one socket, put together so that they leave in one. */
export class WriteBatch {
  /** Bytes that are put together and have not left yet; what is put next goes to this offset. */
  filled = 0
  readonly #socket: Socket
  readonly #buffers: WriteBuffers
  readonly #left: () => void
  #buffer: Buffer | undefined
  #flushing = false

  /** @param left Called when what a tick put together has left. */
  constructor(socket: Socket, buffers: WriteBuffers, left: () => void) {
    this.#socket = socket
    this.#buffers = buffers
    this.#left = left
  }

  /** The buffer that `size` bytes fit into from `filled` on; at most `writeBufferBytes`. */
  room(size: number): Buffer {
    if (this.filled + size > writeBufferBytes) this.flush()
    return (this.#buffer ??= this.#buffers.take())
  }

  /** Says that the buffer is filled up to `filled` now. */
  joined(filled: number): void {
    this.filled = filled
    // The peer works on what it has while the rest is put together.
    if (filled >= flushBytes) this.flush()
    if (this.#flushing) return
    this.#flushing = true
    // By then the poll phase has handed over what had come on every connection, and promises that it settled have run.
    setImmediate(this.#flushTick)
  }

  /** Writes a message that is too large to be copied. */
  write(head: Buffer, body: Uint8Array): void {
    this.flush()
    this.#socket.cork()
    this.#socket.write(head)
    this.#socket.write(body)
    this.#socket.uncork()
  }

  flush(): void {
    const buffer = this.#buffer
    if (!buffer) return
    const bytes = buffer.subarray(0, this.filled)
    this.#buffer = undefined
    this.filled = 0
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

  /** Forgets what has not left yet. */
  drop(): void {
    if (this.#buffer) this.#buffers.give(this.#buffer)
    this.#buffer = undefined
    this.filled = 0
  }

  readonly #flushTick = (): void => {
    this.#flushing = false
    this.flush()
    this.#left()
  }
}
