import { constants, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2'
import { ServiceError, type ClientRequest, type Metadata } from '@micrograft/contracts'
import type { ClientConnection } from './client-connection.js'
import { bodyContentType, isGrpcContentType } from './content-type.js'
import { DeadlineTimer } from './deadline-timer.js'
import { errorOfStatus } from './grpc-error.js'
import { checkHeaderList, readMetadata } from './grpc-metadata.js'
import { httpError, resetError } from './http2-error.js'
import { MessageReader } from './message-frame.js'
import { requestHeaders } from './request-headers.js'
import { writeMessage } from './write-message.js'

/** Who a call is for. Each is told how it ended, once. */
export interface ExchangeSink {
  /** The call is on its way: what is sent goes out. */
  opened(): void
  headers(metadata: Metadata, contentType: string): void
  message(body: Buffer): void
  /** The peer has ended it: with all that it sent before, and an error where it failed. */
  ended(metadata: Metadata, error: ServiceError | undefined): void
  /** It ends here and now: by abort, deadline, dispose, or with the connection. */
  failed(error: Error): void
}

export interface ExchangeOptions {
  readonly request: ClientRequest
  readonly sink: ExchangeSink
  readonly maxMessageBytes: number
  readonly signal: AbortSignal | undefined
  /** Called when it is over, whichever way. */
  readonly settled: (exchange: Exchange) => void
}

/** One call on the wire, seen from the client. */
export class Exchange {
  readonly #options: ExchangeOptions
  readonly #headers: Record<string, string | string[]>
  readonly #deadline: DeadlineTimer | undefined
  #connection: ClientConnection | undefined
  #stream: ClientHttp2Stream | undefined
  /** Ends the wait for the server to take another call. */
  #unwait: (() => void) | undefined
  #reader: MessageReader | undefined
  #leading: Metadata = {}
  #trailers: IncomingHttpHeaders | undefined
  #over = false
  #error: Error | undefined

  /** @throws `bad-request` where the request cannot go over gRPC. */
  constructor(options: ExchangeOptions) {
    const { request, signal } = options
    this.#options = options
    this.#headers = requestHeaders(request)
    if (request.timeoutMs !== undefined && Number.isFinite(request.timeoutMs)) {
      const dueAt = performance.now() + request.timeoutMs
      this.#deadline = new DeadlineTimer(
        () => dueAt - performance.now(),
        () => this.fail(this.#late()),
        true,
      )
    }
    signal?.addEventListener('abort', this.#aborted, { once: true })
  }

  get over(): boolean {
    return this.#over
  }

  /** Whether the peer still takes messages. One that came later all the same would throw away what the peer sent. */
  get writable(): boolean {
    return this.#stream?.writable === true
  }

  /** What it failed with. */
  get error(): Error | undefined {
    return this.#error
  }

  /** Goes out on a connection. */
  begin(connection: ClientConnection): void {
    if (this.#over) return
    this.#connection = connection
    if (connection.full) {
      this.#unwait = connection.wait(() => this.begin(connection))
      return
    }
    try {
      checkHeaderList(this.#headers, connection.maxHeaderListBytes)
      this.#stream = connection.request({ ':scheme': connection.scheme, ...this.#headers })
    } catch (error) {
      this.fail(error as Error)
      return
    }
    this.#listen(this.#stream)
    this.#options.sink.opened()
  }

  /**
   * Sends a message. @param sent Called when the peer makes room, with the error where it never does.
   * @returns whether there is room for more.
   */
  write(body: Uint8Array, sent?: (error: Error | null | undefined) => void): boolean {
    return writeMessage(this.#stream as ClientHttp2Stream, body, sent)
  }

  /** Says that nothing more is sent. */
  end(): void {
    if (this.#stream && !this.#stream.destroyed && !this.#stream.writableEnded) this.#stream.end()
  }

  pause(): void {
    this.#stream?.pause()
  }

  resume(): void {
    this.#stream?.resume()
  }

  /** Ends it here and tells the peer. */
  fail(error: Error): void {
    if (this.#over) return
    this.#settle(error)
    this.#reset()
    this.#options.sink.failed(error)
  }

  readonly #aborted = (): void => this.fail(this.#options.signal?.reason as Error)

  #listen(stream: ClientHttp2Stream): void {
    const { request, maxMessageBytes } = this.#options
    stream.on('error', () => undefined)
    stream.once('response', (headers, flags) => {
      if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) {
        this.#trailers = headers
        return
      }
      const { ':status': status, 'content-type': contentType } = headers
      if (status !== 200 || !isGrpcContentType(contentType)) {
        this.fail(httpError(this.#where(), status, contentType))
        return
      }
      const encoding = headers['grpc-encoding']
      this.#reader = new MessageReader(maxMessageBytes, typeof encoding === 'string' ? encoding : undefined)
      this.#guarded(() => {
        this.#leading = readMetadata(headers)
        const named = headers['x-content-type']
        // What a peer says here by the plain header alone is often wrong: bodies are of the request's type.
        const type =
          typeof named === 'string' ? bodyContentType(contentType as string, named) : request.contentType
        this.#options.sink.headers(this.#leading, type)
      })
    })
    stream.on('data', (chunk: Buffer) => {
      if (this.#over) return
      this.#guarded(() => this.#reader?.read(chunk, (body) => this.#options.sink.message(body)))
    })
    stream.once('trailers', (headers) => (this.#trailers = headers))
    stream.once('end', () => {
      if (this.#trailers) this.#ended(this.#trailers)
    })
    stream.once('close', () => this.#closed(stream.rstCode))
  }

  #ended(trailers: IncomingHttpHeaders): void {
    if (this.#over) return
    if (trailers['grpc-status'] === undefined) {
      this.fail(httpError(this.#where(), Number(trailers[':status'] ?? 200), trailers['content-type']))
      return
    }
    this.#guarded(() => {
      const error =
        errorOfStatus(trailers, this.#options.request.service) ??
        (this.#reader?.partial
          ? new ServiceError('protocol', `${this.#where()} ended the call within a message`)
          : undefined)
      const metadata = { ...this.#leading, ...readMetadata(trailers) }
      this.#settle(error)
      this.#options.sink.ended(metadata, error)
      // A server may answer before it has read all; the rest need not be sent.
      this.#reset(constants.NGHTTP2_NO_ERROR)
    })
  }

  #closed(rstCode: number | undefined): void {
    if (this.#over) return
    if (this.#trailers) this.#ended(this.#trailers)
    else this.fail(this.#connection?.lost ?? resetError(this.#where(), rstCode))
  }

  /** What a peer sent wrongly ends the call and nothing else. */
  #guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      const { code, message } = ServiceError.from(error)
      this.fail(
        new ServiceError(
          code === 'bad-request' ? 'protocol' : code,
          `${this.#where()} answered wrongly: ${message}`,
          {
            cause: error,
          },
        ),
      )
    }
  }

  #settle(error: Error | undefined): void {
    this.#over = true
    this.#error = error
    this.#deadline?.stop()
    this.#unwait?.()
    this.#options.signal?.removeEventListener('abort', this.#aborted)
    this.#options.settled(this)
  }

  #reset(code: number = constants.NGHTTP2_CANCEL): void {
    const stream = this.#stream
    if (!stream || stream.destroyed) return
    if (code === constants.NGHTTP2_CANCEL || !stream.writableEnded) stream.close(code)
    stream.resume()
  }

  #late(): ServiceError {
    const { service, endpoint, timeoutMs } = this.#options.request
    return new ServiceError('timeout', `${endpoint} on ${service} did not end within ${timeoutMs} ms`)
  }

  #where(): string {
    return this.#connection?.address ?? this.#options.request.service
  }
}
