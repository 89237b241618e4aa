import { constants, type ServerHttp2Stream } from 'node:http2'
import { ServiceError, type Metadata } from '@micrograft/contracts'
import { grpcContentType } from './content-type.js'
import { maxHeaderListBytes } from './grpc-limits.js'
import { checkHeaderList, writeMetadata } from './grpc-metadata.js'
import { grpcStatus } from './grpc-status.js'
import { acceptedEncodings } from './message-frame.js'
import type { ServerConnection } from './server-connection.js'
import { writeMessage } from './write-message.js'

const unimplemented = String(grpcStatus.unimplemented)

export interface CallAnswerOptions {
  readonly stream: ServerHttp2Stream
  readonly connection: Pick<ServerConnection, 'queued' | 'alive'>
  /** Called in the turn in which nothing more can be answered. */
  readonly finished: () => void
}

/** The answer to a call: headers, messages and one end, whichever comes first. What comes after that is nothing. */
export class CallAnswer {
  /** Of the request, once that is known. */
  contentType = ''
  readonly #options: CallAnswerOptions
  #over = false

  constructor(options: CallAnswerOptions) {
    this.#options = options
  }

  /** Whether its end was sent, or nobody is there to be answered. */
  get over(): boolean {
    return this.#over
  }

  /** Sends the headers that come first, once. @throws `internal` for metadata that cannot be sent. */
  respond(metadata: Metadata, contentType: string = this.contentType): void {
    const { stream } = this.#options
    if (stream.headersSent || stream.destroyed) return
    const headers: Record<string, string | string[]> = {
      'content-type': grpcContentType(contentType),
      'grpc-accept-encoding': acceptedEncodings,
    }
    if (contentType !== this.contentType) headers['x-content-type'] = contentType
    writeReplyMetadata(metadata, headers)
    stream.respond({ ':status': 200, ...headers }, { waitForTrailers: true, sendDate: false } as object)
  }

  /** Sends a message; see `writeMessage`. */
  write(body: Uint8Array, sent?: (error: Error | null | undefined) => void): boolean {
    const { stream, connection } = this.#options
    connection.queued(body.length)
    return writeMessage(stream, body, (error) => {
      connection.queued(-body.length)
      if (!error) connection.alive()
      sent?.(error)
    })
  }

  /** Sends what comes last. @throws `internal` for metadata that cannot be sent. */
  end(metadata: Metadata): void {
    if (this.#over || this.#options.stream.destroyed) return
    const trailers: Record<string, string | string[]> = { 'grpc-status': '0' }
    writeReplyMetadata(metadata, trailers)
    this.close(trailers)
  }

  /** Sends `trailers` as what comes last, with what was written before. */
  close(trailers: Record<string, string | string[]>): void {
    const { stream } = this.#options
    if (this.#over || stream.destroyed || stream.closed) return
    this.finish()
    if (stream.headersSent) {
      stream.once('wantTrailers', () => {
        stream.sendTrailers(trailers)
        this.#ignoreRest()
      })
      stream.end()
    } else {
      const headers = {
        ':status': 200,
        'content-type': grpcContentType(this.contentType),
        // Who sent a message in another compression is told here which are taken (gRPC, Compression).
        ...(trailers['grpc-status'] === unimplemented && { 'grpc-accept-encoding': acceptedEncodings }),
        ...trailers,
      }
      stream.respond(headers, { endStream: true, sendDate: false } as object)
      this.#ignoreRest()
    }
  }

  /** Answers what is no call of gRPC with a status of HTTP. */
  refuse(status: number): void {
    this.finish()
    this.#options.stream.respond({ ':status': status }, { endStream: true })
    this.#ignoreRest()
  }

  /** Nothing more is answered: its end was sent, or the peer is gone. */
  finish(): void {
    this.#over = true
    this.#options.finished()
  }

  /** The rest of a request that is answered need not come: RFC 9113 §8.1. */
  #ignoreRest(): void {
    const { stream } = this.#options
    stream.resume()
    // After what was written just now: a reset overtakes nothing that has left.
    setImmediate(() => {
      if (!stream.readableEnded && !stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR)
    })
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
