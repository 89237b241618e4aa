import {
  ServiceError,
  type CallOptions,
  type Connection,
  type ConnectionHandler,
  type DialOptions,
  type Listener,
  type ServerAddress,
  type Transport,
} from '@micrograft/contracts'
import { takesRanges, type RangeHandler } from '../../transport/bare-messages.js'
import type { Generation } from '../generation.js'
import type { Keeper, SlotView } from '../keeper.js'

type Accept = (connection: Connection) => ConnectionHandler

interface Door {
  readonly address: string
  readonly accept: Accept
  readonly open: Map<Generation<Transport>, Listener>
  /** What peers dial at the moment, and how. */
  place: Place
  /** Nobody wants it any more. */
  shut: boolean
}

/** Where a door is. */
export interface Place {
  readonly address: string
  /** Name of the transport. */
  readonly transport: string
  /** Whether it is open to TLS alone. */
  readonly secure: boolean
}

/** A door of the service's transport: its place is that of the moment. */
export interface PlacedListener extends Listener {
  readonly place: Place
}

/** A door has moved to another transport. */
export interface MovedDoor {
  /** The address before. */
  readonly from: string
  readonly to: Place
}

/**
 * Doors are opened on the new transport before those of the old one are shut. A connection stays on
 * the transport where it was made; its owner is asked to move, and has until the drain deadline.
 */
export function transportKeeper(
  slot: SlotView<Transport>,
  onMoved: (door: MovedDoor) => Promise<void> = () => Promise.resolve(),
): Keeper<Transport> {
  const doors = new Set<Door>()
  const connections = new Map<Generation<Transport>, Set<Tracked>>()

  const track = (generation: Generation<Transport>, handler: ConnectionHandler): Tracked => {
    let own = connections.get(generation)
    if (!own) connections.set(generation, (own = new Set()))
    const all = own
    generation.enter()
    const tracked = takesRanges(handler)
      ? new TrackedRanges(handler, () => ended())
      : new Tracked(handler, () => ended())
    const ended = () => {
      if (!all.delete(tracked)) return
      if (all.size === 0) connections.delete(generation)
      generation.leave()
    }
    all.add(tracked)
    return tracked
  }

  async function openOn(door: Door, generation: Generation<Transport>, options?: CallOptions): Promise<void> {
    const accept: Accept = (connection) => track(generation, door.accept(connection))
    generation.enter()
    try {
      const listener = await generation.component.listen(door.address, accept, options)
      if (door.shut) await listener[Symbol.asyncDispose]()
      else door.open.set(generation, listener)
    } finally {
      generation.leave()
    }
  }

  function placeOn(generation: Generation<Transport>, door: Door): Place {
    const { address, secure = false } = door.open.get(generation) as Listener
    return { address, transport: generation.component.name, secure }
  }

  /** Where an address can be had only once, the old door is shut first; that is the only moment in which a peer may be refused. */
  async function takeOver(door: Door, next: Generation<Transport>): Promise<void> {
    try {
      await openOn(door, next)
    } catch (error) {
      const [old, listener] = [...door.open].at(-1) ?? []
      if (!(error instanceof ServiceError && error.code === 'conflict') || !old || !listener) throw error
      await listener[Symbol.asyncDispose]()
      door.open.delete(old)
      try {
        await openOn(door, next)
      } catch (failure) {
        await openOn(door, old)
        throw failure
      }
    }
  }

  async function shut(generation: Generation<Transport>): Promise<void> {
    for (const door of doors) {
      const listener = door.open.get(generation)
      door.open.delete(generation)
      await listener?.[Symbol.asyncDispose]()
    }
  }

  return {
    methods: {
      async listen(address: string, accept: Accept, options?: CallOptions): Promise<PlacedListener> {
        const open = new Map<Generation<Transport>, Listener>()
        const door: Door = {
          address,
          accept,
          open,
          place: { address, transport: '', secure: false },
          shut: false,
        }
        // A swap may go by while the door is opened, and knows of it only from here on.
        for (let current = await slot.take(); !open.has(current); current = await slot.take()) {
          await openOn(door, current, options)
          door.place = placeOn(current, door)
        }
        doors.add(door)
        return {
          get address() {
            return door.place.address
          },
          get secure() {
            return door.place.secure
          },
          get place() {
            return door.place
          },
          async [Symbol.asyncDispose]() {
            door.shut = true
            doors.delete(door)
            for (const listener of door.open.values()) await listener[Symbol.asyncDispose]()
          },
        }
      },
      async dial(address: string, handler: ConnectionHandler, options?: DialOptions): Promise<Connection> {
        const current = await slot.take()
        const tracked = track(current, handler)
        try {
          const dialling = current.component.dial(address, tracked, options)
          if (current.tally) current.watch(dialling, current.tally)
          return await dialling
        } catch (error) {
          tracked.forget()
          throw error
        }
      },
    },
    async prepare(next) {
      try {
        for (const door of doors) if (!door.open.has(next)) await takeOver(door, next)
      } catch (error) {
        await shut(next)
        const current = slot.current
        if (current) for (const door of doors) if (door.open.size === 0) await openOn(door, current)
        throw error
      }
    },
    async settled(next) {
      for (const door of doors) {
        // It was opened when the others had been.
        if (!door.open.has(next)) await openOn(door, next)
        const from = door.place.address
        door.place = placeOn(next, door)
        await onMoved({ from, to: door.place })
      }
    },
    async release(old) {
      await shut(old)
      for (const each of connections.get(old) ?? []) each.retire()
    },
  }
}

/** `address` at `place`, where there is one. */
export function placed({ address, metadata }: ServerAddress, place: Place | undefined): ServerAddress {
  if (!place) return { address, metadata }
  const { secure: _, ...rest } = metadata
  const { transport, secure } = place
  return {
    address: place.address,
    metadata: { ...rest, transport, ...(secure ? { secure: 'true' } : {}) },
  }
}

/** Knows when a connection has ended. */
class Tracked implements ConnectionHandler {
  readonly #handler: ConnectionHandler
  readonly #ended: () => void

  constructor(handler: ConnectionHandler, ended: () => void) {
    this.#handler = handler
    this.#ended = ended
  }

  message(message: Parameters<ConnectionHandler['message']>[0]): void {
    this.#handler.message(message)
  }

  retire(): void {
    this.#handler.retire?.()
  }

  closed(error: ServiceError | undefined): void {
    this.#ended()
    this.#handler.closed(error)
  }

  /** There never was a connection. */
  forget(): void {
    this.#ended()
  }
}

class TrackedRanges extends Tracked implements RangeHandler {
  readonly #ranges: RangeHandler

  constructor(handler: RangeHandler, ended: () => void) {
    super(handler, ended)
    this.#ranges = handler
  }

  range(bytes: Buffer, start: number, end: number): void {
    this.#ranges.range(bytes, start, end)
  }
}
