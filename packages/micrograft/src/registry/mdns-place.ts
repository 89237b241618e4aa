import { isIP } from 'node:net'
import { ServiceError } from '@micrograft/contracts'
import type { MdnsPlace } from './mdns-sockets.js'

/** What a registry was told of its place; `addresses` counts before group and port. */
export interface GivenPlace {
  readonly group: string
  readonly port: number
  readonly interface: string | undefined
  readonly addresses: readonly string[] | undefined
}

/** @throws `invalid-option` for what is no group and port, or more than one. */
export function placeOf({ group, port, interface: by, addresses = [] }: GivenPlace): MdnsPlace {
  const [address, ...more] = addresses
  const [, givenGroup, givenPort] = /^\[?(.*?)\]?:(\d+)$/.exec(address ?? '') ?? []
  const place = {
    group: (address === undefined ? group : givenGroup) as string,
    port: address === undefined ? port : Number(givenPort),
    interface: by,
  }
  if (more.length > 0 || isIP(place.group) === 0 || !(place.port > 0 && place.port < 65_536)) {
    throw new ServiceError(
      'invalid-option',
      `the mdns registry takes one group and port, e.g. 224.0.0.251:5353, not ${[address ?? `${group}:${port}`, ...more].join(',')}`,
    )
  }
  return place
}
