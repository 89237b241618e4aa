import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import {
  ServiceError,
  type Dispatcher,
  type Metadata,
  type ServerReply,
  type ServerRequest,
} from '@micrograft/contracts'
import { CallAnswer } from './call-answer.js'
import { bodyContentType, isGrpcContentType } from './content-type.js'
import { DeadlineTimer } from './deadline-timer.js'
import { errorTrailers } from './grpc-error.js'
import { headerListBytes, readMetadata } from './grpc-metadata.js'
import { parsePath } from './grpc-path.js'
import { grpcStatus } from './grpc-status.js'
import { readTimeout } from './grpc-timeout.js'
import { MessageReader } from './message-frame.js'
import { MessageQueue } from './message-queue.js'
import { readRequest, type RequestReaderOptions } from './request-reader.js'
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
  readonly #answer: CallAnswer
  #controller: AbortController | undefined
  #reason: ServiceError | undefined
  #deadlineTimer: DeadlineTimer | undefined
  #held = 0
  #fail: ((error: ServiceError) => void) | undefined
  /** Handlers that wait until there is room for what they send. */
  readonly #senders = new Set<(error: ServiceError) => void>()

  constructor(connection: ServerConnection, stream: ServerHttp2Stream) {
    this.#connection = connection
    this.#stream = stream
    this.#answer = new CallAnswer({
      stream,
      connection,
      finished: () => this.#finish(),
    })
    stream.on('error', () => undefined)
    stream.once('close', () => {
      this.#answer.finish()
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
    for (const reject of this.#senders) reject(reason)
  }

  /** Answers with an error, where it was not answered yet, and tells the handler. @param status Another than the error's own. */
  fail(error: ServiceError, status?: number): void {
    this.#answer.close(errorTrailers(error, status))
    this.abort(error)
  }

  /** Sends a message of a stream, and resolves when there is room for the next. */
  async send(body: Uint8Array): Promise<void> {
    if (this.#answer.over || this.#stream.destroyed)
      throw this.#reason ?? new ServiceError('closed', 'the stream was ended already')
    this.#answer.respond({})
    await new Promise<void>((resolve, reject) => {
      const room = this.#answer.write(body, (error) => {
        this.#senders.delete(reject)
        if (error)
          reject(this.#reason ?? new ServiceError('canceled', 'the caller is gone', { cause: error }))
        else resolve()
      })
      if (room) resolve()
      else this.#senders.add(reject)
    })
  }

  #begin(headers: IncomingHttpHeaders): void {
    const { ':method': method, ':path': path = '', 'content-type': contentType } = headers
    if (method !== 'POST') return this.#answer.refuse(constants.HTTP_STATUS_METHOD_NOT_ALLOWED)
    if (!isGrpcContentType(contentType))
      return this.#answer.refuse(constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE)
    const { maxMetadataBytes } = this.#connection.owner.limits
    // HTTP/2 holds to it too, once the peer has heard of it.
    if (headerListBytes(headers) > maxMetadataBytes)
      throw new ServiceError('too-large', `the headers are above the limit of ${maxMetadataBytes} bytes`)
    const parsed = parsePath(path)
    const { service } = this.#connection.owner
    this.service = parsed?.service || service
    this.endpoint = parsed?.endpoint ?? path
    this.contentType = bodyContentType(contentType as string, one(headers['x-content-type']))
    this.#answer.contentType = this.contentType
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
    this.#read(reader, {
      keeps: true,
      message: (body) => {
        bodies.push(body)
        if (bodies.length > 1)
          throw new ServiceError('protocol', `${this.endpoint} takes one request, two came`)
      },
      ended: () => {
        const [body] = bodies
        if (!body) throw new ServiceError('protocol', `${this.endpoint} takes one request, none came`)
        void this.#run(async () => this.#reply(await dispatcher.unary(this, body)))
      },
    })
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
    this.#read(reader, { keeps: false, message: (body) => queue.put(body), ended: () => queue.end() })
    const { maxMessageBytes } = this.#connection.owner.limits
    void this.#run(async () =>
      this.#answer.end(await handle(this, serverStream(this, queue, maxMessageBytes))),
    )
  }

  #read(
    reader: MessageReader,
    { keeps, message, ended }: Pick<RequestReaderOptions, 'keeps' | 'message' | 'ended'>,
  ): void {
    // Spreading them in cost a call a tenth of its time.
    readRequest({
      stream: this.#stream,
      connection: this.#connection,
      answer: this.#answer,
      reader,
      keeps,
      hold: (bytes) => this.#hold(bytes),
      message,
      ended,
      failed: (error) => this.fail(error),
    })
  }

  async #run(work: () => Promise<void>): Promise<void> {
    this.running = true
    this.#connection.began()
    try {
      await work()
    } catch (error) {
      this.#answer.close(errorTrailers(ServiceError.from(error, 'internal', this.#connection.owner.service)))
    } finally {
      this.running = false
      this.#hold(0)
      this.#connection.ended(this)
    }
  }

  #reply({ metadata, contentType, body }: ServerReply): void {
    if (this.#answer.over || this.#stream.destroyed) return
    const { maxMessageBytes } = this.#connection.owner.limits
    if (body.length > maxMessageBytes) {
      throw new ServiceError(
        'too-large',
        `a reply of ${body.length} bytes is above the limit of ${maxMessageBytes}`,
      )
    }
    this.#connection.reserve(body.length)
    this.#answer.respond(metadata, contentType)
    this.#answer.write(body)
    this.#answer.end({})
  }

  #finish(): void {
    this.#deadlineTimer?.stop()
    if (!this.running) this.#hold(0)
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
    this.#deadlineTimer = new DeadlineTimer(
      () => deadline - Date.now(),
      () => this.fail(new ServiceError('timeout', `the deadline of ${this.endpoint} has passed`)),
      false,
    )
  }
}

function one(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0]
}
