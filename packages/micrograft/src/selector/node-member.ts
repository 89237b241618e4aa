import type { Endpoint, Node, ServiceRecord } from '@micrograft/contracts'

/** A node as a selection knows it. */
export interface Candidate {
  readonly node: Node
  /** `undefined` where it is not known. */
  readonly version: string | undefined
  /** What it serves; empty where that is not known. */
  readonly endpoints: readonly Endpoint[]
}

/** A candidate with what is remembered of calls to it. */
export interface Member {
  candidate: Candidate
  /** Calls that `next` gave and `mark` has not ended; counted where the choice depends on it. */
  inFlight: number
  /** Errors of the node since it last answered. */
  failures: number
  /** How often in a row it was put aside. */
  setbacks: number
  /** When it may be tried again; `undefined` where it is not put aside. */
  asideUntil: number | undefined
  /** Whether it was given for one call, to see whether it is well again. */
  onTrial: boolean
}

export function newMember(candidate: Candidate): Member {
  return { candidate, inFlight: 0, failures: 0, setbacks: 0, asideUntil: undefined, onTrial: false }
}

/** A node at another address is another node, whatever its id. */
export function isSameNode(a: Node, b: Node): boolean {
  return a === b || (a.id === b.id && a.address === b.address)
}

/** The nodes of some records, each with what its record says. */
export function candidatesOf(records: readonly ServiceRecord[]): Candidate[] {
  return records.flatMap(({ version, endpoints, nodes }) =>
    nodes.map((node) => ({ node, version, endpoints })),
  )
}
