import type { AddressInfo } from 'node:net'
import {
  resolveOptions,
  ServiceError,
  type ComponentContext,
  type Transport,
  type TransportLimits,
} from '@micrograft/contracts'
import { dialableHost, formatHostAddress, parseHostAddress } from './host-address.js'
import { transportLimits } from './limits.js'
import { SocketTransport, type SocketKind } from './socket-transport.js'

/** Nothing besides the limits. */
export type TcpTransportOptions = TransportLimits

/**
 * Messages over TCP. Addresses are `host:port`. A door without a host is on 127.0.0.1; to be reached
 * from other machines, name the host, or `0.0.0.0` for all of this machine's.
 */
export function tcpTransport(
  options: TcpTransportOptions | undefined,
  _context: ComponentContext,
): Transport {
  return new SocketTransport(
    tcp,
    resolveOptions('the options of the tcp transport', transportLimits, options),
  )
}

const tcp: SocketKind = {
  name: 'tcp',
  door(address) {
    const { host, port } = parseHostAddress(address)
    return {
      listen: { host: host || '127.0.0.1', port },
      opened(server) {
        const bound = server.address() as AddressInfo
        // A host name stays what peers dial: it may lead elsewhere from there.
        const isAny = bound.address === '0.0.0.0' || bound.address === '::'
        return formatHostAddress({
          host: isAny ? dialableHost(bound.address) : host || bound.address,
          port: bound.port,
        })
      },
    }
  },
  free: () => false,
  target(address) {
    const { host, port } = parseHostAddress(address)
    if (port === 0)
      throw new ServiceError('invalid-option', `${JSON.stringify(address)} has no port to connect to`)
    return { host: host || '127.0.0.1', port }
  },
  remote: ({ remoteAddress = 'unknown', remotePort = 0 }) =>
    formatHostAddress({ host: remoteAddress, port: remotePort }),
}
