import {
  ServiceError,
  type Endpoint,
  type Node,
  type ServiceRecord,
  type ValueShape,
} from '@micrograft/contracts'

/** What stands under one key: a record with just one node. */
export interface NodeRecord extends ServiceRecord {
  readonly nodes: readonly [Node]
}

/** Deeper shapes than this are no description of a request but an attempt on the stack. */
const maxDepth = 32
const maxNameLength = 255

/** Go-micro's key of a service; a slash in a name would begin another. */
export function serviceKey(prefix: string, service: string): string {
  return `${prefix}${service.replaceAll('/', '-')}/`
}

export function nodeKey(prefix: string, { name, nodes }: NodeRecord): string {
  return serviceKey(prefix, name) + nodes[0].id.replaceAll('/', '-')
}

/** A node's record as Go's encoding/json writes go-micro's (v2, registry.Service). */
export function writeRecord({ name, version, metadata, endpoints, nodes }: NodeRecord): string {
  const [{ id, address, metadata: labels }] = nodes
  const text = JSON.stringify({
    name,
    version,
    metadata: sorted(metadata),
    endpoints: endpoints.length === 0 ? null : endpoints.map(goEndpoint),
    nodes: [{ id, address, metadata: sorted(labels) }],
  })
  return text.replace(
    /[<>&\u2028\u2029]/g,
    (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** @throws where the text is no record with one node. */
export function readRecord(text: string): NodeRecord {
  const [record, ...more] = nodeRecords(JSON.parse(text))
  if (!record || more.length > 0) throw wrong('it has not just one node')
  return record
}

/**
 * A copy of a record, one for each of its nodes. `null` stands for "none", as Go writes it.
 *
 * @param value Checked: it may come from a caller or from the network.
 * @throws `bad-request`, saying what is wrong with it.
 */
export function nodeRecords(value: unknown): readonly NodeRecord[] {
  const record = object(value, 'a service record')
  const name = label(record['name'], "a service's name")
  const version = text(record['version'] ?? '', `the version of ${name}`)
  const metadata = strings(record['metadata'], `the metadata of ${name}`)
  const endpoints = list(record['endpoints'], `the endpoints of ${name}`).map(endpoint)
  return list(record['nodes'], `the nodes of ${name}`).map((each) => ({
    name,
    version,
    metadata,
    endpoints,
    nodes: [node(each, name)],
  }))
}

function goEndpoint({ name, request, response, metadata }: Endpoint): object {
  return {
    name,
    request: request ? goValue(request) : null,
    response: response ? goValue(response) : null,
    metadata: sorted(metadata),
  }
}

function goValue({ name, type, values }: ValueShape): object {
  return { name, type, values: values.length === 0 ? null : values.map(goValue) }
}

/** Go writes maps in the order of their keys' bytes. */
function sorted(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(metadata)
  return Object.fromEntries(entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
}

function node(value: unknown, service: string): Node {
  const { id, address, metadata } = object(value, `a node of ${service}`)
  const known = label(id, `the id of a node of ${service}`)
  return {
    id: known,
    address: label(address, `the address of ${known}`, 1024),
    metadata: strings(metadata, `the metadata of ${known}`),
  }
}

function endpoint(value: unknown): Endpoint {
  const { name, request, response, metadata } = object(value, 'an endpoint')
  const known = label(name, "an endpoint's name")
  return {
    name: known,
    ...(request === undefined || request === null ? {} : { request: shape(request, maxDepth) }),
    ...(response === undefined || response === null ? {} : { response: shape(response, maxDepth) }),
    metadata: strings(metadata, `the metadata of ${known}`),
  }
}

function shape(value: unknown, depth: number): ValueShape {
  if (depth === 0) throw wrong(`a request or reply is described more than ${maxDepth} levels deep`)
  const { name, type, values } = object(value, 'a value of a request or reply')
  return {
    name: text(name ?? '', "a value's name"),
    type: text(type ?? '', "a value's type"),
    values: list(values, "a value's values").map((each) => shape(each, depth - 1)),
  }
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
  return Object.fromEntries(entries) as Record<string, string>
}

function wrong(message: string): ServiceError {
  return new ServiceError('bad-request', message)
}
