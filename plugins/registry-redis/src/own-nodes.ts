import type { Revision } from './node-view.js'

/** A node that this registry registered. */
export interface OwnNode {
  readonly name: string
  readonly id: string
  readonly version: string
  readonly json: string
  /** `Infinity` where it stays until it is deregistered. */
  readonly ttlMs: number
}

/** What this registry registered and has neither deregistered nor let expire: what it takes out at its end. */
export class OwnNodes {
  readonly #nodes = new Map<string, { readonly node: OwnNode; readonly expiresAt: number }>()
  #last: Revision | undefined
  /** Whether the server has lost data, and the nodes are still to be registered again. */
  lost = false

  get size(): number {
    return this.#nodes.size
  }

  add(node: OwnNode): void {
    this.#nodes.set(`${node.name}\n${node.id}`, { node, expiresAt: performance.now() + node.ttlMs })
  }

  has(node: OwnNode): boolean {
    return this.#nodes.get(`${node.name}\n${node.id}`)?.node === node
  }

  /** Forgets a node; what this gives puts it back, unless it was added again. */
  take(name: string, id: string, version: string): (() => void) | undefined {
    const key = `${name}\n${id}`
    const held = this.#nodes.get(key)
    if (held?.node.version !== version) return undefined
    this.#nodes.delete(key)
    return () => {
      if (!this.#nodes.has(key)) this.#nodes.set(key, held)
    }
  }

  /** Forgets what has expired. */
  expire(): void {
    const now = performance.now()
    for (const [key, { expiresAt }] of this.#nodes) if (expiresAt <= now) this.#nodes.delete(key)
  }

  all(): OwnNode[] {
    this.expire()
    return [...this.#nodes.values()].map(({ node }) => node)
  }

  leftMs({ name, id }: OwnNode): number {
    const held = this.#nodes.get(`${name}\n${id}`)
    return Math.max(1, (held?.expiresAt ?? 0) - performance.now())
  }

  /** Told of each answer of the server, in their order: it may have forgotten what it knew before. */
  seen(state: Revision): void {
    const last = this.#last
    if (last && (last.epoch !== state.epoch || last.revision > state.revision)) this.lost = true
    this.#last = state
  }
}
