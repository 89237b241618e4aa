import { isDeepStrictEqual } from 'node:util'
import type { RegistryEvent, WatchOptions } from '@micrograft/contracts'
import { NodeWatcher, type NodeRecord } from '@micrograft/plugin-kit'

interface Known {
  readonly record: NodeRecord
  readonly ttlMs: number
  expiresAt: number
}

/** How often it is looked for what has expired, in milliseconds. */
const sweepMs = 100

/** The nodes that watchers know of; what changes is told to them. */
export class NodeTable {
  readonly #nodes = new Map<string, Known>()
  readonly #watchers = new Set<NodeWatcher>()
  readonly #sweep: NodeJS.Timeout
  #paused = false

  constructor() {
    // What came while this process stood still has been read by then: a renewal may be among it.
    this.#sweep = setInterval(() => setImmediate(() => this.#expire()), sweepMs).unref()
  }

  get size(): number {
    return this.#nodes.size
  }

  find(name: string, id: string): NodeRecord | undefined {
    return this.#nodes.get(key(name, id))?.record
  }

  /** Adds a node, or replaces the one of its id; a node that is as it was is not told. */
  set(record: NodeRecord, ttlMs: number): void {
    const { name, nodes } = record
    const at = key(name, nodes[0].id)
    const before = this.#nodes.get(at)
    const same = before !== undefined && isDeepStrictEqual(before.record, record)
    this.#nodes.set(at, {
      record: same ? before.record : record,
      ttlMs,
      expiresAt: performance.now() + ttlMs,
    })
    if (!same) this.#tell({ type: before ? 'update' : 'create', service: record })
  }

  delete({ name, nodes }: NodeRecord): void {
    const at = key(name, nodes[0].id)
    const known = this.#nodes.get(at)
    if (known && this.#nodes.delete(at)) this.#tell({ type: 'delete', service: known.record })
  }

  /** Forgets one without a word. */
  drop({ name, nodes }: NodeRecord): void {
    this.#nodes.delete(key(name, nodes[0].id))
  }

  /** Forgets without a word all but what `keep` holds. */
  forget(keep: (record: NodeRecord) => boolean): void {
    for (const [at, { record }] of this.#nodes) if (!keep(record)) this.#nodes.delete(at)
  }

  /** Nothing expires while nobody can be heard. */
  pause(): void {
    this.#paused = true
  }

  /** All that there is has its whole time once more. */
  resume(): void {
    const now = performance.now()
    for (const known of this.#nodes.values()) known.expiresAt = now + known.ttlMs
    this.#paused = false
  }

  /** @param onEnd Called once, however the watcher ends. */
  watch({ service, signal }: WatchOptions, onEnd: () => void): NodeWatcher {
    const watcher = new NodeWatcher(service, signal, (ended) => {
      this.#watchers.delete(ended)
      onEnd()
    })
    this.#watchers.add(watcher)
    return watcher
  }

  /** Ends every watcher with `error`, and forgets all nodes. */
  end(error: unknown): void {
    clearInterval(this.#sweep)
    for (const watcher of this.#watchers) watcher.end(error)
    this.#nodes.clear()
  }

  #expire(): void {
    if (this.#paused) return
    const now = performance.now()
    for (const { record, expiresAt } of this.#nodes.values()) if (expiresAt <= now) this.delete(record)
  }

  #tell(event: RegistryEvent): void {
    for (const watcher of this.#watchers) watcher.tell(event)
  }
}

function key(name: string, id: string): string {
  return `${name}\0${id}`
}
