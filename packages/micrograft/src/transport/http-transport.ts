import {
  requireLimits,
  resolveOptions,
  type ComponentContext,
  type Transport,
  type TransportLimits,
} from '@micrograft/contracts'
import { hostKind } from './host-kind.js'
import { httpFraming } from './http-framing.js'
import { transportLimits } from './limits.js'
import { refuseAddresses } from './no-addresses.js'
import { SocketTransport } from './socket-transport.js'
import { resolveTls, type TlsOptions } from './tls-options.js'

export interface HttpTransportOptions extends TransportLimits {
  /** Largest head of a request or response, first line included, in bytes. @default 1_048_576 (1 MiB) */
  readonly maxHeaderBytes?: number | undefined
  /** Longest time from the first byte of a message to its last, in milliseconds. @default 60_000 */
  readonly messageTimeoutMs?: number | undefined
  /** Certificates; with it doors are open to TLS alone, and nothing is dialled without. @default no TLS */
  readonly tls?: TlsOptions | undefined
}

const defaults = {
  ...transportLimits,
  maxHeaderBytes: 1_048_576,
  messageTimeoutMs: 60_000,
  tls: undefined,
}

/**
 * Messages as go-micro's http transport has them. Addresses are as those of `tcp`.
 *
 * Who dialled writes each message as `POST / HTTP/1.1`, who accepted as `HTTP/1.1 200 OK`. They go over
 * one connection, any number of either at any time: a response answers no request in particular, so
 * that both can stream. The body is the message's, with a Content-Length; chunked ones are read.
 *
 * - Header entries are fields: names canonical on the wire (`Micro-Service`) and lower case here,
 *   values in UTF-8. White space around a value is lost, and line ends and other control characters
 *   in it become spaces; a field that comes twice is one entry with a comma between. A name that
 *   cannot be one makes `send` throw `bad-request`; those that belong to the connection
 *   (Content-Length, Host, Connection, Transfer-Encoding, …) are neither sent nor handed over, but for
 *   `connection: close` in a response, which is sent and makes the client's side end the connection.
 * - A response of another status than 200 has it as the entry `:status`, e.g. `404 Not Found`, which no
 *   peer can send as a field. An accepted connection that is given a message with `:status` answers so.
 * - Headers of requests are not echoed in responses: go-micro's clients do not look at them.
 * - After `Connection: close`, and HTTP/1.0 without keep-alive, the connection ends when as many
 *   responses were sent as requests had come.
 * - What is no such request (GET, HTTP/2, a header or body above the limits, other bytes) is answered
 *   with the status that says why, and ends its connection.
 */
export function httpTransport(
  options: HttpTransportOptions | undefined,
  _context: ComponentContext,
): Transport {
  refuseAddresses('http', options)
  const what = 'the options of the http transport'
  const { tls, ...sizes } = resolveOptions(what, defaults, options)
  requireLimits(what, sizes)
  const { maxHeaderBytes, messageTimeoutMs, ...limits } = sizes
  const kind = hostKind({
    name: 'http',
    framing: httpFraming({ maxMessageBytes: limits.maxMessageBytes, maxHeaderBytes }, messageTimeoutMs),
    tls: resolveTls('the http transport', tls),
    canSecure: true,
    protocols: ['http/1.1'],
  })
  return new SocketTransport(kind, limits)
}
