import type { Endpoint, Node, ServiceRecord, ValueShape } from '@micrograft/contracts'
import { nodeRecords, type NodeRecord } from '@micrograft/plugin-kit'

/*
 * Go-micro's messages of its nats registry (go-plugins registry/nats; in go-micro since v5.7): `Result`
 * and `Service` as encoding/json writes them. What Micrograft adds stands under one name that Go passes over.
 */

/** What a peer of Micrograft says beside it. */
export interface Claim {
  /** Which registry answers for the nodes. */
  readonly owner: string
  /** When they were registered there, in milliseconds since 1970; the latest is right. */
  readonly since: number
  /** How long it holds without being said again; `undefined` as long as the owner answers. */
  readonly ttlMs: number | undefined
}

export interface Announcement {
  readonly action: 'create' | 'update' | 'delete'
  readonly records: readonly NodeRecord[]
  readonly claim: Claim | undefined
}

/** A lifetime that a peer may ask for, in milliseconds. */
const longestTtlMs = 24 * 3_600_000

/**
 * Go's `Service`, as often as its nodes need messages.
 *
 * @param records Of one service and version, with the same endpoints.
 * @throws RangeError where one node alone is above `maxBytes`.
 */
export function serviceMessages(
  records: readonly NodeRecord[],
  claim: Claim | undefined,
  maxBytes: number,
  wrap: (service: string) => string = (service) => service,
): readonly Buffer[] {
  const [first] = records
  if (!first) return []
  const { name, version, metadata, endpoints } = first
  const extra = claim && { Micrograft: claim }
  const empty = { name, version, metadata: sorted(metadata), endpoints: endpoints.map(endpointText) }
  const room = maxBytes - Buffer.byteLength(wrap(JSON.stringify({ ...empty, nodes: [], ...extra })))
  const messages: Buffer[] = []
  let nodes: string[] = []
  let bytes = 0
  const flush = (): void => {
    const service = JSON.stringify({ ...empty, nodes: [], ...extra })
    // The list of nodes is the one that was written empty, and the last of those: names come before it.
    const at = service.lastIndexOf('"nodes":[]') + '"nodes":['.length
    messages.push(Buffer.from(wrap(service.slice(0, at) + nodes.join(',') + service.slice(at))))
    nodes = []
    bytes = 0
  }
  for (const record of records) {
    const text = JSON.stringify(nodeText(record.nodes[0]))
    const size = Buffer.byteLength(text) + 1
    if (size > room)
      throw new RangeError(`the record of ${record.nodes[0].id} has more than ${maxBytes} bytes`)
    if (bytes + size > room) flush()
    nodes.push(text)
    bytes += size
  }
  flush()
  return messages
}

export function announcementMessages(
  action: Announcement['action'],
  records: readonly NodeRecord[],
  claim: Claim | undefined,
  maxBytes: number,
): readonly Buffer[] {
  return serviceMessages(records, claim, maxBytes, (service) => `{"Action":"${action}","Service":${service}}`)
}

/** @param name Of a service; all of them where there is none. */
export function queryMessage(name: string | undefined): Buffer {
  const service =
    name === undefined ? null : { name, version: '', metadata: null, endpoints: null, nodes: null }
  return Buffer.from(JSON.stringify({ Action: name === undefined ? 'list' : 'get', Service: service }))
}

/** The name that is asked for, `undefined` for all. @throws what JSON or the check throws. */
export function readQuery(bytes: Uint8Array): { readonly name: string | undefined } | undefined {
  const { Action: action, Service: service } = parse(bytes)
  if (action === 'list') return { name: undefined }
  const { name } = (service ?? {}) as { name?: unknown }
  return action === 'get' && typeof name === 'string' ? { name } : undefined
}

export function readAnnouncement(bytes: Uint8Array): Announcement | undefined {
  const { Action: action, Service: service } = parse(bytes)
  if (action !== 'create' && action !== 'update' && action !== 'delete') return undefined
  return { action, records: nodeRecords(service), claim: claimOf(service) }
}

export function readService(bytes: Uint8Array): {
  readonly records: readonly NodeRecord[]
  readonly claim: Claim | undefined
} {
  const service = parse(bytes)
  return { records: nodeRecords(service), claim: claimOf(service) }
}

function parse(bytes: Uint8Array): Record<string, unknown> {
  const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString())
  if (typeof value !== 'object' || value === null) throw new TypeError('the message is no object')
  return value as Record<string, unknown>
}

function claimOf(service: unknown): Claim | undefined {
  const { Micrograft: claim } = (service ?? {}) as { Micrograft?: unknown }
  const { owner, since, ttlMs } = (claim ?? {}) as Partial<Record<keyof Claim, unknown>>
  if (typeof owner !== 'string' || typeof since !== 'number') return undefined
  const holds = typeof ttlMs === 'number' && ttlMs > 0 ? Math.min(ttlMs, longestTtlMs) : undefined
  return { owner, since, ttlMs: holds }
}

function nodeText({ id, address, metadata }: Node): object {
  return { id, address, metadata: sorted(metadata) }
}

function endpointText({ name, request, response, metadata }: Endpoint): object {
  return { name, request: shapeText(request), response: shapeText(response), metadata: sorted(metadata) }
}

function shapeText(shape: ValueShape | undefined): object | null {
  if (!shape) return null
  const { name, type, values } = shape
  return { name, type, values: values.length > 0 ? values.map(shapeText) : null }
}

/** Go writes maps sorted. */
function sorted(values: ServiceRecord['metadata']): Record<string, string> {
  return Object.fromEntries(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)))
}
