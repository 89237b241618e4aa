import type { Node, SelectOptions } from '@micrograft/contracts'
import type { Candidate, Member } from './node-member.js'

export type Strategy = 'random' | 'round-robin' | 'least-loaded'

export type Filter = Pick<SelectOptions, 'version' | 'labels' | 'endpoint'>

/** Tries before looking through the nodes one after the other. */
const maxPicks = 4

export function matches({ node, version, endpoints }: Candidate, filter: Filter): boolean {
  if (filter.version !== undefined && filter.version !== version) return false
  if (
    filter.endpoint !== undefined &&
    endpoints.length > 0 &&
    !endpoints.some(({ name }) => name === filter.endpoint)
  )
    return false
  for (const [name, value] of Object.entries(filter.labels ?? {}))
    if (node.metadata[name] !== value) return false
  return true
}

/** The nodes that one filter leaves: those in use, and all of them. Rebuilt when they change, never for a call. */
export class SelectionView {
  readonly filter: Filter
  readonly #strategy: Strategy
  readonly #random: () => number
  /** Sorted by id. */
  #members: readonly Member[] = []
  #inUse: readonly Member[] = []
  /** Those in use: a choice that needs no more reads one element, and no member far away in memory. */
  #nodes: readonly Node[] = []
  #state = -1
  /** Position of the next turn. */
  #turn = -1

  constructor(filter: Filter, strategy: Strategy, random: () => number) {
    this.filter = filter
    this.#strategy = strategy
    this.#random = random
  }

  /**
   * @param members All of the selection, sorted by id.
   * @param state Of them: another number says that they changed.
   */
  refresh(members: readonly Member[], state: number): void {
    if (state === this.#state) return
    this.#state = state
    const { version, labels, endpoint } = this.filter
    const unfiltered = version === undefined && labels === undefined && endpoint === undefined
    this.#members = unfiltered ? members : members.filter(({ candidate }) => matches(candidate, this.filter))
    const inUse = this.#members.filter(({ asideUntil }) => asideUntil === undefined)
    const last = this.#nodes[this.#turn - 1]
    this.#inUse = inUse.length > 0 ? inUse : this.#members
    this.#nodes = this.#inUse.map(({ candidate }) => candidate.node)
    // Positions change, ids do not.
    if (last) this.#turn = this.#after(last.id)
  }

  /**
   * @param isAvoided Nodes that are taken only where there is no other. Those put aside are others.
   * @returns `undefined` where there is none at all
   */
  pick(isAvoided: ((node: Node) => boolean) | undefined): Node | undefined {
    if (this.#nodes.length === 0) return undefined
    if (!isAvoided) return this.#take(this.#choose())
    for (let tries = maxPicks; tries > 0; tries--) {
      const index = this.#choose()
      if (!isAvoided(this.#nodes[index] as Node)) return this.#take(index)
    }
    const other = this.#search(this.#inUse, isAvoided) ?? this.#search(this.#members, isAvoided)
    if (!other) return this.#take(this.#choose())
    other.inFlight++
    return other.candidate.node
  }

  /** A position among those in use. */
  #choose(): number {
    const size = this.#nodes.length
    if (this.#strategy === 'round-robin') return this.#nextTurn(size)
    const index = Math.floor(this.#random() * size)
    if (this.#strategy === 'random') return index
    // The better of two: nearly as even as the best of all, without looking at all (Mitzenmacher 2001).
    const other = (index + 1 + Math.floor(this.#random() * (size - 1))) % size
    return (this.#inUse[other] as Member).inFlight < (this.#inUse[index] as Member).inFlight ? other : index
  }

  #nextTurn(size: number): number {
    // Callers that start together do not begin with the same node.
    if (this.#turn < 0) this.#turn = Math.floor(this.#random() * size)
    if (this.#turn >= size) this.#turn = 0
    return this.#turn++
  }

  #take(index: number): Node {
    if (this.#strategy === 'least-loaded') (this.#inUse[index] as Member).inFlight++
    return this.#nodes[index] as Node
  }

  #search(members: readonly Member[], isAvoided: (node: Node) => boolean): Member | undefined {
    const start = Math.floor(this.#random() * members.length)
    for (let i = 0; i < members.length; i++) {
      const member = members[(start + i) % members.length] as Member
      if (!isAvoided(member.candidate.node)) return member
    }
    return undefined
  }

  /** Where the first id after `last` is. */
  #after(last: string): number {
    let [from, to] = [0, this.#nodes.length]
    while (from < to) {
      const middle = (from + to) >> 1
      if ((this.#nodes[middle] as Node).id > last) to = middle
      else from = middle + 1
    }
    return from
  }
}
