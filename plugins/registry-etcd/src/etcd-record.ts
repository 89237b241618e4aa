import type { Endpoint, ValueShape } from '@micrograft/contracts'
import { nodeRecords, type NodeRecord } from '@micrograft/plugin-kit'

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
  if (!record || more.length > 0) throw new Error('it has not just one node')
  return record
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
