import { ServiceError, type Connection, type ConnectionHandler, type Message } from '@micrograft/contracts'
import { closeTimeoutMs, highWaterBytes, maxHeaderEntries, type ConnectionLimits } from './limits.js'

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: ServiceError) => void
}

/** One end of a connection within a process: what it sends waits here until the other end takes it. */
export class MemoryConnection implements Connection {
  readonly remote: string
  readonly #limits: ConnectionLimits
  readonly #onClosed: (connection: MemoryConnection) => void
  #peer: MemoryConnection | undefined
  #handler: ConnectionHandler | undefined
  #queue: Message[] = []
  #queuedBytes = 0
  #paused = false
  #delivering = false
  #error: ServiceError | undefined
  /** Nothing more is sent. */
  #ended = false
  /** Nothing more is told. */
  #over = false
  #waiters: Waiter[] = []
  #settled!: () => void
  readonly #closed = new Promise<void>((resolve) => (this.#settled = resolve))

  constructor(remote: string, limits: ConnectionLimits, onClosed: (connection: MemoryConnection) => void) {
    this.remote = remote
    this.#limits = limits
    this.#onClosed = onClosed
  }

  join(peer: MemoryConnection): void {
    this.#peer = peer
  }

  attach(handler: ConnectionHandler): void {
    this.#handler = handler
  }

  send(message: Message): boolean {
    if (this.#ended) throw new ServiceError('closed', `the connection to ${this.remote} has ended`)
    const size = messageBytes(message)
    const { maxMessageBytes, maxQueuedBytes } = this.#limits
    if (size > maxMessageBytes) {
      throw new ServiceError(
        'too-large',
        `a message of ${size} bytes is above the limit of ${maxMessageBytes}`,
      )
    }
    const queued = this.#queuedBytes + size
    // Where nothing waits the peer is not slow: a message of any size that may be passes.
    if (queued > maxQueuedBytes && queued > size) {
      this.destroy(
        new ServiceError(
          'overloaded',
          `${this.remote} does not read: ${queued} bytes wait, at most ${maxQueuedBytes} may`,
        ),
      )
      return false
    }
    this.#queue.push(message)
    this.#queuedBytes = queued
    this.#deliverSoon()
    return queued < highWaterBytes
  }

  drained(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#ended) reject(this.#reason())
      else if (this.#queuedBytes < highWaterBytes) resolve()
      else this.#waiters.push({ resolve, reject })
    })
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    if (this.#peer) this.#peer.#deliverSoon()
  }

  async close(): Promise<void> {
    if (!this.#ended) {
      this.#ended = true
      this.resume()
      this.#deliverSoon()
      // A peer that is paused may never take what is queued.
      const timer = setTimeout(() => this.destroy(), closeTimeoutMs)
      void this.#closed.then(() => clearTimeout(timer))
    }
    await this.#closed
  }

  destroy(error?: ServiceError): void {
    if (this.#over) return
    const peer = this.#peer
    this.#error ??= error
    this.#end()
    if (peer && !peer.#over) {
      peer.#error ??=
        error &&
        new ServiceError('unavailable', `the connection to ${peer.remote} was lost: reset by the peer`)
      peer.#end()
    }
  }

  #deliverSoon(): void {
    if (this.#delivering) return
    this.#delivering = true
    setImmediate(() => {
      this.#delivering = false
      this.#deliver()
    })
  }

  #deliver(): void {
    const peer = this.#peer
    if (this.#over || !peer || peer.#paused) return
    const queue = this.#queue
    this.#queue = []
    let taken = 0
    while (taken < queue.length && !peer.#over && !peer.#paused) {
      const message = queue[taken++] as Message
      this.#queuedBytes -= messageBytes(message)
      peer.#handler?.message(message)
    }
    if (taken < queue.length) this.#queue = queue.slice(taken).concat(this.#queue)
    if (this.#queuedBytes < highWaterBytes) this.#release()
    if (this.#ended && this.#queue.length === 0) this.#finish()
  }

  /** Both directions end once what either had queued is handed over. */
  #finish(): void {
    const peer = this.#peer
    if (!peer || peer.#over) return this.#end()
    if (peer.#ended && peer.#queue.length === 0) {
      peer.#end()
      this.#end()
      return
    }
    peer.#ended = true
    peer.#paused = false
    this.#paused = false
    peer.#deliverSoon()
    this.#deliverSoon()
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    this.#ended = true
    this.#queue = []
    this.#queuedBytes = 0
    const waiters = this.#waiters
    this.#waiters = []
    for (const { reject } of waiters) reject(this.#reason())
    setImmediate(() => {
      this.#onClosed(this)
      this.#settled()
      this.#handler?.closed(this.#error)
    })
  }

  #release(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const { resolve } of waiters) resolve()
  }

  #reason(): ServiceError {
    return this.#error ?? new ServiceError('closed', `the connection to ${this.remote} has ended`)
  }
}

/** The size as the limits count it: names, values and the body. */
function messageBytes({ header, body }: Message): number {
  let bytes = body.length
  let count = 0
  for (const name in header) {
    count++
    bytes += Buffer.byteLength(name) + Buffer.byteLength(header[name] as string)
  }
  if (count > maxHeaderEntries) {
    throw new ServiceError('too-large', `a header has ${count} entries, at most ${maxHeaderEntries} may be`)
  }
  return bytes
}
