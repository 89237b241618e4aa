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
  codec: Codec,
  onMetadata: ((metadata: Metadata) => void) | undefined,
  open: OpenThrough<I>,
): CallStream<I, O> {
  const outgoing = new Handover<I>()
  let stream: ClientStream | undefined
  let disposed = false
  const result = open(outgoing, (made, messages) => {
    stream = made
    if (disposed) void made[Symbol.asyncDispose]()
    else void pump(messages as AsyncIterable<I>, made, codec, outgoing)
    if (onMetadata) made.metadata.then(onMetadata, () => undefined)
    return decoded(made, codec)
  })
  result.catch((error: unknown) => outgoing.fail(error))

  async function dispose(): Promise<void> {
    disposed = true
    outgoing.finish()
    await stream?.[Symbol.asyncDispose]()
  }
  return {
    send: (message) => outgoing.put(message),
    end: async () => outgoing.finish(),
    [Symbol.asyncDispose]: dispose,
    async *[Symbol.asyncIterator]() {
      try {
        yield* (await result) as AsyncIterable<O>
      } finally {
        await dispose()
      }
    },
  }
}

async function* decoded(stream: ClientStream, codec: Codec): AsyncGenerator {
  for await (const bytes of stream.messages) yield codec.decode(bytes)
}

async function pump<I>(
  messages: AsyncIterable<I>,
  stream: ClientStream,
  codec: Codec,
  outgoing: Handover<I>,
): Promise<void> {
  try {
    for await (const message of messages) await stream.send(codec.encode(message))
    await stream.end()
  } catch (error) {
    outgoing.fail(error)
  }
}

/** Hands values from who sends to who takes, one at a time: `put` resolves when the taker comes for the next. */
class Handover<T> implements AsyncIterable<T> {
  #waiting: { value: T; taken: () => void; failed: (error: unknown) => void }[] = []
  #taker: ((result: IteratorResult<T>) => void) | undefined
  #current: (() => void) | undefined
  #ended = false
  #error: { readonly error: unknown } | undefined

  put(value: T): Promise<void> {
    if (this.#error) return Promise.reject(this.#error.error as Error)
    if (this.#ended)
      return Promise.reject(new ServiceError('closed', 'the stream was ended; send before end()'))
    return new Promise((taken, failed) => {
      const taker = this.#taker
      if (taker) {
        this.#taker = undefined
        this.#current = taken
        taker({ value, done: false })
      } else {
        this.#waiting.push({ value, taken, failed })
      }
    })
  }

  finish(): void {
    this.#ended = true
    if (this.#waiting.length === 0) this.#taker?.({ value: undefined, done: true })
  }

  fail(error: unknown): void {
    this.#error ??= { error }
    this.#current?.()
    for (const { failed } of this.#waiting.splice(0)) failed(error)
    this.#taker?.({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return {
      next: () => {
        this.#current?.()
        this.#current = undefined
        const next = this.#waiting.shift()
        if (next) {
          this.#current = next.taken
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
