import type { Connection, ConnectionHandler } from '@micrograft/contracts'

/**
 * What connections over sockets offer beside their contract, to handlers of this package: messages
 * without a header, and without an object and a view made for each of them.
 */
export interface PartsConnection extends Connection {
  /** As `send` of a message with an empty header whose body is the beginning of `head`, then `body`. Both are copied: they are the caller's again at once. */
  sendParts(head: Buffer, headLength: number, body: Uint8Array): boolean
  /** Lets what was put together leave now; by itself it does so at the end of the turn, or once it is large. */
  flush(): void
  /** How many bytes have come so far, also of a message that is not whole. */
  readonly bytesRead: number
}

export interface RangeHandler extends ConnectionHandler {
  /** As `message` with an empty header and these bytes as its body. */
  range(bytes: Buffer, start: number, end: number): void
}

export function takesParts(connection: Connection): connection is PartsConnection {
  return 'sendParts' in connection
}

export function takesRanges(handler: ConnectionHandler | undefined): handler is RangeHandler {
  return handler !== undefined && 'range' in handler
}
