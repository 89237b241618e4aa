import { performServerHandshake, type ServerHttp2Session } from 'node:http2'
import type { Duplex } from 'node:stream'
import {
  ServiceError,
  type Dispatcher,
  type Metadata,
  type ServerRequest,
  type ServerStream,
} from '@micrograft/contracts'
import { Farewell } from './farewell.js'
import { maxSessionMemory, type ResolvedLimits } from './grpc-limits.js'
import { ServerCall } from './server-call.js'
import { askForLife } from './sign-of-life.js'

/** Answers the calls to one path; on the wire a unary call is a stream of one message each way. */
export type InternalEndpoint = (request: ServerRequest, stream: ServerStream) => Promise<Metadata>

export interface ServerLimits extends ResolvedLimits {
  readonly maxCalls: number
  readonly maxHeldBytes: number
  readonly maxQueuedBytes: number
  readonly helloTimeoutMs: number
  readonly pingIntervalMs: number
  readonly pingTimeoutMs: number
}

/** What all connections of a server share. */
export interface ConnectionOwner {
  readonly service: string
  readonly dispatcher: Dispatcher
  readonly limits: ServerLimits
  /** By path. */
  readonly internal: ReadonlyMap<string, InternalEndpoint>
  /** A handler or a connection has ended. */
  changed(connection: ServerConnection): void
}

/** One HTTP/2 connection at the server. */
export class ServerConnection {
  readonly owner: ConnectionOwner
  readonly remote: string
  /** Resolves when nothing of it is left. */
  readonly closed: Promise<void>
  #over = false
  #aborted: ServiceError | undefined
  readonly #socket: Duplex
  readonly #farewell: Farewell
  readonly #session: ServerHttp2Session
  readonly #calls = new Set<ServerCall>()
  #aliveAt = performance.now()
  #pinged = false
  #running = 0
  #held = 0
  #queued = 0

  constructor(socket: Duplex, remote: string, owner: ConnectionOwner) {
    this.owner = owner
    this.remote = remote
    const { limits } = owner
    this.#socket = socket
    this.#farewell = new Farewell(socket)
    // A TLS socket that fails after its handshake does not end by itself, and the session waits for it.
    socket.on('error', () => socket.destroy())
    // HTTP/2 has no half-closed connections: who ends one is gone, and its calls are over.
    socket.once('end', () => this.destroy())
    const session = performServerHandshake(socket, {
      maxSendHeaderBlockLength: 16_777_216,
      maxSessionMemory,
      maxHeaderListPairs: 256,
      maxSettings: 32,
      settings: {
        initialWindowSize: limits.windowBytes,
        maxConcurrentStreams: limits.maxCalls,
        maxHeaderListSize: limits.maxMetadataBytes,
      },
    })
    this.#session = session
    const timer = setTimeout(() => this.destroy(), limits.helloTimeoutMs).unref()
    session.on('error', () => undefined)
    session.once('remoteSettings', () => {
      clearTimeout(timer)
      if (!session.destroyed) session.setLocalWindowSize(Math.min(2_147_483_647, limits.windowBytes * 16))
    })
    session.on('stream', (stream, headers) => {
      const call = new ServerCall(this, stream)
      this.#calls.add(call)
      stream.once('close', () => {
        if (!call.running) this.#calls.delete(call)
      })
      if (this.#aborted) call.fail(this.#aborted)
      else call.begin(headers)
    })
    this.closed = new Promise((resolve) => {
      session.once('close', () => {
        this.#over = true
        clearTimeout(timer)
        socket.destroy()
        owner.changed(this)
        resolve()
      })
    })
  }

  /** Whether it is closed. */
  get over(): boolean {
    return this.#over
  }

  /** Whether a handler of the service has not ended. */
  get busy(): boolean {
    for (const call of this.#calls) if (call.running && !call.internal) return true
    return false
  }

  /** @throws `overloaded` where no other call may run: those that were reset may still, unseen by HTTP/2. */
  admit(): void {
    if (this.#running >= this.owner.limits.maxCalls)
      throw new ServiceError('overloaded', `${this.#running} calls of this connection are under way`)
  }

  began(): void {
    this.#running++
  }

  ended(call: ServerCall): void {
    this.#running--
    if (call.over) this.#calls.delete(call)
    this.owner.changed(this)
  }

  /** Counts bytes of requests that are not whole, or wait for their handlers. @throws `overloaded` */
  held(bytes: number): void {
    this.#held += bytes
    if (bytes > 0 && this.#held > this.owner.limits.maxHeldBytes)
      throw new ServiceError('overloaded', `requests of this connection hold ${this.#held} bytes`)
  }

  /** @throws `overloaded` where the peer does not read what it has asked for already. */
  reserve(bytes: number): void {
    if (this.#queued > 0 && this.#queued + bytes > this.owner.limits.maxQueuedBytes)
      throw new ServiceError('overloaded', `${this.#queued} bytes wait to be read on this connection`)
  }

  /** Counts bytes that wait to be sent. */
  queued(bytes: number): void {
    this.#queued += bytes
  }

  /**
   * Asks the peer to make its calls elsewhere, and closes when those under way have ended. nghttp2
   * refuses what crosses this, which tells the caller that its call was not begun.
   */
  leave(): void {
    if (!this.#session.destroyed) this.#session.close()
  }

  /**
   * Asks for a sign of life now and then, and ends the connection where none comes: the peer is gone, or
   * broke the protocol so that nghttp2 has said goodbye and reads no more, which it tells nobody.
   */
  tick(now: number): void {
    const { pingIntervalMs, pingTimeoutMs } = this.owner.limits
    const silentMs = now - this.#aliveAt
    if (this.#session.destroyed) this.#farewell.begin()
    else if (this.#pinged) {
      if (silentMs >= pingIntervalMs + pingTimeoutMs) this.destroy()
    } else if (silentMs >= pingIntervalMs) {
      this.#pinged = true
      askForLife(this.#session, () => {
        this.#pinged = false
        this.alive()
      })
    }
  }

  /** The peer has sent or taken something. */
  alive(): void {
    this.#aliveAt = performance.now()
  }

  /** Fails what is under way, takes nothing more, and closes when that is told. */
  abort(error: ServiceError): void {
    this.#aborted = error
    for (const call of this.#calls) call.fail(error)
    this.leave()
  }

  /** Ends it now; the session follows the socket. */
  destroy(): void {
    this.#socket.destroy()
  }
}

export function stoppedError(): ServiceError {
  return new ServiceError('unavailable', 'the server stopped before the call had ended')
}
