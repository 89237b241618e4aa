import type { Socket } from 'node:net'
import { ServiceError, type Message } from '@micrograft/contracts'
import type { Framing } from '../transport/framing.js'
import { parseHostAddress } from '../transport/host-address.js'
import { connected, makeSocket } from '../transport/sockets.js'
import { tlsError } from '../transport/tls-error.js'
import type { Tls } from '../transport/tls-options.js'
import { StreamConnection } from '../transport/stream-connection.js'
import type { WriteBuffers } from '../transport/write-buffers.js'
import { statusEntry, targetEntry } from './post-framing.js'

/** Longest wait for a subscriber to take a message, in turns of the clock. */
const answerTurns = 5
/** How long a connection is kept that nothing is posted over, in turns of the clock. */
const idleTurns = 30
const turnMs = 1000
const dialTimeoutMs = 5000

/** Bytes of messages that may wait for an answer, or one message. */
const maxUnansweredBytes = 1_048_576

export interface OutletOptions {
  readonly address: string
  readonly tls: Tls | undefined
  /** Most messages that wait for an answer. */
  readonly depth: number
  readonly framing: Framing
  readonly buffers: WriteBuffers
  /** Told when there is nothing more to do. */
  readonly onIdle: () => void
}

/** What a subscriber answered. */
export interface Answered {
  readonly status: number
  readonly body: Uint8Array
}

interface Post {
  readonly message: Message
  readonly signal: AbortSignal | undefined
  readonly resolve: (answer: Answered) => void
  readonly reject: (error: unknown) => void
  /** Whether it was lost with a connection before. */
  again: boolean
  /** The turn in which it was sent. */
  turn: number
}

const ok = 200

/** One connection to a subscriber, made when there is something to post; answers come in the order of posts. */
export class HttpOutlet implements Disposable {
  readonly #options: OutletOptions
  #waiting: Post[] = []
  #unanswered: Post[] = []
  #unansweredBytes = 0
  #connection: StreamConnection | undefined
  #socket: Socket | undefined
  #connecting: AbortController | undefined
  #clock: NodeJS.Timeout | undefined
  #turn = 0
  #idleSince = 0

  constructor(options: OutletOptions) {
    this.#options = options
  }

  /** @throws `unavailable` where nobody is there, `timeout` where nobody answers. */
  post(target: string, body: Uint8Array, signal: AbortSignal | undefined): Promise<Answered> {
    return new Promise((resolve, reject) => {
      const message = { header: { [targetEntry]: target }, body }
      this.#waiting.push({ message, signal, resolve, reject, again: false, turn: 0 })
      this.#pump()
    })
  }

  [Symbol.dispose](): void {
    this.#fail(new ServiceError('closed', 'the http broker was closed'))
  }

  #pump(): void {
    const { depth } = this.#options
    const connection = this.#connection
    if (!connection) {
      if (this.#waiting.length > 0) this.#connecting ??= this.#connect()
      return
    }
    while (
      this.#waiting.length > 0 &&
      this.#unanswered.length < depth &&
      this.#unansweredBytes < maxUnansweredBytes
    ) {
      const post = this.#waiting[0] as Post
      if (!post.signal?.aborted) {
        try {
          connection.send(post.message)
        } catch {
          // The peer has ended the connection, which is told in a moment.
          return
        }
        if (this.#unanswered.length === 0) this.#socket?.ref()
        post.turn = this.#turn
        this.#unanswered.push(post)
        this.#unansweredBytes += post.message.body.length
      }
      this.#waiting.shift()
    }
  }

  #connect(): AbortController {
    const { address, tls, framing, buffers } = this.#options
    const control = new AbortController()
    void (async () => {
      let socket: Socket | undefined
      try {
        const { host, port } = parseHostAddress(address)
        socket = makeSocket({ host, port }, tls && { tls, protocols: undefined })
        await connected(socket, {
          event: tls ? 'secureConnect' : 'connect',
          address,
          timeoutMs: dialTimeoutMs,
          signals: [control.signal],
        })
      } catch (error) {
        socket?.destroy()
        this.#connecting = undefined
        // An address that is none reaches nobody either.
        if (!control.signal.aborted) this.#fail(dialFailure(error))
        return
      }
      const connection = new StreamConnection(socket, {
        remote: address,
        dialled: address,
        framing,
        limits: { maxMessageBytes: Infinity, maxQueuedBytes: Infinity },
        buffers,
        onClosed: () => undefined,
      })
      if (control.signal.aborted) return connection.destroy()
      this.#connecting = undefined
      this.#connection = connection
      this.#socket = socket.unref()
      this.#idleSince = this.#turn
      this.#clock ??= setInterval(() => this.#tick(), turnMs).unref()
      connection.attach({
        message: (answer) => this.#answered(answer),
        closed: (error) => this.#lost(connection, error),
      })
      this.#pump()
    })()
    return control
  }

  #answered({ header, body }: Message): void {
    const post = this.#unanswered.shift()
    // An answer to nothing: nobody knows what the next ones would be to.
    if (!post)
      return this.#connection?.destroy(new ServiceError('protocol', 'an answer came that was not asked for'))
    this.#unansweredBytes -= post.message.body.length
    const status = header[statusEntry]
    post.resolve({ status: status === undefined ? ok : Number.parseInt(status), body })
    if (this.#unanswered.length === 0) {
      this.#idleSince = this.#turn
      this.#socket?.unref()
    }
    if (this.#waiting.length > 0) this.#pump()
  }

  #lost(connection: StreamConnection, error: ServiceError | undefined): void {
    if (connection !== this.#connection) return
    this.#connection = this.#socket = undefined
    const lost = this.#unanswered
    this.#unanswered = []
    this.#unansweredBytes = 0
    const again: Post[] = []
    const isRefused = error?.code === 'unauthenticated'
    for (const post of lost) {
      // A subscriber that ends answers first: what it has not answered it has not taken.
      if (!post.again && !isRefused && error?.code !== 'protocol') again.push(post)
      else post.reject(isRefused ? error : this.#unanswering(error))
      post.again = true
    }
    this.#waiting = [...again, ...this.#waiting]
    this.#pump()
  }

  #tick(): void {
    this.#turn++
    const oldest = this.#unanswered[0]
    if (oldest && this.#turn - oldest.turn > answerTurns) {
      // Where this process stood still the answer may be there and not be read yet.
      setImmediate(() => {
        if (this.#unanswered[0] === oldest)
          this.#fail(
            new ServiceError(
              'timeout',
              `the subscriber at ${this.#options.address} has not answered within ${answerTurns} s`,
            ),
          )
      })
    } else if (!oldest && this.#waiting.length === 0 && this.#turn - this.#idleSince >= idleTurns) {
      this.#fail(new ServiceError('closed', 'nothing was posted for a while'))
    }
  }

  #unanswering(cause: ServiceError | undefined): ServiceError {
    const { address } = this.#options
    return new ServiceError(
      'unavailable',
      `the subscriber at ${address} ended the connection without an answer`,
      { cause },
    )
  }

  /** Ends with all that is posted. */
  #fail(error: ServiceError): void {
    clearInterval(this.#clock)
    this.#clock = undefined
    this.#connecting?.abort(error)
    this.#connecting = undefined
    const posts = [...this.#unanswered, ...this.#waiting]
    this.#unanswered = []
    this.#unansweredBytes = 0
    this.#waiting = []
    const connection = this.#connection
    this.#connection = this.#socket = undefined
    connection?.destroy(error)
    this.#options.onIdle()
    for (const { reject } of posts) reject(error)
  }
}

/** Who is not believed is there all the same: `unavailable` would say that nobody is. */
function dialFailure(cause: unknown): ServiceError {
  const error = ServiceError.from(cause, 'unavailable')
  if (!tlsError('', error.cause)) return error
  return new ServiceError('unauthenticated', error.message, { cause })
}
