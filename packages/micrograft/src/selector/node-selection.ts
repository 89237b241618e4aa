import {
  ServiceError,
  type Endpoint,
  type ErrorCode,
  type Node,
  type Selection,
  type SelectOptions,
} from '@micrograft/contracts'
import { isSameNode, newMember, type Candidate, type Member } from './node-member.js'
import { matches, SelectionView, type Filter, type Strategy } from './selection-view.js'

/** How nodes are chosen, and when one is put aside. */
export interface ChoiceOptions {
  /** `random`, `round-robin`, or `least-loaded`: the one of two random nodes with fewer calls under way. @default random */
  readonly strategy?: Strategy | undefined
  /** Errors of a node in a row after which it is put aside. @default 3 */
  readonly maxFailures?: number | undefined
  /** How long a node is put aside the first time, in milliseconds; each further time twice as long. @default 5000 */
  readonly asideMs?: number | undefined
  /** Longest time that a node is put aside, in milliseconds. @default 60_000 */
  readonly maxAsideMs?: number | undefined
  /** Milliseconds of a clock that never goes back, for tests. @default performance.now */
  readonly now?: (() => number) | undefined
  /** At least 0, below 1, for tests. @default Math.random */
  readonly random?: (() => number) | undefined
}

export type Choice = { readonly [K in keyof ChoiceOptions]-?: Exclude<ChoiceOptions[K], undefined> }

export const choiceDefaults: Choice = {
  strategy: 'random',
  maxFailures: 3,
  asideMs: 5000,
  maxAsideMs: 60_000,
  now: () => performance.now(),
  random: () => Math.random(),
}

const strategies: readonly Strategy[] = ['random', 'round-robin', 'least-loaded']

/** @throws `invalid-option` */
export function checkChoice({ strategy, maxFailures, asideMs, maxAsideMs }: Choice): void {
  if (!strategies.includes(strategy)) {
    throw new ServiceError(
      'invalid-option',
      `there is no strategy ${JSON.stringify(strategy)}; there are ${strategies.join(', ')}`,
    )
  }
  for (const [name, value] of Object.entries({ maxFailures, asideMs, maxAsideMs })) {
    if (!(value > 0)) throw new ServiceError('invalid-option', `${name} is ${value}; give a number above 0`)
  }
}

/** Errors that are a node's own. A node that answers with any other is well. */
const nodeErrors: ReadonlySet<ErrorCode> = new Set(['unavailable', 'timeout', 'overloaded', 'protocol'])
/** Errors that tell nothing of the node: the caller gave up, or its own client is closed. */
const nobodysErrors: ReadonlySet<ErrorCode> = new Set(['canceled', 'closed'])

/** Filters whose nodes are remembered; labels may come from callers, who could think of any number. */
const maxViews = 256

/** While a node that may be tried again fits no call that is made. */
const lookAgainMs = 100

/** The nodes of a service, and the choice among them. Where they come from is the selector's business. */
export class NodeSelection implements Selection {
  readonly #service: string
  readonly #choice: Choice
  readonly #dispose: () => Promise<void> | void
  readonly #byId = new Map<string, Member>()
  readonly #all: SelectionView
  readonly #byEndpoint = new Map<string, SelectionView>()
  readonly #filtered = new Map<string, SelectionView>()
  /** Sorted by id, as of `#version`. */
  #members: readonly Member[] = []
  #nodes: readonly Node[] | undefined
  #endpoints: readonly Endpoint[] | undefined
  #isSorted = true
  #version = 0
  /** When the first of those put aside may be tried; no clock is read while nothing is aside. */
  #nextTrial = Infinity
  #disposed: Promise<void> | undefined

  /** @param dispose Ends what brings the nodes up to date; called once. */
  constructor(service: string, choice: Choice, dispose: () => Promise<void> | void = () => undefined) {
    this.#service = service
    this.#choice = choice
    this.#dispose = dispose
    this.#all = this.#newView({})
  }

  /** These are the nodes from now on. What is remembered of those that stay stays. */
  reset(candidates: readonly Candidate[]): void {
    const stay = new Set(candidates.map(({ node }) => node.id))
    for (const id of this.#byId.keys()) if (!stay.has(id)) this.remove(id)
    for (const each of candidates) this.put(each)
  }

  put(candidate: Candidate): void {
    const { node } = candidate
    const known = this.#byId.get(node.id)
    if (known && isSameNode(known.candidate.node, node)) known.candidate = candidate
    else this.#byId.set(node.id, newMember(candidate))
    this.#isSorted = false
  }

  remove(id: string): void {
    if (this.#byId.delete(id)) this.#isSorted = false
  }

  next(options: SelectOptions | undefined = undefined): Node {
    if (this.#disposed)
      throw new ServiceError('closed', `the selection of ${this.#service} is closed; select it again`)
    if (!this.#isSorted) this.#sort()
    const view = options === undefined ? this.#all : this.#view(options)
    view.refresh(this.#members, this.#version)
    const avoid = options?.avoid
    const isAvoided = avoid?.length ? (node: Node) => avoid.some((each) => isSameNode(each, node)) : undefined
    const node = this.#trial(view.filter, isAvoided) ?? view.pick(isAvoided)
    if (!node) throw this.#nothing(view.filter)
    return node
  }

  mark(node: Node, { error }: { readonly error?: unknown; readonly durationMs: number }): void {
    const member = this.#byId.get(node.id)
    if (!member || !isSameNode(member.candidate.node, node)) return
    if (member.inFlight > 0) member.inFlight--
    const verdict = verdictOf(error)
    if (verdict === 'well') this.#recover(member)
    else if (verdict === 'failed') this.#fail(member)
  }

  get nodes(): readonly Node[] {
    this.#sort()
    return (this.#nodes ??= Object.freeze(this.#members.map(({ candidate }) => candidate.node)))
  }

  get endpoints(): readonly Endpoint[] {
    this.#sort()
    return (this.#endpoints ??= Object.freeze(endpointsOf(this.#members)))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#disposed ??= (async () => {
      await this.#dispose()
    })())
  }

  #nothing(filter: Filter): ServiceError {
    if (this.#members.length === 0) {
      const message = `${this.#service} has no node; is it running, and does it use the same registry?`
      return new ServiceError('not-found', message)
    }
    const message = `none of the ${this.#members.length} nodes of ${this.#service} has ${JSON.stringify(filter)}; ask for less, or start one that has`
    return new ServiceError('unavailable', message)
  }

  /** A node whose time aside is over gets one call; how that ends decides. */
  #trial(filter: Filter, isAvoided: ((node: Node) => boolean) | undefined): Node | undefined {
    if (this.#nextTrial === Infinity) return undefined
    const now = this.#choice.now()
    if (now < this.#nextTrial) return undefined
    const due = this.#members.find(
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
    this.#scheduleTrial()
    due.inFlight++
    return due.candidate.node
  }

  #fail(member: Member): void {
    member.failures++
    const isAside = member.asideUntil !== undefined
    // Of a node that is aside, only the call that was to try it says anything new.
    if (isAside ? !member.onTrial : member.failures < this.#choice.maxFailures) return
    member.onTrial = false
    member.setbacks++
    member.asideUntil = this.#choice.now() + this.#asideMs(member.setbacks)
    this.#scheduleTrial()
    if (!isAside) this.#version++
  }

  #recover(member: Member): void {
    member.failures = 0
    if (member.asideUntil === undefined) return
    member.onTrial = false
    member.setbacks = 0
    member.asideUntil = undefined
    this.#scheduleTrial()
    this.#version++
  }

  #asideMs(setbacks: number): number {
    return Math.min(this.#choice.maxAsideMs, this.#choice.asideMs * 2 ** (setbacks - 1))
  }

  #scheduleTrial(): void {
    this.#nextTrial = Infinity
    for (const { asideUntil } of this.#members) {
      if (asideUntil !== undefined && asideUntil < this.#nextTrial) this.#nextTrial = asideUntil
    }
  }

  #view({ version, labels, endpoint }: SelectOptions): SelectionView {
    if (version === undefined && labels === undefined) {
      if (endpoint === undefined) return this.#all
      return this.#byEndpoint.get(endpoint) ?? this.#remember(this.#byEndpoint, endpoint, { endpoint })
    }
    const sorted = Object.entries(labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
    const key = JSON.stringify([version, endpoint, sorted])
    const filter = { version, labels: Object.fromEntries(sorted), endpoint }
    return this.#filtered.get(key) ?? this.#remember(this.#filtered, key, filter)
  }

  #remember(views: Map<string, SelectionView>, key: string, filter: Filter): SelectionView {
    if (views.size >= maxViews) views.delete(views.keys().next().value as string)
    const view = this.#newView(filter)
    views.set(key, view)
    return view
  }

  #newView(filter: Filter): SelectionView {
    return new SelectionView(filter, this.#choice.strategy, this.#choice.random)
  }

  #sort(): void {
    if (this.#isSorted) return
    this.#isSorted = true
    this.#version++
    this.#members = [...this.#byId.values()].sort((a, b) =>
      a.candidate.node.id < b.candidate.node.id ? -1 : 1,
    )
    this.#nodes = undefined
    this.#endpoints = undefined
    this.#scheduleTrial()
  }
}

function endpointsOf(members: readonly Member[]): readonly Endpoint[] {
  const endpoints = new Map<string, Endpoint>()
  let seen: readonly Endpoint[] | undefined
  for (const { candidate } of members) {
    // Most nodes serve the same, told by the same list.
    if (candidate.endpoints === seen) continue
    seen = candidate.endpoints
    for (const each of seen) if (!endpoints.has(each.name)) endpoints.set(each.name, each)
  }
  return [...endpoints.values()]
}

function verdictOf(error: unknown): 'well' | 'failed' | 'unknown' {
  if (error === undefined || error === null) return 'well'
  if (!(error instanceof ServiceError)) return 'unknown'
  if (nodeErrors.has(error.code)) return 'failed'
  return nobodysErrors.has(error.code) ? 'unknown' : 'well'
}
