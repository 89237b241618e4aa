import { ServiceError, type ClientStream, type Codec, type Metadata } from '@micrograft/contracts'
import type { CallStream } from './caller-types.js'

/** What opens a stream: it is told of the stream that it opened, and gives what comes back, as middleware passed it on. */
export type OpenThrough<I> = (
  outgoing: AsyncIterable<I>,
  opened: (stream: ClientStream, outgoing: unknown) => AsyncIterable<unknown>,
) => Promise<unknown>

/**
 * Opens a stream through middleware and gives its caller's end. Middleware sees what is sent as an
 * async iterable, and gives what comes back as one.
 */
export function openStream<I, O>(
  findCodec: () => Codec,
  onMetadata: ((metadata: Metadata) => void) | undefined,
  open: OpenThrough<I>,
): CallStream<I, O> {
  const outgoing = new Handover<I>()
  let stream: ClientStream | undefined
  let disposed = false
  let isRead = false
  const result = (async () => {
    const codec = findCodec()
    return open(outgoing, (made, messages) => {
      stream = made
      if (onMetadata) made.metadata.then(onMetadata, () => undefined)
      if (disposed) {
        void closed(made)
        return decoded(made, codec, undefined)
      }
      return decoded(made, codec, pump(messages as AsyncIterable<I>, made, codec, outgoing))
    })
  })()
  result.catch((error: unknown) => outgoing.fail(error))

  async function dispose(): Promise<void> {
    disposed = true
    outgoing.fail(new ServiceError('closed', 'the stream was closed'))
    if (!isRead) result.then(leave).catch(() => undefined)
    await stream?.[Symbol.asyncDispose]()
  }
  return {
    send: (message) => outgoing.put(message),
    end: async () => outgoing.finish(),
    [Symbol.asyncDispose]: dispose,
    async *[Symbol.asyncIterator]() {
      isRead = true
      try {
        yield* (await result) as AsyncIterable<O>
      } finally {
        await dispose()
      }
    },
  }
}

/** Tells middleware that nobody reads what it gave. */
async function leave(messages: unknown): Promise<void> {
  await (messages as AsyncIterable<unknown>)[Symbol.asyncIterator]().return?.()
}

/** What comes back. What the sending side failed with, it fails with as well. */
async function* decoded(
  stream: ClientStream,
  codec: Codec,
  sending: Promise<Failure | undefined> | undefined,
): AsyncGenerator {
  let failure: Failure | undefined
  void sending?.then((failed) => (failure = failed))
  try {
    for await (const bytes of stream.messages) yield codec.decode(bytes)
  } catch (error) {
    throw failure ? failure.error : error
  }
  if (failure) throw failure.error
}

interface Failure {
  readonly error: unknown
}

/** Sends what there is to send. What fails on this side, and not at the peer, cancels the stream. */
async function pump<I>(
  messages: AsyncIterable<I>,
  stream: ClientStream,
  codec: Codec,
  outgoing: Handover<I>,
): Promise<Failure | undefined> {
  let isPeers = false
  try {
    for await (const message of messages) {
      const body = encode(message, codec, outgoing)
      isPeers = true
      await stream.send(body)
      isPeers = false
    }
    isPeers = true
    await stream.end()
    return undefined
  } catch (error) {
    outgoing.fail(error)
    if (isPeers) return undefined
    // The reader is to know why before its stream ends.
    setImmediate(() => void closed(stream))
    return { error }
  }
}

/** Cancels a stream that nobody waits for any more. */
async function closed(stream: ClientStream): Promise<void> {
  try {
    await stream[Symbol.asyncDispose]()
  } catch {
    // Nobody is left to be told.
  }
}

function encode<I>(message: I, codec: Codec, outgoing: Handover<I>): Uint8Array {
  try {
    return codec.encode(message)
  } catch (error) {
    outgoing.refuse(error)
    throw error
  }
}

interface Handed<T> {
  readonly value: T
  readonly taken: () => void
  readonly failed: (error: unknown) => void
}

/** Hands values from who sends to who takes, one at a time: `put` resolves when the taker comes for the next. */
class Handover<T> implements AsyncIterable<T> {
  #waiting: Handed<T>[] = []
  #taker: ((result: IteratorResult<T>) => void) | undefined
  /** What the taker has. */
  #current: Handed<T> | undefined
  #ended = false
  #error: { readonly error: unknown } | undefined

  put(value: T): Promise<void> {
    if (this.#error) return Promise.reject(this.#error.error as Error)
    if (this.#ended)
      return Promise.reject(new ServiceError('closed', 'the stream was ended; send before end()'))
    return new Promise((taken, failed) => {
      const taker = this.#taker
      const handed = { value, taken, failed }
      if (taker) {
        this.#taker = undefined
        this.#current = handed
        taker({ value, done: false })
      } else {
        this.#waiting.push(handed)
      }
    })
  }

  finish(): void {
    this.#ended = true
    if (this.#waiting.length === 0) this.#taker?.({ value: undefined, done: true })
  }

  /** What the taker has cannot be sent. */
  refuse(error: unknown): void {
    this.#current?.failed(error)
    this.fail(error)
  }

  /** Nothing is taken any more. */
  fail(error: unknown): void {
    this.#error ??= { error }
    this.#current?.taken()
    for (const { failed } of this.#waiting.splice(0)) failed(error)
    this.#taker?.({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return {
      next: () => {
        this.#current?.taken()
        this.#current = undefined
        const next = this.#waiting.shift()
        if (next) {
          this.#current = next
          return Promise.resolve({ value: next.value, done: false })
        }
        if (this.#ended || this.#error) return Promise.resolve({ value: undefined, done: true })
        return new Promise((resolve) => (this.#taker = resolve))
      },
      return: () => {
        this.fail(new ServiceError('closed', 'the stream takes no more messages'))
        return Promise.resolve({ value: undefined, done: true })
      },
    }
  }
}
