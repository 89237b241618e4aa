import { isDeepStrictEqual } from 'node:util'
import type { RegistryEvent, WatchOptions } from '@micrograft/contracts'
import { NodeWatcher, type NodeRecord } from '@micrograft/plugin-kit'

/** Which changes are in what is known: all up to `revision` of `epoch`. */
export interface Revision {
  readonly epoch: string
  readonly revision: number
}

export interface Snapshot extends Revision {
  readonly records: readonly NodeRecord[]
}

interface Change extends Revision {
  readonly kind: string
  readonly name: string
  readonly id: string
  readonly json: string
}

/** More changes than this that come while all is read are better read again. */
const maxQueued = 100_000

/** What the server holds, kept in step by the changes that are published, and those who are told of them. */
export class NodeView {
  readonly #read: (json: string) => NodeRecord | undefined
  readonly #behind: () => void
  readonly #nodes = new Map<string, NodeRecord>()
  readonly #watchers = new Set<NodeWatcher>()
  #at: Revision | undefined
  #queued: Change[] | undefined
  #loading: Promise<void> | undefined

  /** @param behind Called when changes were missed: `load` is due. */
  constructor(read: (json: string) => NodeRecord | undefined, behind: () => void) {
    this.#read = read
    this.#behind = behind
  }

  get isWatched(): boolean {
    return this.#watchers.size > 0
  }

  /** Whether all changes up to `revision` are in. */
  has({ epoch, revision }: Revision): boolean {
    return this.#at?.epoch === epoch && this.#at.revision >= revision
  }

  /** Takes one message of the channel. */
  hear(message: string): void {
    const [epoch, revision, kind, name, id, json] = message.split('\n')
    if (epoch === undefined || revision === undefined || kind === undefined) return
    if (name === undefined || id === undefined || json === undefined) return
    const change = { epoch, revision: Number(revision), kind, name, id, json }
    if (this.#queued) {
      if (this.#queued.length < maxQueued) this.#queued.push(change)
    } else if (this.#at && !this.#apply(change)) this.#behind()
  }

  /** Reads all and tells what is different from before. Two at a time are one. */
  load(fetch: () => Promise<Snapshot>): Promise<void> {
    this.#loading ??= this.#load(fetch).finally(() => (this.#loading = undefined))
    return this.#loading
  }

  watch({ service, signal }: WatchOptions, onEnd: (watcher: NodeWatcher) => void): NodeWatcher {
    const watcher = new NodeWatcher(service, signal, (ended) => {
      this.#watchers.delete(ended)
      onEnd(ended)
    })
    this.#watchers.add(watcher)
    return watcher
  }

  /** Forgets all, without a word. */
  clear(): void {
    this.#nodes.clear()
    this.#at = undefined
  }

  async #load(fetch: () => Promise<Snapshot>): Promise<void> {
    this.#queued = []
    try {
      const { epoch, revision, records } = await fetch()
      const first = this.#at === undefined
      const there = new Map(records.map((record) => [keyOf(record.name, record.nodes[0].id), record]))
      for (const key of this.#nodes.keys()) if (!there.has(key)) this.#delete(key)
      for (const [key, record] of there) {
        if (first) this.#nodes.set(key, record)
        else this.#set(key, record)
      }
      this.#at = { epoch, revision }
    } finally {
      const queued = this.#queued
      this.#queued = undefined
      for (const change of queued) {
        if (this.#at && !this.#apply(change)) {
          // The rest is in what is read next.
          queueMicrotask(this.#behind)
          break
        }
      }
    }
  }

  /** Whether it followed on what is known; what is known already does. */
  #apply({ epoch, revision, kind, name, id, json }: Change): boolean {
    if (this.#at?.epoch !== epoch || revision > this.#at.revision + 1) return false
    if (revision <= this.#at.revision) return true
    this.#at = { epoch, revision }
    const record = kind === 'set' ? this.#read(json) : undefined
    if (record) this.#set(keyOf(name, id), record)
    else this.#delete(keyOf(name, id))
    return true
  }

  #set(key: string, record: NodeRecord): void {
    const before = this.#nodes.get(key)
    if (before && isDeepStrictEqual(before, record)) return
    this.#nodes.set(key, record)
    this.#tell({ type: before ? 'update' : 'create', service: record })
  }

  #delete(key: string): void {
    const service = this.#nodes.get(key)
    if (!this.#nodes.delete(key) || !service) return
    this.#tell({ type: 'delete', service })
  }

  #tell(event: RegistryEvent): void {
    for (const watcher of this.#watchers) watcher.tell(event)
  }
}

function keyOf(name: string, id: string): string {
  return `${name}\n${id}`
}
