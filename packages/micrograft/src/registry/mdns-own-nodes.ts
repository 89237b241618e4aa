import { isDeepStrictEqual } from 'node:util'
import type { NodeRecord } from '@micrograft/plugin-kit'
import type { MdnsNode } from './mdns-records.js'

/** A node that this registry registered. */
export interface OwnNode {
  readonly mdns: MdnsNode
  /** What its records say, in seconds. */
  readonly ttlSeconds: number
}

export interface OwnNodeEvents {
  readonly announce: (node: OwnNode) => Promise<void>
  readonly goodbye: (node: OwnNode) => Promise<void>
  readonly changed: (node: OwnNode) => void
  readonly gone: (record: NodeRecord) => void
}

interface Held extends OwnNode {
  readonly timers: NodeJS.Timeout[]
}

/** Go-micro's, which knows no other. */
const longestTtlSeconds = 120
/** After the first announcement; a datagram may be lost. */
const announceAgainMs = [1000, 3000]
const longestDelay = 2 ** 31 - 1

/** The nodes that a registry answers for: announced when they come, said goodbye to when they go. */
export class MdnsOwnNodes {
  readonly #services = new Map<string, Map<string, Held>>()
  readonly #events: OwnNodeEvents

  constructor(events: OwnNodeEvents) {
    this.#events = events
  }

  find(service: string, id: string): OwnNode | undefined {
    return this.#services.get(service)?.get(id)
  }

  of(service: string): Iterable<OwnNode> {
    return this.#services.get(service)?.values() ?? []
  }

  services(): Iterable<string> {
    return this.#services.keys()
  }

  /** @throws what the first announcement fails with; then none of those that are new stays. */
  async add(nodes: readonly MdnsNode[], ttlMs: number): Promise<void> {
    const added: Held[] = []
    for (const mdns of nodes) {
      const node = this.#put(mdns, ttlMs)
      if (node) added.push(node)
    }
    try {
      await Promise.all(added.map((each) => this.#events.announce(each)))
    } catch (error) {
      for (const { mdns } of added) this.#drop(mdns.record)
      throw error
    }
  }

  async remove(records: readonly NodeRecord[]): Promise<void> {
    const dropped = records.flatMap((record) => {
      const held = this.find(record.name, record.nodes[0].id)
      return held && held.mdns.record.version === record.version ? [this.#drop(record)] : []
    })
    await Promise.all(dropped.map((each) => each && this.#events.goodbye(each).catch(() => undefined)))
  }

  async removeAll(): Promise<void> {
    await this.remove(
      [...this.#services.values()].flatMap((nodes) => [...nodes.values()].map(({ mdns }) => mdns.record)),
    )
  }

  /** Gives the node where it is new or another than before. */
  #put(mdns: MdnsNode, ttlMs: number): Held | undefined {
    const { name, nodes } = mdns.record
    const before = this.#services.get(name)?.get(nodes[0].id)
    const ttlSeconds = Math.min(longestTtlSeconds, Math.ceil(ttlMs / 1000))
    const held: Held = { mdns, ttlSeconds, timers: [] }
    for (const timer of before?.timers ?? []) clearTimeout(timer)
    const same = this.#services.get(name)
    if (same) same.set(nodes[0].id, held)
    else this.#services.set(name, new Map([[nodes[0].id, held]]))
    if (ttlMs !== Infinity) this.#later(held, ttlMs, () => this.remove([mdns.record]))
    if (before && isDeepStrictEqual(before.mdns.record, mdns.record)) return undefined
    for (const ms of announceAgainMs) this.#later(held, ms, () => this.#events.announce(held))
    this.#events.changed(held)
    return held
  }

  #drop({ name, nodes }: NodeRecord): OwnNode | undefined {
    const same = this.#services.get(name)
    const held = same?.get(nodes[0].id)
    if (!same || !held) return undefined
    for (const timer of held.timers) clearTimeout(timer)
    same.delete(nodes[0].id)
    if (same.size === 0) this.#services.delete(name)
    this.#events.gone(held.mdns.record)
    return held
  }

  #later(held: Held, ms: number, work: () => Promise<void>): void {
    const timer = setTimeout(() => void work().catch(() => undefined), Math.min(ms, longestDelay))
    held.timers.push(timer.unref())
  }
}
