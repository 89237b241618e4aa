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
import { placed, type Place } from './transport-keeper.js'

/** What a service starts its server with: doors that stay when the server is swapped. */
export interface HostContext extends Pick<ServerContext, 'dispatcher'> {
  readonly doors: ServerDoors
  /** Told where and how the server that took over is reached, before the old one goes. */
  moved?(address: ServerAddress): Promise<void>
}

export interface ServerDoors {
  /** The doors of `server`; one of the same protocol before it is relieved of those that are open. */
  of(server: Server): Pick<ServerContext, 'listen' | 'listenBytes'>
  /** Sends new connections to `server` again, which was relieved by another and has not left. */
  handBack(server: Server): void
  /** Where the door of `server` is by now: its transport may have been swapped since it started. */
  place(server: Server): Place | undefined
}

/** A server's way to the service's doors, for a slot: its `start` takes a `HostContext`. */
export function serverKeeper(slot: SlotView<Server>): Keeper<Server> {
  let host: HostContext | undefined
  /** The first server's start, while it is under way. */
  let starting: Promise<ServerAddress> | undefined
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
        host =
          'doors' in context
            ? context
            : { ...context, doors: { of: () => context, handBack: nothing, place: nothing } }
        try {
          const first = await slot.take()
          starting = start(first, host)
          return await starting
        } catch (error) {
          host = undefined
          throw error
        } finally {
          starting = undefined
        }
      },
      async stop(options?: StopOptions & CallOptions): Promise<void> {
        host = undefined
        await slot.current?.component.stop(options)
      },
    },
    async prepare(next) {
      // Where it fails there is nothing to take over.
      await starting?.catch(() => undefined)
      if (!host) return
      if (addresses.has(next)) host.doors.handBack(next.component)
      else await start(next, host)
    },
    async settled(next) {
      const address = addresses.get(next)
      if (address) await host?.moved?.(placed(address, host.doors.place(next.component)))
    },
    async release(old, deadlineMs) {
      if (!addresses.delete(old)) return
      await old.component.stop({ graceMs: deadlineMs })
    },
  }
}

const nothing = (): undefined => undefined

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
