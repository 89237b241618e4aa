import type { MemoryConnection } from './memory-connection.js'

/** An open door of a memory transport. */
export interface MemoryDoor {
  /** Gives the other end; `undefined` refuses. */
  accept(dialled: MemoryConnection): MemoryConnection | undefined
}

/** Where memory transports of one process find each other. */
export interface MemoryHub {
  readonly doors: Map<string, MemoryDoor>
  /** The port for the next door whose address names none. */
  nextPort: number
}

/** A hub apart from all others. */
export function memoryHub(): MemoryHub {
  return { doors: new Map(), nextPort: 1 }
}

const key = Symbol.for('micrograft.memory-hub')

/**
 * The hub of those that name none. It hangs on the process and not on this module, of which a plugin
 * may carry a copy: two services must find each other all the same.
 */
export function defaultHub(): MemoryHub {
  const place = globalThis as { [key]?: MemoryHub }
  return (place[key] ??= memoryHub())
}
