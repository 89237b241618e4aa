import type { Endpoint, ServiceRecord } from '@micrograft/contracts'
import type { NodeRecord } from './etcd-record.js'

/** Nodes as `get` gives them: a record for each service and version, sorted, its nodes sorted by id. */
export function mergeRecords(nodes: Iterable<NodeRecord>): readonly ServiceRecord[] {
  const records = new Map<string, NodeRecord[]>()
  for (const each of nodes) {
    const key = `${each.name}\0${each.version}`
    const same = records.get(key)
    if (same) same.push(each)
    else records.set(key, [each])
  }
  return [...records.values()]
    .map(merge)
    .sort((a, b) => compare(a.name, b.name) || compare(a.version, b.version))
}

/** Where two nodes tell different things of one version, the one with the lesser id is believed. */
function merge(records: readonly NodeRecord[]): ServiceRecord {
  const sorted = records.toSorted((a, b) => compare(a.nodes[0].id, b.nodes[0].id))
  const [{ name, version }] = sorted as [NodeRecord]
  const metadata: Record<string, string> = {}
  const endpoints = new Map<string, Endpoint>()
  for (const each of sorted)
    for (const served of each.endpoints) if (!endpoints.has(served.name)) endpoints.set(served.name, served)
  for (const each of sorted.toReversed()) Object.assign(metadata, each.metadata)
  return {
    name,
    version,
    metadata,
    endpoints: [...endpoints.values()],
    nodes: sorted.map((each) => each.nodes[0]),
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
