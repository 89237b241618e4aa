import { ServiceError, type ErrorCode, type Node } from '@micrograft/contracts'
import type { Choice } from './choice-options.js'
import type { Member } from './node-member.js'
import { matches, type Filter } from './selection-view.js'

/** Errors that are a node's own. A node that answers with any other is well. */
const nodeErrors: ReadonlySet<ErrorCode> = new Set(['unavailable', 'timeout', 'overloaded', 'protocol'])
/** Errors that tell nothing of the node: the caller gave up, or its own client is closed. */
const nobodysErrors: ReadonlySet<ErrorCode> = new Set(['canceled', 'closed'])

/** While a node that may be tried again fits no call that is made. */
const lookAgainMs = 100

/**
 * Puts nodes aside that fail too often in a row, each time for longer, and gives them a call from time
 * to time, to see whether they are well again. `members` are always all nodes of the selection.
 */
export class NodesAside {
  readonly #choice: Choice
  /** When the first of those put aside may be tried; no clock is read while nothing is aside. */
  #nextTrial = Infinity

  constructor(choice: Choice) {
    this.#choice = choice
  }

  /** A node whose time aside is over gets one call; how that ends decides. */
  trial(
    members: readonly Member[],
    filter: Filter,
    isAvoided: ((node: Node) => boolean) | undefined,
  ): Node | undefined {
    if (this.#nextTrial === Infinity) return undefined
    const now = this.#choice.now()
    if (now < this.#nextTrial) return undefined
    const due = members.find(
      (each) =>
        each.asideUntil !== undefined &&
        each.asideUntil <= now &&
        matches(each.candidate, filter) &&
        !isAvoided?.(each.candidate.node),
    )
    if (!due) {
      this.#nextTrial = now + lookAgainMs
      return undefined
    }
    due.onTrial = true
    // A call that is never marked must not keep the node aside for ever.
    due.asideUntil = now + this.#asideMs(due.setbacks)
    this.schedule(members)
    due.inFlight++
    return due.candidate.node
  }

  /** Takes in how a call to `member` ended; whether it is in use now and was not, or the other way round. */
  mark(member: Member, error: unknown, members: readonly Member[]): boolean {
    const verdict = verdictOf(error)
    if (verdict === 'well') return this.#recover(member, members)
    return verdict === 'failed' && this.#fail(member, members)
  }

  /** The nodes are others now. */
  schedule(members: readonly Member[]): void {
    this.#nextTrial = Infinity
    for (const { asideUntil } of members) {
      if (asideUntil !== undefined && asideUntil < this.#nextTrial) this.#nextTrial = asideUntil
    }
  }

  #fail(member: Member, members: readonly Member[]): boolean {
    member.failures++
    const isAside = member.asideUntil !== undefined
    // Of a node that is aside, only the call that was to try it says anything new.
    if (isAside ? !member.onTrial : member.failures < this.#choice.maxFailures) return false
    member.onTrial = false
    member.setbacks++
    member.asideUntil = this.#choice.now() + this.#asideMs(member.setbacks)
    this.schedule(members)
    return !isAside
  }

  #recover(member: Member, members: readonly Member[]): boolean {
    member.failures = 0
    if (member.asideUntil === undefined) return false
    member.onTrial = false
    member.setbacks = 0
    member.asideUntil = undefined
    this.schedule(members)
    return true
  }

  #asideMs(setbacks: number): number {
    return Math.min(this.#choice.maxAsideMs, this.#choice.asideMs * 2 ** (setbacks - 1))
  }
}

function verdictOf(error: unknown): 'well' | 'failed' | 'unknown' {
  if (error === undefined || error === null) return 'well'
  if (!(error instanceof ServiceError)) return 'unknown'
  if (nodeErrors.has(error.code)) return 'failed'
  return nobodysErrors.has(error.code) ? 'unknown' : 'well'
}
