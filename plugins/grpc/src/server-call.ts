import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import {
  ServiceError,
  type Dispatcher,
  type Metadata,
  type ServerReply,
  type ServerRequest,
} from '@micrograft/contracts'
import { bodyContentType, grpcContentType, isGrpcContentType } from './content-type.js'
import { errorTrailers } from './grpc-error.js'
import { maxHeaderListBytes } from './grpc-limits.js'
import { checkHeaderList, headerListBytes, readMetadata, writeMetadata } from './grpc-metadata.js'
import { parsePath } from './grpc-path.js'
import { grpcStatus } from './grpc-status.js'
import { maxTimerMs, readTimeout } from './grpc-timeout.js'
import { acceptedEncodings, frameMessage, MessageReader } from './message-frame.js'
import { MessageQueue } from './message-queue.js'
import type { ServerConnection } from './server-connection.js'
import { serverStream } from './server-stream.js'

/** A call at the server, from its headers to its status. It is the request that its handler sees. */
export class ServerCall implements ServerRequest {
  service = ''
  endpoint = ''
  contentType = ''
  metadata: Metadata = {}
  deadline: number | undefined
  /** Whether its handler has not ended. */
  running = false
  /** Answered by the server itself, and not by the service's handlers. */
  internal = false
  readonly #connection: ServerConnection
  readonly #stream: ServerHttp2Stream
  #controller: AbortController | undefined
  #reason: ServiceError | undefined
  #timer: NodeJS.Timeout | undefined
  #answered = false
  #held = 0
  #fail: ((error: ServiceError) => void) | undefined

  constructor(connection: ServerConnection, stream: ServerHttp2Stream) {
    this.#connection = connection
    this.#stream = stream
    stream.on('error', () => undefined)
    stream.once('close', () => {
      this.#finish()
      this.abort(new ServiceError('canceled', 'the caller gave up or is gone'))
    })
  }

  get remote(): string {
    return this.#connection.remote
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.#reason) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  /** Whether nothing of it is left. */
  get over(): boolean {
    return this.#stream.destroyed && !this.running
  }

  /** Reads the headers and hands the call to who answers it. */
  begin(headers: IncomingHttpHeaders): void {
    try {
      this.#begin(headers)
    } catch (error) {
      this.fail(ServiceError.from(error))
    }
  }

  /** Tells the handler that its call is over. */
  abort(reason: ServiceError): void {
    if (this.#reason) return
    this.#reason = reason
    this.#controller?.abort(reason)
    this.#fail?.(reason)
  }

  /** Answers with an error, where it was not answered yet, and tells the handler. @param status Another than the error's own. */
  fail(error: ServiceError, status?: number): void {
    this.#answer(errorTrailers(error, status))
    this.abort(error)
  }

  /** Sends a message of a stream, and resolves when there is room for the next. */
  async send(body: Uint8Array): Promise<void> {
    if (this.#answered || this.#stream.destroyed)
      throw this.#reason ?? new ServiceError('closed', 'the stream was ended already')
    this.#respond({})
    await new Promise<void>((resolve, reject) => {
      const room = this.#write(body, (error) => {
        if (error)
          reject(this.#reason ?? new ServiceError('canceled', 'the caller is gone', { cause: error }))
        else resolve()
      })
      if (room) resolve()
    })
  }

  #begin(headers: IncomingHttpHeaders): void {
    const { ':method': method, ':path': path = '', 'content-type': contentType } = headers
    if (method !== 'POST') return this.#refuse(constants.HTTP_STATUS_METHOD_NOT_ALLOWED)
    if (!isGrpcContentType(contentType)) return this.#refuse(constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE)
    const { maxMetadataBytes } = this.#connection.owner.limits
    // HTTP/2 holds to it too, once the peer has heard of it.
    if (headerListBytes(headers) > maxMetadataBytes)
      throw new ServiceError('too-large', `the headers are above the limit of ${maxMetadataBytes} bytes`)
    const parsed = parsePath(path)
    const { service } = this.#connection.owner
    this.service = parsed?.service || service
    this.endpoint = parsed?.endpoint ?? path
    this.contentType = bodyContentType(contentType as string, one(headers['x-content-type']))
    this.metadata = readMetadata(headers)
    this.#limitTime(readTimeout(one(headers['grpc-timeout']), one(headers['timeout'])))
    this.#connection.admit()
    const reader = new MessageReader(
      this.#connection.owner.limits.maxMessageBytes,
      one(headers['grpc-encoding']),
    )
    const internal = this.#connection.owner.internal.get(path)
    if (internal) {
      this.internal = true
      this.#serve(reader, internal)
      return
    }
    const { dispatcher } = this.#connection.owner
    const kind = dispatcher.kind(this.endpoint)
    if (kind === 'unary') this.#unary(reader, dispatcher)
    else if (kind === 'stream') this.#serve(reader, (request, stream) => dispatcher.stream(request, stream))
    else {
      const error = new ServiceError('not-found', `${service} has no endpoint ${this.endpoint}`, {
        id: service,
      })
      this.fail(error, grpcStatus.unimplemented)
    }
  }

  #unary(reader: MessageReader, dispatcher: Dispatcher): void {
    const bodies: Buffer[] = []
    this.#read(
      reader,
      (body) => {
        bodies.push(body)
        if (bodies.length > 1)
          throw new ServiceError('protocol', `${this.endpoint} takes one request, two came`)
      },
      () => {
        const [body] = bodies
        if (!body) throw new ServiceError('protocol', `${this.endpoint} takes one request, none came`)
        void this.#run(async () => this.#reply(await dispatcher.unary(this, body)))
      },
    )
  }

  #serve(
    reader: MessageReader,
    handle: (request: ServerRequest, stream: ReturnType<typeof serverStream>) => Promise<Metadata>,
  ): void {
    const stream = this.#stream
    const queue = new MessageQueue({
      pause: () => stream.pause(),
      resume: () => stream.resume(),
      left: () => stream.resume(),
    })
    this.#fail = (error) => queue.fail(error)
    this.#read(
      reader,
      (body) => queue.put(body),
      () => queue.end(),
    )
    const { maxMessageBytes } = this.#connection.owner.limits
    void this.#run(async () => this.#end(await handle(this, serverStream(this, queue, maxMessageBytes))))
  }

  /** Takes messages out of what comes. A peer that sends it wrongly is told so. */
  #read(reader: MessageReader, take: (body: Buffer) => void, ended: () => void): void {
    const stream = this.#stream
    const guarded = (work: () => void) => {
      if (this.#answered) return
      try {
        work()
      } catch (error) {
        this.fail(ServiceError.from(error))
        stream.resume()
      }
    }
    let whole = 0
    stream.on('data', (chunk: Buffer) =>
      guarded(() => {
        this.#connection.alive()
        reader.read(chunk, (body) => {
          if (!this.#fail) whole += body.length
          take(body)
        })
        this.#hold(whole + reader.held)
      }),
    )
    stream.once('end', () =>
      guarded(() => {
        if (stream.aborted) return
        if (reader.partial) throw new ServiceError('protocol', 'the request ends within a message')
        ended()
      }),
    )
  }

  async #run(work: () => Promise<void>): Promise<void> {
    this.running = true
    this.#connection.began()
    try {
      await work()
    } catch (error) {
      this.#answer(errorTrailers(ServiceError.from(error, 'internal', this.#connection.owner.service)))
    } finally {
      this.running = false
      this.#hold(0)
      this.#connection.ended(this)
    }
  }

  #reply({ metadata, contentType, body }: ServerReply): void {
    if (this.#answered || this.#stream.destroyed) return
    const { maxMessageBytes } = this.#connection.owner.limits
    if (body.length > maxMessageBytes) {
      throw new ServiceError(
        'too-large',
        `a reply of ${body.length} bytes is above the limit of ${maxMessageBytes}`,
      )
    }
    this.#connection.reserve(body.length)
    this.#respond(metadata, contentType)
    this.#write(body)
    this.#end({})
  }

  /** Sends the headers that come first, once. */
  #respond(metadata: Metadata, contentType: string = this.contentType): void {
    const stream = this.#stream
    if (stream.headersSent || stream.destroyed) return
    const headers: Record<string, string | string[]> = {
      'content-type': grpcContentType(contentType),
      'grpc-accept-encoding': acceptedEncodings,
    }
    if (contentType !== this.contentType) headers['x-content-type'] = contentType
    writeReplyMetadata(metadata, headers)
    stream.respond({ ':status': 200, ...headers }, { waitForTrailers: true, sendDate: false } as object)
  }

  /** Sends what comes last. */
  #end(metadata: Metadata): void {
    if (this.#answered || this.#stream.destroyed) return
    const trailers: Record<string, string | string[]> = { 'grpc-status': '0' }
    writeReplyMetadata(metadata, trailers)
    this.#answer(trailers)
  }

  #answer(trailers: Record<string, string | string[]>): void {
    const stream = this.#stream
    if (this.#answered || stream.destroyed || stream.closed) return
    this.#finish()
    if (stream.headersSent) {
      stream.once('wantTrailers', () => {
        stream.sendTrailers(trailers)
        this.#ignoreRest()
      })
      stream.end()
    } else {
      const headers = { ':status': 200, 'content-type': grpcContentType(this.contentType), ...trailers }
      stream.respond(headers, { endStream: true, sendDate: false } as object)
      this.#ignoreRest()
    }
  }

  /** The rest of a request that is answered need not come: RFC 9113 §8.1. */
  #ignoreRest(): void {
    const stream = this.#stream
    stream.resume()
    // After what was written just now: a reset overtakes nothing that has left.
    setImmediate(() => {
      if (!stream.readableEnded && !stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR)
    })
  }

  #refuse(status: number): void {
    this.#finish()
    this.#stream.respond({ ':status': status }, { endStream: true })
    this.#ignoreRest()
  }

  #finish(): void {
    this.#answered = true
    clearTimeout(this.#timer)
    if (!this.running) this.#hold(0)
  }

  #write(body: Uint8Array, sent?: (error: Error | null | undefined) => void): boolean {
    const stream = this.#stream
    this.#connection.queued(body.length)
    const done = (error?: Error | null) => {
      this.#connection.queued(-body.length)
      if (!error) this.#connection.alive()
      sent?.(error)
    }
    const [head, rest] = frameMessage(body)
    if (!rest) return stream.write(head, done)
    stream.cork()
    stream.write(head)
    const room = stream.write(rest, done)
    process.nextTick(() => stream.uncork())
    return room
  }

  #hold(bytes: number): void {
    const more = bytes - this.#held
    this.#held = bytes
    this.#connection.held(more)
  }

  #limitTime(ms: number | undefined): void {
    if (ms === undefined) return
    const deadline = Math.round(Date.now() + ms)
    this.deadline = deadline
    const arm = () => {
      const left = deadline - Date.now()
      if (left <= 0) this.fail(new ServiceError('timeout', `the deadline of ${this.endpoint} has passed`))
      else this.#timer = setTimeout(arm, Math.min(maxTimerMs, Math.ceil(left))).unref()
    }
    this.#timer = setTimeout(arm, Math.min(maxTimerMs, Math.ceil(ms))).unref()
  }
}

/** What a handler gives as metadata and is none is the handler's failure, and not its caller's. */
function writeReplyMetadata(metadata: Metadata, headers: Record<string, string | string[]>): void {
  try {
    writeMetadata(metadata, headers)
    checkHeaderList(headers, maxHeaderListBytes)
  } catch (error) {
    throw new ServiceError('internal', `the reply cannot be sent: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

function one(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0]
}
