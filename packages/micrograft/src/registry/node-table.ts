import { isDeepStrictEqual } from 'node:util'
import type { RegistryEvent, ServiceRecord, WatchOptions } from '@micrograft/contracts'
import { compare, mergeRecords, NodeWatcher, type NodeRecord } from '@micrograft/plugin-kit'

export interface HeldOptions {
  /** When it goes by itself, as `performance.now()` counts. @default never */
  readonly expiresAt?: number | undefined
  /** Who put it there. @default nobody */
  readonly owner?: object | undefined
}

interface Held {
  readonly record: NodeRecord
  readonly expiresAt: number
  readonly owner: object | undefined
}

/** Longest delay of a Node timer. */
const longestDelay = 2 ** 31 - 1

/** The nodes that a registry knows, and those who are told how they change. */
export class NodeTable {
  readonly #services = new Map<string, Map<string, Held>>()
  readonly #merged = new Map<string, readonly ServiceRecord[]>()
  readonly #watchers = new Set<NodeWatcher>()
  #timer: NodeJS.Timeout | undefined
  #timerAt = Infinity
  #size = 0

  get size(): number {
    return this.#size
  }

  get watched(): boolean {
    return this.#watchers.size > 0
  }

  /** Adds a node, or replaces the one of its id; a node that is as it was is not told. */
  set(record: NodeRecord, { expiresAt = Infinity, owner }: HeldOptions = {}): void {
    const { name } = record
    let nodes = this.#services.get(name)
    if (!nodes) this.#services.set(name, (nodes = new Map()))
    const { id } = record.nodes[0]
    const before = nodes.get(id)
    if (before && isDeepStrictEqual(before.record, record)) {
      nodes.set(id, { record: before.record, expiresAt, owner })
    } else {
      nodes.set(id, { record, expiresAt, owner })
      this.#merged.delete(name)
      if (!before) this.#size++
      this.#tell({ type: before ? 'update' : 'create', service: record })
    }
    this.#expireAt(expiresAt)
  }

  delete(name: string, id: string): void {
    const nodes = this.#services.get(name)
    const held = nodes?.get(id)
    if (!nodes || !held) return
    nodes.delete(id)
    if (nodes.size === 0) this.#services.delete(name)
    this.#merged.delete(name)
    this.#size--
    this.#tell({ type: 'delete', service: held.record })
  }

  find(name: string, id: string): Held | undefined {
    const held = this.#services.get(name)?.get(id)
    return held && held.expiresAt > performance.now() ? held : undefined
  }

  get(name: string): readonly ServiceRecord[] {
    this.#expire()
    const nodes = this.#services.get(name)
    if (!nodes) return []
    let merged = this.#merged.get(name)
    if (!merged)
      this.#merged.set(name, (merged = mergeRecords([...nodes.values()].map(({ record }) => record))))
    return merged
  }

  list(): readonly ServiceRecord[] {
    this.#expire()
    return [...this.#services.keys()].sort(compare).flatMap((name) => this.get(name))
  }

  /** When the first of a service's nodes goes by itself, as `performance.now()` counts; `Infinity` where none does. */
  soonest(name: string): number {
    let soonest = Infinity
    for (const { expiresAt } of this.#services.get(name)?.values() ?? [])
      soonest = Math.min(soonest, expiresAt)
    return soonest
  }

  /** Takes out all that `owner` put there last. */
  disown(owner: object): void {
    for (const [name, nodes] of this.#services) {
      for (const [id, held] of nodes) if (held.owner === owner) this.delete(name, id)
    }
  }

  /** @param onEnd Called once, however the watcher ends. */
  watch({ service, signal }: WatchOptions, onEnd: (watcher: NodeWatcher) => void): NodeWatcher {
    const watcher = new NodeWatcher(service, signal, (ended) => {
      this.#watchers.delete(ended)
      onEnd(ended)
    })
    this.#watchers.add(watcher)
    return watcher
  }

  /** Forgets every node without a word, and stops its timer. */
  clear(): void {
    this.#services.clear()
    this.#merged.clear()
    this.#size = 0
    clearTimeout(this.#timer)
    this.#timerAt = Infinity
  }

  #tell(event: RegistryEvent): void {
    for (const watcher of this.#watchers) watcher.tell(event)
  }

  /** A timer may be late; what has expired is not given even so. */
  #expire(): void {
    if (performance.now() < this.#timerAt) return
    const now = performance.now()
    let next = Infinity
    for (const [name, nodes] of this.#services) {
      for (const [id, { expiresAt }] of nodes) {
        if (expiresAt <= now) this.delete(name, id)
        else if (expiresAt < next) next = expiresAt
      }
    }
    clearTimeout(this.#timer)
    this.#timerAt = Infinity
    this.#expireAt(next)
  }

  #expireAt(at: number): void {
    if (at >= this.#timerAt) return
    clearTimeout(this.#timer)
    this.#timerAt = at
    const delay = Math.min(longestDelay, Math.max(1, Math.ceil(at - performance.now())))
    this.#timer = setTimeout(() => {
      if (performance.now() >= this.#timerAt) return this.#expire()
      this.#timerAt = Infinity
      this.#expireAt(at)
    }, delay).unref()
  }
}
