import { ServiceError } from '@micrograft/contracts'

/**
 * Refuses what `--transport_address` gives. In go-micro it is where the server of a transport is that
 * has one between the nodes, such as NATS; `http` ignores it there, and a service that was meant to
 * listen on that address listens elsewhere in silence.
 */
export function refuseAddresses(name: string, options: object | undefined): void {
  if (options === undefined || !('addresses' in options) || options.addresses === undefined) return
  throw new ServiceError(
    'invalid-option',
    `the ${name} transport has no server between nodes that --transport_address could name; to say where the service listens use --server_address`,
  )
}
