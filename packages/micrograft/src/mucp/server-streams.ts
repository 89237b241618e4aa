import {
  ServiceError,
  type Connection,
  type Dispatcher,
  type Message,
  type Metadata,
} from '@micrograft/contracts'
import type { Brake } from './brake.js'
import { endOfStream, micro } from './headers.js'
import { readError } from './mucp-error.js'
import type { Open, OpenRequests } from './open-requests.js'
import {
  replyTo,
  streamEnd,
  streamHeader,
  streamMessage,
  understand,
  type ReplyTo,
  type Understood,
} from './server-messages.js'
import { MucpServerStream } from './server-stream.js'
import { StreamInbox } from './stream-inbox.js'
import { StreamOutbox } from './stream-outbox.js'

/** Streams that have ended and whose late messages are known as such. */
const maxEnded = 256

export interface ServerStreamsOptions {
  readonly requests: OpenRequests
  readonly dispatcher: Dispatcher
  readonly connection: Connection
  readonly brake: Brake
  readonly maxStreams: number
  /** Answers what is not taken. */
  readonly refuse: (to: ReplyTo, error: ServiceError) => void
}

/** The streams on one connection, by `Micro-Stream`. */
export class ServerStreams {
  readonly #options: ServerStreamsOptions
  readonly #streams = new Map<string, Open>()
  readonly #ended = new Set<string>()

  constructor(options: ServerStreamsOptions) {
    this.#options = options
  }

  message(key: string, message: Message): void {
    const { header } = message
    const error = micro(header, 'micro-error')
    const open = this.#streams.get(key)
    if (open) {
      receive(open, message, error)
      return
    }
    // Late messages of a stream that has ended, and the end of one that is not known, are for nobody.
    if (this.#ended.has(key) || error === endOfStream) return
    const to = replyTo(header)
    try {
      this.#open(key, understand(message, to))
    } catch (error) {
      this.ended(key)
      this.#options.refuse(to, ServiceError.from(error))
    }
  }

  /** What comes for it from now on is for nobody. */
  ended(key: string): void {
    this.#streams.delete(key)
    this.#ended.add(key)
    if (this.#ended.size <= maxEnded) return
    for (const oldest of this.#ended) {
      this.#ended.delete(oldest)
      break
    }
  }

  /** The body of the first message is thrown away: go-micro's clients send one that means nothing. */
  #open(key: string, understood: Understood): void {
    const { requests, connection, brake, maxStreams } = this.#options
    if (this.#streams.size >= maxStreams)
      throw new ServiceError('overloaded', `the connection has ${maxStreams} streams already`)
    const to = understood.replyTo
    const header = streamHeader(to, key, understood)
    const inbox = new StreamInbox({
      full: (full) => (full ? brake.hold() : brake.release()),
      left: () => undefined,
    })
    const stream = new MucpServerStream(inbox, new StreamOutbox(connection), (body) =>
      streamMessage(to, header, body),
    )
    const open = requests.begin(understood, 'stream', { key, bytes: 0, stream })
    this.#streams.set(key, open)
    void this.#serve(open, stream)
  }

  async #serve(open: Open, stream: MucpServerStream): Promise<void> {
    const { requests, dispatcher } = this.#options
    try {
      const metadata: Metadata = await dispatcher.stream(open.request, stream)
      await stream.settled()
      requests.answered(open, () => streamEnd(open.replyTo, metadata))
    } catch (error) {
      requests.failed(open, error)
    } finally {
      stream.finish()
    }
  }
}

function receive({ stream, replyTo, request }: Open, { body }: Message, error: string): void {
  if (error === endOfStream) stream?.messages.end()
  else if (error !== '') stream?.messages.fail(readError(error, request.service))
  else {
    try {
      stream?.messages.push(replyTo.envelope?.openRequest(body).body ?? body)
    } catch (cause) {
      stream?.messages.fail(cause)
    }
  }
}
