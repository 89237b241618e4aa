import type { NodeRecord } from '@micrograft/plugin-kit'
import type { Claim } from './wire.js'

/** A node that this registry answers for. */
export interface OwnNode {
  readonly record: NodeRecord
  readonly claim: Claim
  readonly timer: NodeJS.Timeout | undefined
}

const longestDelay = 2 ** 31 - 1

/** The nodes that this registry was the last to register. */
export class OwnNodes {
  readonly #services = new Map<string, Map<string, OwnNode>>()
  readonly #onExpired: (record: NodeRecord) => void

  /** @param onExpired Told of a node whose time to live has passed; it is not among them any more. */
  constructor(onExpired: (record: NodeRecord) => void) {
    this.#onExpired = onExpired
  }

  find({ name, nodes }: NodeRecord): OwnNode | undefined {
    return this.#services.get(name)?.get(nodes[0].id)
  }

  /** Those of a service, or all. */
  of(name?: string): readonly OwnNode[] {
    if (name !== undefined) return [...(this.#services.get(name)?.values() ?? [])]
    return [...this.#services.values()].flatMap((nodes) => Array.from(nodes.values()))
  }

  set(record: NodeRecord, claim: Claim): void {
    const { name, nodes } = record
    clearTimeout(this.find(record)?.timer)
    let same = this.#services.get(name)
    if (!same) this.#services.set(name, (same = new Map()))
    const timer =
      claim.ttlMs === undefined
        ? undefined
        : setTimeout(
            () => {
              this.delete(record)
              this.#onExpired(record)
            },
            Math.min(claim.ttlMs, longestDelay),
          ).unref()
    same.set(nodes[0].id, { record, claim, timer })
  }

  delete(record: NodeRecord): void {
    const { name, nodes } = record
    const same = this.#services.get(name)
    clearTimeout(same?.get(nodes[0].id)?.timer)
    same?.delete(nodes[0].id)
    if (same?.size === 0) this.#services.delete(name)
  }
}

/** Nodes that one message can tell of: of one version and with one claim. */
export function groups(nodes: readonly OwnNode[]): readonly (readonly [Claim, readonly NodeRecord[]])[] {
  const found: [Claim, NodeRecord[]][] = []
  const byService = new Map<string, [Claim, NodeRecord[]][]>()
  for (const { record, claim } of nodes) {
    const at = `${record.name}\0${record.version}`
    const same = byService.get(at) ?? []
    byService.set(at, same)
    const fitting = same.find(
      ([other, [first]]) =>
        other.ttlMs === claim.ttlMs &&
        first?.endpoints === record.endpoints &&
        first.metadata === record.metadata,
    )
    if (fitting) {
      fitting[1].push(record)
      continue
    }
    const group: [Claim, NodeRecord[]] = [claim, [record]]
    same.push(group)
    found.push(group)
  }
  return found
}
