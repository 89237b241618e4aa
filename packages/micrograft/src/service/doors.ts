import type {
  ByteStream,
  Connection,
  ConnectionHandler,
  Server,
  ServerContext,
  Transport,
} from '@micrograft/contracts'
import type { ServerDoors } from '../components/keepers/server-keeper.js'
import type { Place, PlacedListener } from '../components/keepers/transport-keeper.js'
import { Door } from './door.js'
import { listenBytes } from './listen-bytes.js'

/**
 * The doors of one service. Servers of one protocol have one door after another's; a server of another
 * protocol gets a door of its own, so that callers that know the old address are still answered there.
 * An address with a fixed port can be had only once: it is handed on whatever the protocol.
 */
export class Doors implements ServerDoors {
  readonly #transport: Transport
  readonly #address: string
  readonly #messages = new Map<string, Door<Connection, ConnectionHandler, PlacedListener>>()
  readonly #bytes = new Map<string, Door<ByteStream, void>>()

  constructor(transport: Transport, address: string) {
    this.#transport = transport
    this.#address = address
  }

  of(server: Server): Pick<ServerContext, 'listen' | 'listenBytes'> {
    const key = this.#key(server)
    return {
      listen: (accept) => this.#messageDoor(key).listen(server, accept),
      listenBytes: (accept) => this.#byteDoor(key).listen(server, accept),
    }
  }

  handBack(server: Server): void {
    const key = this.#key(server)
    this.#messages.get(key)?.handBack(server)
    this.#bytes.get(key)?.handBack(server)
  }

  place(server: Server): Place | undefined {
    const door = this.#messages.get(this.#key(server))
    return door?.has(server) ? door.listener?.place : undefined
  }

  #key({ protocol }: Server): string {
    const isFree = this.#address === '' || this.#address.endsWith(':0')
    return isFree ? protocol : ''
  }

  #messageDoor(key: string): Door<Connection, ConnectionHandler, PlacedListener> {
    let door = this.#messages.get(key)
    if (!door) {
      // It is the slot's reference: what it opens says where it is.
      door = new Door((accept) => this.#transport.listen(this.#address, accept) as Promise<PlacedListener>)
      this.#messages.set(key, door)
    }
    return door
  }

  #byteDoor(key: string): Door<ByteStream, void> {
    let door = this.#bytes.get(key)
    if (!door) {
      door = new Door((accept) => listenBytes(this.#address, accept))
      this.#bytes.set(key, door)
    }
    return door
  }
}
