import {
  requireLimits,
  resolveOptions,
  type ComponentContext,
  type Transport,
  type TransportLimits,
} from '@micrograft/contracts'
import { hostKind } from './host-kind.js'
import { transportLimits } from './limits.js'
import { messageFraming } from './message-framing.js'
import { refuseAddresses } from './no-addresses.js'
import { SocketTransport } from './socket-transport.js'
import { resolveTls, type TlsOptions } from './tls-options.js'

export interface TcpTransportOptions extends TransportLimits {
  /** Certificates; with it doors are open to TLS alone, and nothing is dialled without. @default no TLS */
  readonly tls?: TlsOptions | undefined
}

/**
 * Messages over TCP. Addresses are `host:port`. A door without a host is on 127.0.0.1; to be reached
 * from other machines, name the host, or `0.0.0.0` for all of this machine's.
 */
export function tcpTransport(
  options: TcpTransportOptions | undefined,
  _context: ComponentContext,
): Transport {
  refuseAddresses('tcp', options)
  const defaults = { ...transportLimits, tls: undefined }
  const what = 'the options of the tcp transport'
  const { tls, ...limits } = resolveOptions(what, defaults, options)
  requireLimits(what, limits)
  const kind = hostKind({
    name: 'tcp',
    framing: messageFraming(limits.maxMessageBytes),
    tls: resolveTls('the tcp transport', tls),
    canSecure: true,
  })
  return new SocketTransport(kind, limits)
}
