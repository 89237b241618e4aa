import type { ServiceError } from './errors.js'
import type { CallOptions } from './values.js'

/** What a transport carries. How it is framed is the transport's business. */
export interface Message {
  /** Names are lower case. Empty for protocols that put everything into the body. */
  readonly header: Readonly<Record<string, string>>
  /** Owned by whoever holds the message: neither side changes it after handing it over. */
  readonly body: Uint8Array
}

/** One end of a connection. */
export interface Connection {
  /** The peer, for logs, e.g. `127.0.0.1:4431`. */
  readonly remote: string
  /**
   * Queues a message behind those before it; messages arrive in order, each once and whole, or the
   * connection ends. Messages of one tick may go out together.
   *
   * @returns whether there is room for more. `false` means that more is queued than the peer takes:
   *   wait for `drained`. What is sent all the same is queued up to the transport's limit, at which
   *   the connection ends with `overloaded`.
   * @throws `too-large` for a message above the limit, and `closed` after the end; nothing is queued.
   */
  send(message: Message): boolean
  /** Resolves when there is room; rejects with the error that ended the connection. */
  drained(): Promise<void>
  /** Stops reading, so that the peer feels it; messages read already may still be handed over. */
  pause(): void
  resume(): void
  /** Sends what is queued, then ends the connection; what the peer sent until then is handed over. Safe to call twice. */
  close(): Promise<void>
  /** Ends the connection now; what is queued is lost. */
  destroy(error?: ServiceError): void
}

/** What a connection tells its owner. None of these may throw. */
export interface ConnectionHandler {
  message(message: Message): void
  /**
   * The transport is being replaced: take no new calls to this connection, tell the peer so where the
   * protocol can, and close it when those under way have ended. What is open when the swap's time
   * for that has passed is destroyed. The host calls it; a transport does not.
   */
  retire?(): void
  /** The last thing that is told, once: `undefined` after `close` by either side. */
  closed(error: ServiceError | undefined): void
}

/** An open door. Disposing it refuses new connections and leaves those there are. */
export interface Listener extends AsyncDisposable {
  /** What a peer dials, with the port that was chosen, e.g. `127.0.0.1:4431` or `unix:/run/user/1000/x.sock`. */
  readonly address: string
  /** Whether it is open to TLS alone: the node's metadata `secure` is `true` then. @default false */
  readonly secure?: boolean | undefined
}

export interface DialOptions extends CallOptions {
  /**
   * Dials with TLS, as the node's metadata `secure` asks for. A transport that was made for TLS dials no
   * other way, whatever a registry says. @default as the transport was made
   */
  readonly secure?: boolean | undefined
  /** Longest wait for a connection, in milliseconds. @default 5000 */
  readonly timeoutMs?: number | undefined
}

/** Sizes that a peer controls. */
export interface TransportLimits {
  /** Largest message, header and body together, in bytes. @default 4_194_304 (4 MiB) */
  readonly maxMessageBytes?: number | undefined
  /** Most bytes that wait to be sent on one connection. @default 16_777_216 (16 MiB) */
  readonly maxQueuedBytes?: number | undefined
  /** Most open connections of one listener; further ones are refused. @default 10_000 */
  readonly maxConnections?: number | undefined
}

/**
 * Carries messages between two processes: both ways, in order, with back-pressure, any number at a
 * time.
 *
 * Malformed input from a peer ends that one connection with `protocol` and costs no more than the
 * limits. Disposing ends every listener and connection that it made.
 */
export interface Transport extends AsyncDisposable {
  /** What a node's metadata names it by, e.g. `tcp`. */
  readonly name: string
  /**
   * Opens a door. Port 0, or an address without one, takes a free port.
   *
   * @param accept Called for each connection; gives what is told of it.
   * @throws `conflict` where the address is taken, `invalid-option` where it is none of this transport.
   */
  listen(
    address: string,
    accept: (connection: Connection) => ConnectionHandler,
    options?: CallOptions,
  ): Promise<Listener>
  /**
   * Connects to `address`.
   * @param handler Told nothing before this has resolved.
   * @throws `unavailable` where nobody listens, or the peer is not reached in time or cannot be
   *   believed; `unsupported` for `secure` where the transport has no TLS.
   */
  dial(address: string, handler: ConnectionHandler, options?: DialOptions): Promise<Connection>
}
