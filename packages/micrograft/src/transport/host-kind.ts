import type { AddressInfo } from 'node:net'
import { ServiceError } from '@micrograft/contracts'
import { dialableHost, formatHostAddress, parseHostAddress } from './host-address.js'
import type { SocketKind } from './socket-transport.js'

type Rest = Pick<SocketKind, 'name' | 'framing' | 'tls' | 'canSecure' | 'protocols'>

/** Sockets whose addresses are `host:port`. A door without a host is on 127.0.0.1. */
export function hostKind(rest: Rest): SocketKind {
  return {
    ...rest,
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
}
