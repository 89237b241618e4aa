import {
  ServiceError,
  type CallOptions,
  type Dispatcher,
  type Server,
  type ServerAddress,
  type ServerContext,
  type StopOptions,
} from '@micrograft/contracts'
import type { Generation } from '../generation.js'
import type { Keeper, SlotView } from '../keeper.js'

/** What a service starts its server with: doors that stay when the server is swapped. */
export interface HostContext extends Pick<ServerContext, 'dispatcher'> {
  readonly doors: ServerDoors
}

export interface ServerDoors {
  /** The doors of `server`; one of the same protocol before it is relieved of those that are open. */
  of(server: Server): Pick<ServerContext, 'listen' | 'listenBytes'>
  /** Sends new connections to `server` again, which was relieved by another and has not left. */
  handBack(server: Server): void
}

/** A server's way to the service's doors, for a slot: its `start` takes a `HostContext`. */
export function serverKeeper(
  slot: SlotView<Server>,
  onMoved: (address: ServerAddress, before: ServerAddress | undefined) => Promise<void> = () =>
    Promise.resolve(),
): Keeper<Server> {
  let host: HostContext | undefined
  const addresses = new Map<Generation<Server>, ServerAddress>()

  async function start(generation: Generation<Server>, context: HostContext): Promise<ServerAddress> {
    const { component } = generation
    const address = await component.start({
      dispatcher: counted(context.dispatcher, generation),
      ...context.doors.of(component),
    })
    addresses.set(generation, address)
    return address
  }

  return {
    methods: {
      async start(context: ServerContext | HostContext): Promise<ServerAddress> {
        if (host) throw new ServiceError('conflict', 'the server was started already')
        host = 'doors' in context ? context : { ...context, doors: { of: () => context, handBack: nothing } }
        try {
          return await start(await slot.take(), host)
        } catch (error) {
          host = undefined
          throw error
        }
      },
      async stop(options?: StopOptions & CallOptions): Promise<void> {
        host = undefined
        await slot.current?.component.stop(options)
      },
    },
    async prepare(next) {
      if (!host) return
      if (addresses.has(next)) host.doors.handBack(next.component)
      else await start(next, host)
    },
    async settled(next, old) {
      const address = addresses.get(next)
      if (address) await onMoved(address, addresses.get(old))
    },
    async release(old, deadlineMs) {
      if (!addresses.delete(old)) return
      await old.component.stop({ graceMs: deadlineMs })
    },
  }
}

const nothing = (): void => undefined

/** Hands requests on, and counts how they end while the server is watched. */
function counted(dispatcher: Dispatcher, generation: Generation<Server>): Dispatcher {
  return {
    kind: (endpoint) => dispatcher.kind(endpoint),
    unary(request, body) {
      const reply = dispatcher.unary(request, body)
      if (generation.tally) generation.watch(reply, generation.tally)
      return reply
    },
    stream(request, stream) {
      const ended = dispatcher.stream(request, stream)
      if (generation.tally) generation.watch(ended, generation.tally)
      return ended
    },
  }
}
