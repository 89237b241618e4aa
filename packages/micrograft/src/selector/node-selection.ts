import {
  ServiceError,
  type Endpoint,
  type Node,
  type Selection,
  type SelectOptions,
} from '@micrograft/contracts'
import type { Choice } from './choice-options.js'
import { isSameNode, newMember, type Candidate, type Member } from './node-member.js'
import { NodesAside } from './nodes-aside.js'
import type { Filter } from './selection-view.js'
import { SelectionViews } from './selection-views.js'

/** The nodes of a service, and the choice among them. Where they come from is the selector's business. */
export class NodeSelection implements Selection {
  readonly #service: string
  readonly #dispose: () => Promise<void> | void
  readonly #byId = new Map<string, Member>()
  readonly #views: SelectionViews
  readonly #aside: NodesAside
  /** Whether calls under way are counted. */
  readonly #counts: boolean
  /** Those that failed last, or are put aside. */
  readonly #unwell = new Set<Member>()
  /** Sorted by id, as of `#version`. */
  #members: readonly Member[] = []
  #nodes: readonly Node[] | undefined
  #endpoints: readonly Endpoint[] | undefined
  #isSorted = true
  #version = 0
  #disposed: Promise<void> | undefined

  /** @param dispose Ends what brings the nodes up to date; called once. */
  constructor(service: string, choice: Choice, dispose: () => Promise<void> | void = () => undefined) {
    this.#service = service
    this.#dispose = dispose
    this.#views = new SelectionViews(choice)
    this.#aside = new NodesAside(choice)
    this.#counts = choice.strategy === 'least-loaded'
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
    else {
      if (known) this.#unwell.delete(known)
      this.#byId.set(node.id, newMember(candidate))
    }
    this.#isSorted = false
  }

  remove(id: string): void {
    const known = this.#byId.get(id)
    if (!known) return
    this.#byId.delete(id)
    this.#unwell.delete(known)
    this.#isSorted = false
  }

  next(options: SelectOptions | undefined = undefined): Node {
    if (this.#disposed)
      throw new ServiceError('closed', `the selection of ${this.#service} is closed; select it again`)
    if (!this.#isSorted) this.#sort()
    const view = options === undefined ? this.#views.all : this.#views.of(options)
    view.refresh(this.#members, this.#version)
    const avoid = options?.avoid
    const isAvoided = avoid?.length ? (node: Node) => avoid.some((each) => isSameNode(each, node)) : undefined
    const node = this.#aside.trial(this.#members, view.filter, isAvoided) ?? view.pick(isAvoided)
    if (!node) throw this.#nothing(view.filter)
    return node
  }

  mark(node: Node, { error }: { readonly error?: unknown; readonly durationMs: number }): void {
    // There is nothing to remember. Finding one of 1,000 nodes in memory takes a call a tenth longer.
    if (error === undefined && this.#unwell.size === 0 && !this.#counts) return
    const member = this.#byId.get(node.id)
    if (!member || !isSameNode(member.candidate.node, node)) return
    if (member.inFlight > 0) member.inFlight--
    if (error === undefined && !this.#unwell.has(member)) return
    if (this.#aside.mark(member, error, this.#members)) this.#version++
    if (member.failures > 0 || member.asideUntil !== undefined) this.#unwell.add(member)
    else this.#unwell.delete(member)
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

  #sort(): void {
    if (this.#isSorted) return
    this.#isSorted = true
    this.#version++
    this.#members = [...this.#byId.values()].sort((a, b) =>
      a.candidate.node.id < b.candidate.node.id ? -1 : 1,
    )
    this.#nodes = undefined
    this.#endpoints = undefined
    this.#aside.schedule(this.#members)
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
