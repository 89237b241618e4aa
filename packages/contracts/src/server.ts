import type { Connection, ConnectionHandler, Listener } from './transport.js'
import type { CallOptions, Metadata } from './values.js'

/** A request as it came in. */
export interface ServerRequest {
  readonly service: string
  /** `Type.Method` */
  readonly endpoint: string
  readonly contentType: string
  readonly metadata: Metadata
  /** The peer, for logs. */
  readonly remote: string
  /** Aborts with `canceled` when the caller gave up or is gone, with `timeout` when the caller's deadline has passed. */
  readonly signal: AbortSignal
  /** When the caller's deadline passes, in milliseconds since 1970; `undefined` has none. */
  readonly deadline: number | undefined
}

export interface ServerReply {
  readonly metadata: Metadata
  readonly contentType: string
  readonly body: Uint8Array
}

/** The server's end of a stream; as `ClientStream`, seen from the other side. */
export interface ServerStream {
  /** @throws what the stream ended with. */
  send(body: Uint8Array): Promise<void>
  readonly messages: AsyncIterable<Uint8Array>
}

/** What a server hands requests to: the service's handlers, behind its middleware. */
export interface Dispatcher {
  /** Whether an endpoint streams; `undefined` where there is no such endpoint. */
  kind(endpoint: string): 'unary' | 'stream' | undefined
  /** Rejects with a `ServiceError` always: whatever a handler throws was made one. */
  unary(request: ServerRequest, body: Uint8Array): Promise<ServerReply>
  /** Resolves when the handler has ended, with the metadata that goes last; rejects as `unary` does. */
  stream(request: ServerRequest, stream: ServerStream): Promise<Metadata>
}

/**
 * Bytes both ways, as the platform has them: on Node a `net.Socket`, or another `Duplex` of
 * `node:stream`, which is what an implementation casts it to.
 */
export interface ByteStream {
  destroy(error?: Error): unknown
}

export interface ServerContext {
  readonly dispatcher: Dispatcher
  /**
   * Opens the service's door on its transport. The door is the host's: where another server of the
   * service had it before, new connections come here from now on, and none is refused in between.
   */
  listen(accept: (connection: Connection) => ConnectionHandler): Promise<Listener>
  /**
   * Opens a door for a protocol that brings its own framing, such as HTTP/2, and so goes over TCP
   * and not over the service's transport. It is the host's as well, and handed over likewise. What
   * `accept` gets is the server's: it ends it, and hears its errors.
   */
  listenBytes(accept: (stream: ByteStream) => void): Promise<Listener>
}

/** What a node says of itself so that clients can call it. */
export interface ServerAddress {
  readonly address: string
  /** `protocol` and `transport` at least. */
  readonly metadata: Readonly<Record<string, string>>
}

export interface StopOptions extends CallOptions {
  /** How long calls that are under way may take to end, in milliseconds; then they are aborted. @default 10_000 */
  readonly graceMs?: number | undefined
}

/**
 * Serves one protocol.
 *
 * Every request is answered once, with a reply or an error, while its connection lasts; a handler
 * that throws is an error at the caller at once. A peer that breaks the protocol is told so where
 * that is possible and costs one connection.
 */
export interface Server extends AsyncDisposable {
  readonly name: string
  readonly protocol: string
  /** @throws `conflict` where the address is taken, `closed`. */
  start(context: ServerContext): Promise<ServerAddress>
  /** Takes no new calls, tells peers so where the protocol can, and resolves when those under way have ended. */
  stop(options?: StopOptions): Promise<void>
}
