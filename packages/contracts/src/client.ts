import type { Node } from './registry.js'
import type { CallOptions, Metadata } from './values.js'

/** One request, as it goes to one node. */
export interface ClientRequest {
  readonly service: string
  /** `Type.Method` */
  readonly endpoint: string
  readonly contentType: string
  /** It travels with the call. */
  readonly metadata: Metadata
  /** What is left of the deadline, in milliseconds; it travels with the call, and the server holds to it too. `undefined` has none. */
  readonly timeoutMs: number | undefined
}

/** A request with its one body. */
export interface UnaryRequest extends ClientRequest {
  readonly body: Uint8Array
}

export interface ClientReply {
  readonly metadata: Metadata
  readonly contentType: string
  /** The caller's. */
  readonly body: Uint8Array
}

/**
 * A stream's two directions, each with back-pressure: `send` waits while the peer does not read, and
 * the peer waits while nobody reads `messages`.
 */
export interface ClientStream extends AsyncDisposable {
  /** @throws the error that the stream ended with, `closed` after `end`. */
  send(body: Uint8Array, options?: CallOptions): Promise<void>
  /** Says that nothing more is sent; the other direction stays open. */
  end(): Promise<void>
  /** What the peer sends; ends when it has ended, throws what it failed with. Leaving the loop early cancels the stream. */
  readonly messages: AsyncIterable<Uint8Array>
  /** The peer's metadata, once the first of it is there. */
  readonly metadata: Promise<Metadata>
}

/**
 * Speaks one protocol to nodes. Choosing nodes, trying again, deadlines of a whole call and codecs
 * are not its work.
 *
 * It keeps connections to nodes as it sees fit and may have many calls on one. It rejects with the
 * error that the peer answered; with `timeout` when `timeoutMs` has passed, at the moment that it has; with
 * `unavailable` where the node is not reached or the connection is lost before the answer; with
 * `protocol` where the peer breaks the protocol; with `closed` once disposed. An abort rejects with
 * the signal's reason and reaches the handler. A client does not retry.
 */
export interface Client extends AsyncDisposable {
  readonly name: string
  /** What the metadata `protocol` of a node must be for this client to call it. */
  readonly protocol: string
  call(node: Node, request: UnaryRequest, options?: CallOptions): Promise<ClientReply>
  /** Resolves when the stream is open on this side; that the peer refuses it is told by `messages` and `send`. */
  stream(node: Node, request: ClientRequest, options?: CallOptions): Promise<ClientStream>
}
