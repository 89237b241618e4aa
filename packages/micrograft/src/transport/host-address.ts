import { networkInterfaces } from 'node:os'
import { ServiceError } from '@micrograft/contracts'

export interface HostAddress {
  /** Empty where the address names none. */
  readonly host: string
  /** 0 where the address names none. */
  readonly port: number
}

/**
 * Takes `host:port`, `[::1]:port`, `host`, `:port` or nothing apart.
 * @throws `invalid-option`
 */
export function parseHostAddress(address: string): HostAddress {
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]/\s]*))(?::(\d{1,5}))?$/.exec(address)
  const port = Number(match?.[3] ?? 0)
  if (!match || port > 65_535) {
    throw new ServiceError(
      'invalid-option',
      `${JSON.stringify(address)} is no address; write host:port, e.g. 127.0.0.1:8080`,
    )
  }
  return { host: match[1] ?? match[2] ?? '', port }
}

export function formatHostAddress({ host, port }: HostAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/**
 * The host that a peer dials for a door on `host`: itself, or this machine's first private address,
 * else its first public one, where the door is on all of them.
 */
export function dialableHost(host: string): string {
  if (host !== '0.0.0.0' && host !== '::') return host
  const all = Object.values(networkInterfaces()).flatMap((entries) => entries ?? [])
  const outside = all
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map((entry) => entry.address)
  return outside.find(isPrivate) ?? outside[0] ?? '127.0.0.1'
}

function isPrivate(address: string): boolean {
  return /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/.test(address)
}
