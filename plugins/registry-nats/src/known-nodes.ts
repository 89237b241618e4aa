import type { RegistryWatcher, WatchOptions } from '@micrograft/contracts'
import type { NodeRecord } from '@micrograft/plugin-kit'
import { Interests } from './interests.js'
import { NodeTable } from './node-table.js'
import { groups, OwnNodes } from './own-nodes.js'
import type { Peers } from './peers.js'
import type { Announcement, Claim } from './wire.js'

export interface KnownNodesSettings {
  readonly refreshMs: number
  readonly maxNodes: number
}

/** The nodes that this registry answers for, and those of others that its watchers know of. */
export class KnownNodes {
  readonly own: OwnNodes = new OwnNodes((record) => this.#expired(record))
  readonly #peers: Peers
  readonly #settings: KnownNodesSettings
  readonly #table = new NodeTable()
  readonly #interests: Interests

  constructor(peers: Peers, settings: KnownNodesSettings) {
    this.#peers = peers
    this.#settings = settings
    this.#interests = new Interests(settings.refreshMs, () => this.#lookAgain())
  }

  /** Takes a node over from whoever had it. */
  add(record: NodeRecord, claim: Claim): void {
    this.own.set(record, claim)
    this.#table.set(record, Infinity)
  }

  /** Takes back a node of this registry whose announcement failed. */
  drop(record: NodeRecord): void {
    this.own.delete(record)
    this.#table.delete(record)
  }

  /** Takes a node out, unless it has another version by now. */
  remove(record: NodeRecord): void {
    if (this.own.find(record)?.record.version === record.version) this.own.delete(record)
    this.#forget(record)
  }

  hear({ action, records, claim }: Announcement): void {
    for (const record of records) {
      const own = this.own.find(record)
      if (action === 'delete') this.#hearDelete(record, claim)
      else if (own && claim && isOlder(claim, own.claim)) this.#insist(record)
      else {
        // It is registered elsewhere since: that registry answers for it now.
        if (own) this.own.delete(record)
        this.#learn(record, claim)
      }
    }
  }

  /** Keeps what is heard of a service from now on, until it is released. */
  hold(service: string | undefined): () => void {
    return this.#interests.add(service, () =>
      this.#table.forget((record) => this.#interests.has(record.name) || this.own.find(record) !== undefined),
    )
  }

  /** Asks for what watchers are to know. */
  look(service: string | undefined, signal: AbortSignal | undefined): Promise<void> {
    return this.#peers.ask(service, signal, (record, claim) => {
      if (!this.own.find(record)) this.#learn(record, claim)
    })
  }

  /** @param release Called once, however the watcher ends. */
  watch(options: WatchOptions, release: () => void): RegistryWatcher {
    return this.#table.watch(options, release)
  }

  /** Nobody can be heard, so nothing expires. */
  pause(): void {
    this.#table.pause()
  }

  /** Says again what this registry answers for, and asks what else there is. */
  resume(): void {
    this.#table.resume()
    this.#peers.quietly(() => {
      for (const [claim, records] of groups(this.own.of())) this.#peers.repeat(records, claim)
    })
    this.#lookAgain()
  }

  /** Asks for nothing more. */
  rest(): void {
    this.#interests.end()
  }

  /** Ends every watcher with `error`. */
  end(error: unknown): void {
    this.#table.end(error)
  }

  #hearDelete(record: NodeRecord, claim: Claim | undefined): void {
    const own = this.own.find(record)
    if (own && own.record.version === record.version) {
      // A registry that is disposed speaks for itself alone; without a claim the node is to go, whoever has it.
      if (claim) return this.#insist(record)
      this.own.delete(record)
    }
    this.#forget(record)
  }

  /** Says once more what another got wrong. */
  #insist(record: NodeRecord): void {
    const own = this.own.find(record)
    if (own) this.#peers.repeat([own.record], own.claim)
  }

  #learn(record: NodeRecord, claim: Claim | undefined): void {
    const { maxNodes, refreshMs } = this.#settings
    const { name, nodes } = record
    // Nobody watches it; what was its own node before is not to be told any more.
    if (!this.#interests.has(name)) return this.#table.drop(record)
    if (this.#table.size >= maxNodes && !this.#table.find(name, nodes[0].id)) return
    this.#table.set(record, claim?.ttlMs ?? refreshMs * 2.5)
  }

  /** Nodes that still live answer, and so hold for longer. */
  #lookAgain(): void {
    if (!this.#peers.connected) return
    for (const service of this.#interests.services) this.look(service, undefined).catch(() => undefined)
  }

  #expired(record: NodeRecord): void {
    this.#forget(record)
    this.#peers.quietly(() => {
      void this.#peers.tell(this.#peers.announcements('delete', [record], undefined)).catch(() => undefined)
    })
  }

  #forget(record: NodeRecord): void {
    if (this.#table.find(record.name, record.nodes[0].id)?.version === record.version)
      this.#table.delete(record)
  }
}

function isOlder(a: Claim, b: Claim): boolean {
  return a.since < b.since || (a.since === b.since && a.owner < b.owner)
}
