import { createServer, type AddressInfo, type Server } from 'node:net'
import { ServiceError, type ByteStream, type Listener } from '@micrograft/contracts'
import { dialableHost, formatHostAddress, parseHostAddress } from '../transport/host-address.js'
import { listenError } from '../transport/socket-error.js'
import { letIn } from '../transport/sockets.js'

const keepAliveMs = 60_000
const maxConnections = 10_000

/**
 * Opens a TCP address for a server that brings its own framing. Without a host it is on 127.0.0.1.
 * @throws `conflict` where the address is taken, `invalid-option` where it is none.
 */
export async function listenBytes(address: string, accept: (stream: ByteStream) => void): Promise<Listener> {
  const { host, port } = parseHostAddress(address)
  const server = createServer({
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
  })
  server.maxConnections = maxConnections
  server.on('connection', accept)
  try {
    await opened(server, host || '127.0.0.1', port)
  } catch (error) {
    throw listenError(address, error)
  }
  const bound = server.address()
  if (bound === null || typeof bound === 'string')
    throw new ServiceError('unavailable', `the door at ${JSON.stringify(address)} is closed already`)
  return { address: dialable(bound, host), [Symbol.asyncDispose]: () => shut(server) }
}

/** What peers dial: a host name stays one, for it may lead elsewhere from there. */
function dialable({ address, port }: AddressInfo, host: string): string {
  const isAny = address === '0.0.0.0' || address === '::'
  return formatHostAddress({ host: isAny ? dialableHost(address) : host || address, port })
}

function opened(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject).once('listening', () => {
      server.off('error', reject)
      // Errors of accepting, e.g. too many open files, leave the door open.
      server.on('error', () => undefined)
      resolve()
    })
    server.listen({ host, port })
  })
}

/** What `close` waits for is the connections; the door itself is shut in this turn of the loop, once all are let in. */
async function shut(server: Server): Promise<void> {
  await letIn(server)
  server.close()
  await new Promise((resolve) => setImmediate(resolve))
}
