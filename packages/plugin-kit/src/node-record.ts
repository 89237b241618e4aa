import {
  ServiceError,
  type Endpoint,
  type Node,
  type ServiceRecord,
  type ValueShape,
} from '@micrograft/contracts'

/** What a registry holds: a frozen record with just one node. */
export interface NodeRecord extends ServiceRecord {
  readonly nodes: readonly [Node]
}

/** Deeper shapes than this are no description of a request but an attempt on the stack. */
const maxDepth = 32
const maxNameLength = 255

/**
 * A frozen copy of a record, one for each of its nodes. `null` stands for "none", as Go writes it.
 *
 * @param value Checked: it may come from a caller, a file or the network.
 * @throws `bad-request`, saying what is wrong with it.
 */
export function nodeRecords(value: unknown): readonly NodeRecord[] {
  const record = object(value, 'a service record')
  const name = label(record['name'], "a service's name")
  const version = text(record['version'] ?? '', `the version of ${name}`)
  const metadata = strings(record['metadata'], `the metadata of ${name}`)
  const endpoints = Object.freeze(list(record['endpoints'], `the endpoints of ${name}`).map(endpoint))
  return list(record['nodes'], `the nodes of ${name}`).map((each) =>
    Object.freeze({ name, version, metadata, endpoints, nodes: Object.freeze([node(each, name)] as const) }),
  )
}

/** The nodes of one service as `get` gives them: a record for each version, sorted, its nodes sorted by id. */
export function mergeRecords(nodes: Iterable<NodeRecord>): readonly ServiceRecord[] {
  const versions = new Map<string, NodeRecord[]>()
  for (const each of nodes) {
    const same = versions.get(each.version)
    if (same) same.push(each)
    else versions.set(each.version, [each])
  }
  return Object.freeze([...versions.values()].map(merge).sort((a, b) => compare(a.version, b.version)))
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Where two nodes tell different things of one version, the one with the lesser id is believed. */
function merge(records: readonly NodeRecord[]): ServiceRecord {
  const sorted = records.toSorted((a, b) => compare(a.nodes[0].id, b.nodes[0].id))
  const [first] = sorted as [NodeRecord]
  const metadata: Record<string, string> = {}
  const endpoints = new Map<string, Endpoint>()
  let seen: NodeRecord | undefined
  for (const each of sorted) {
    if (each.endpoints !== seen?.endpoints) {
      for (const served of each.endpoints) if (!endpoints.has(served.name)) endpoints.set(served.name, served)
    }
    seen = each
  }
  let told: NodeRecord | undefined
  for (const each of sorted.toReversed()) {
    if (each.metadata !== told?.metadata) Object.assign(metadata, each.metadata)
    told = each
  }
  return Object.freeze({
    name: first.name,
    version: first.version,
    metadata: Object.freeze(metadata),
    endpoints: Object.freeze([...endpoints.values()]),
    nodes: Object.freeze(sorted.map((each) => each.nodes[0])),
  })
}

function node(value: unknown, service: string): Node {
  const { id, address, metadata } = object(value, `a node of ${service}`)
  const known = label(id, `the id of a node of ${service}`)
  return Object.freeze({
    id: known,
    address: label(address, `the address of ${known}`, 1024),
    metadata: strings(metadata, `the metadata of ${known}`),
  })
}

function endpoint(value: unknown): Endpoint {
  const { name, request, response, metadata } = object(value, 'an endpoint')
  const known = label(name, "an endpoint's name")
  return Object.freeze({
    name: known,
    ...(request === undefined || request === null ? {} : { request: shape(request, maxDepth) }),
    ...(response === undefined || response === null ? {} : { response: shape(response, maxDepth) }),
    metadata: strings(metadata, `the metadata of ${known}`),
  })
}

function shape(value: unknown, depth: number): ValueShape {
  if (depth === 0) throw wrong(`a request or reply is described more than ${maxDepth} levels deep`)
  const { name, type, values } = object(value, 'a value of a request or reply')
  return Object.freeze({
    name: text(name ?? '', "a value's name"),
    type: text(type ?? '', "a value's type"),
    values: Object.freeze(list(values, "a value's values").map((each) => shape(each, depth - 1))),
  })
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(`${what} is no object`)
  return value as Record<string, unknown>
}

function list(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw wrong(`${what} are no list`)
  return value
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string') throw wrong(`${what} is no text`)
  return value
}

function label(value: unknown, what: string, longest = maxNameLength): string {
  const known = text(value, what)
  // eslint-disable-next-line no-control-regex
  if (known === '' || known.length > longest || /[\u0000-\u001f\u007f]/.test(known)) {
    throw wrong(`${what} must have 1 to ${longest} characters, none of them a control character`)
  }
  return known
}

function strings(value: unknown, what: string): Readonly<Record<string, string>> {
  const entries = Object.entries(value === undefined || value === null ? {} : object(value, what))
  for (const [name, each] of entries) text(each, `${JSON.stringify(name)} in ${what}`)
  return Object.freeze(Object.fromEntries(entries) as Record<string, string>)
}

function wrong(message: string): ServiceError {
  return new ServiceError('bad-request', message)
}
