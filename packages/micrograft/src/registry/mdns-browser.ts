import type { WatchOptions } from '@micrograft/contracts'
import type { NodeRecord, NodeWatcher } from '@micrograft/plugin-kit'
import type { MdnsEntry } from './mdns-records.js'
import { NodeTable } from './node-table.js'

/** A goodbye may be taken back by another who answers for the node (RFC 6762 §10.1). */
const rescueMs = 100
/** Longer than any node says that its records hold. */
const longestTtlSeconds = 3600
const askEveryMs = 250

/** What watchers of the network know: kept while there is one, and asked for again before it expires. */
export class MdnsBrowser {
  readonly table: NodeTable = new NodeTable()
  readonly #maxNodes: number
  readonly #isOwn: (record: NodeRecord) => boolean
  readonly #ask: (service: string) => void
  readonly #watchers = new Set<NodeWatcher>()
  /** When each service is asked for again, as `performance.now()` counts. */
  readonly #askAt = new Map<string, number>()
  #holders = 0
  #timer: NodeJS.Timeout | undefined

  constructor(maxNodes: number, isOwn: (record: NodeRecord) => boolean, ask: (service: string) => void) {
    this.#maxNodes = maxNodes
    this.#isOwn = isOwn
    this.#ask = ask
  }

  get held(): boolean {
    return this.#holders > 0
  }

  /** Keeps what is heard from now on, until it is released. */
  hold(): () => void {
    this.#holders++
    this.#timer ??= setInterval(() => this.#refresh(), askEveryMs).unref()
    let held = true
    return () => {
      if (!held) return
      held = false
      if (--this.#holders > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
      this.#askAt.clear()
      for (const { name, nodes } of this.table.list()) {
        for (const { id } of nodes) if (!this.table.find(name, id)?.owner) this.table.delete(name, id)
      }
    }
  }

  watch(options: WatchOptions, release: () => void): NodeWatcher {
    const watcher = this.table.watch(options, (ended) => {
      this.#watchers.delete(ended)
      release()
    })
    this.#watchers.add(watcher)
    return watcher
  }

  /** A node of this registry came or changed. */
  own(record: NodeRecord): void {
    this.table.set(record, { owner: this })
  }

  /** A node of this registry went; another registry may hold it still. */
  leave(record: NodeRecord): void {
    this.table.set(record, { expiresAt: performance.now() + rescueMs })
  }

  hear(entries: readonly MdnsEntry[]): void {
    const now = performance.now()
    for (const { record, ttl } of entries) {
      const { name, nodes } = record
      if (this.#holders === 0 || this.#isOwn(record)) continue
      const known = this.table.find(name, nodes[0].id)
      if (ttl === 0) {
        if (known) this.table.set(known.record, { expiresAt: Math.min(known.expiresAt, now + rescueMs) })
      } else if (known || this.table.size < this.#maxNodes) {
        const ttlMs = Math.min(ttl, longestTtlSeconds) * 1000
        this.table.set(record, { expiresAt: now + ttlMs })
        this.#askAt.set(name, Math.min(this.#askAt.get(name) ?? Infinity, now + ttlMs / 2))
      }
    }
  }

  end(error: unknown): void {
    for (const watcher of this.#watchers) watcher.end(error)
  }

  /** Nodes that still live answer, and so hold for longer. */
  #refresh(): void {
    const now = performance.now()
    for (const [service, at] of this.#askAt) {
      if (at > now) continue
      const left = this.table.soonest(service) - now
      if (left === Infinity) this.#askAt.delete(service)
      else this.#askAt.set(service, now + Math.max(askEveryMs, left / 2))
      if (left !== Infinity) this.#ask(service)
    }
  }
}
