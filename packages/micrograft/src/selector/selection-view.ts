import type { SelectOptions } from '@micrograft/contracts'
import type { Candidate, Member } from './node-member.js'

export type Strategy = 'random' | 'round-robin' | 'least-loaded'

export type Filter = Pick<SelectOptions, 'version' | 'labels' | 'endpoint'>

/** Tries before looking through the nodes one after the other. */
const maxPicks = 4

export function matches({ node, version, endpoints }: Candidate, filter: Filter): boolean {
  if (filter.version !== undefined && filter.version !== version) return false
  if (filter.endpoint !== undefined && endpoints.length > 0 && !endpoints.some(({ name }) => name === filter.endpoint)) return false
  for (const [name, value] of Object.entries(filter.labels ?? {})) if (node.metadata[name] !== value) return false
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
  #state = -1
  /** Position of the next turn, and the id that had the last one: positions change, ids do not. */
  #turn = -1
  #last = ''

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
    this.#inUse = inUse.length > 0 ? inUse : this.#members
    if (this.#turn >= 0) this.#turn = this.#after(this.#last)
  }

  /**
   * @param isAvoided Nodes that are taken only where there is no other. Those put aside are others.
   * @returns `undefined` where there is none at all
   */
  pick(isAvoided: ((member: Member) => boolean) | undefined): Member | undefined {
    const size = this.#inUse.length
    if (size === 0) return undefined
    for (let tries = isAvoided ? maxPicks : 1; tries > 0; tries--) {
      const found = this.#choose(size)
      if (!isAvoided?.(found)) return found
    }
    return this.#search(this.#inUse, isAvoided) ?? this.#search(this.#members, isAvoided) ?? this.#choose(size)
  }

  #choose(size: number): Member {
    if (this.#strategy === 'round-robin') return this.#nextTurn(size)
    const index = Math.floor(this.#random() * size)
    const first = this.#inUse[index] as Member
    if (this.#strategy === 'random') return first
    // The better of two: nearly as even as the best of all, without looking at all (Mitzenmacher 2001).
    const second = this.#inUse[(index + 1 + Math.floor(this.#random() * (size - 1))) % size] as Member
    return second.inFlight < first.inFlight ? second : first
  }

  #nextTurn(size: number): Member {
    // Callers that start together do not begin with the same node.
    if (this.#turn < 0) this.#turn = Math.floor(this.#random() * size)
    if (this.#turn >= size) this.#turn = 0
    const member = this.#inUse[this.#turn++] as Member
    this.#last = member.candidate.node.id
    return member
  }

  #search(members: readonly Member[], isAvoided: ((member: Member) => boolean) | undefined): Member | undefined {
    const start = Math.floor(this.#random() * members.length)
    for (let i = 0; i < members.length; i++) {
      const member = members[(start + i) % members.length] as Member
      if (!isAvoided?.(member)) return member
    }
    return undefined
  }

  /** Where the first id after `last` is. */
  #after(last: string): number {
    let [from, to] = [0, this.#inUse.length]
    while (from < to) {
      const middle = (from + to) >> 1
      if ((this.#inUse[middle] as Member).candidate.node.id > last) to = middle
      else from = middle + 1
    }
    return from
  }
}
