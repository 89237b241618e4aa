import type { Endpoint, Node } from './registry.js'
import type { CallOptions } from './values.js'

/** Which nodes a call may go to. */
export interface SelectOptions {
  /** Only nodes of this version of the service. @default any */
  readonly version?: string | undefined
  /** Only nodes whose metadata has all of these. @default any */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** Only nodes that serve this endpoint, where their record names endpoints. @default any */
  readonly endpoint?: string | undefined
  /** Nodes not to choose while there is another, e.g. those already tried. @default none */
  readonly avoid?: readonly Node[] | undefined
}

/** A service's nodes as they change: made once for a service and asked at every call. */
export interface Selection extends AsyncDisposable {
  /**
   * The node for the next call. Synchronous, and its cost does not grow with the number of nodes.
   * @throws `not-found` where the service has no node at all, `unavailable` where none is left to
   *   choose, `closed` once the selection or its selector is disposed.
   */
  next(options?: SelectOptions): Node
  /**
   * Tells how a call to `node` ended: once for each `next`. Errors of the node (`unavailable`, `timeout`, `overloaded`,
   * `protocol`) count against it; errors of the caller (`bad-request`, `forbidden`, …) never do.
   * A node with too many is put aside for a while and then tried again; where all are put aside, all
   * are used.
   */
  mark(node: Node, outcome: { readonly error?: unknown; readonly durationMs: number }): void
  /** The nodes there are now, those put aside included. */
  readonly nodes: readonly Node[]
  /** What they serve, where that is known. */
  readonly endpoints: readonly Endpoint[]
}

/** Chooses nodes. */
export interface Selector extends AsyncDisposable {
  readonly name: string
  /**
   * The nodes of `service` from now on; it resolves once they are known.
   * @throws `unavailable` where the registry cannot be asked and nothing is known from before.
   */
  select(service: string, options?: CallOptions): Promise<Selection>
}
