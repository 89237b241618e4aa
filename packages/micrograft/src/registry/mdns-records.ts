import { isIP } from 'node:net'
import { deflateSync, inflateSync } from 'node:zlib'
import { ServiceError, type Endpoint, type ValueShape } from '@micrograft/contracts'
import { nodeRecords, type NodeRecord } from '@micrograft/plugin-kit'
import type { DnsMessage, DnsRecord } from './dns-message.js'

/** What a message says of one node. */
export interface MdnsEntry {
  readonly record: NodeRecord
  /** In seconds; 0 says that the node is gone. */
  readonly ttl: number
}

/** What the records of one node are made of. */
export interface MdnsNode {
  readonly record: NodeRecord
  /** With a dot at the end. */
  readonly host: string
  readonly ip: string
  readonly port: number
  readonly texts: readonly string[]
}

/** The service under which the names of services are listed. */
export const listing = '_services'
const maxTextBytes = 255
const maxTextRecordBytes = 65_535
/** Nodes of one message; go-micro tells of one. */
const maxEntries = 16
/** Text of a node, unpacked: compressed, a few bytes can stand for gigabytes. */
const maxJsonBytes = 262_144

/**
 * @throws `unsupported` for an address that is not an IP address and a port.
 */
export function mdnsNode(record: NodeRecord, host: string): MdnsNode {
  const [{ id, address }] = record.nodes
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address) ?? []
  const ip = bracketed ?? plain ?? ''
  if (isIP(ip) === 0 || ip.includes('%') || Number(port) < 1 || Number(port) > 65_535) {
    const message = `mdns cannot tell the address ${address} of ${id}; it takes an IP address and a port, or use another registry`
    throw new ServiceError('unsupported', message)
  }
  return { record, host: `${host}.`, ip, port: Number(port), texts: packTexts(record) }
}

/** Dots part names, as go-micro has it; a backslash would make something else of what follows it. */
export function serviceName(service: string, domain: string): string {
  return `${escape(service)}.${domain}.`
}

function escape(name: string): string {
  return name.replaceAll('\\', '\\\\')
}

function unescape(name: string): string {
  return name.replace(/\\(.)/gs, '$1')
}

/** The answer to a question for the nodes of a service. */
export function serviceRecords(node: MdnsNode, domain: string, ttl: number): readonly DnsRecord[] {
  const { name, nodes } = node.record
  const owner = serviceName(name, domain)
  return [
    { type: 'PTR', name: owner, ttl, target: `${escape(nodes[0].id)}.${owner}` },
    ...instanceRecords(node, domain, ttl),
  ]
}

/** What a node says of itself unasked. */
export function instanceRecords(
  { record, host, ip, port, texts }: MdnsNode,
  domain: string,
  ttl: number,
): readonly DnsRecord[] {
  const name = `${escape(record.nodes[0].id)}.${serviceName(record.name, domain)}`
  return [
    { type: 'SRV', name, ttl, priority: 10, weight: 1, port, target: host },
    { type: isIP(ip) === 4 ? 'A' : 'AAAA', name: host, ttl, address: ip },
    { type: 'TXT', name, ttl, texts },
  ]
}

/** The answer to a question for the names of services: one for each. */
export function listingRecords(
  service: string,
  host: string,
  domain: string,
  ttl: number,
): readonly DnsRecord[] {
  const owner = serviceName(listing, domain)
  const name = `${escape(service)}.${owner}`
  return [
    { type: 'PTR', name: owner, ttl, target: name },
    { type: 'SRV', name, ttl, priority: 10, weight: 1, port: 9999, target: `${host}.` },
    { type: 'A', name: `${host}.`, ttl, address: '0.0.0.0' },
    { type: 'TXT', name, ttl, texts: [] },
  ]
}

/** The names of services that a message lists. */
export function listedServices({ answers }: DnsMessage, domain: string): readonly string[] {
  const suffix = `.${serviceName(listing, domain)}`
  return answers.flatMap((each) =>
    each.type === 'PTR' && each.ttl > 0 && each.target.endsWith(suffix)
      ? [unescape(each.target.slice(0, -suffix.length))]
      : [],
  )
}

/** The nodes that a message tells of; what is none of go-micro's records is left out. */
export function entriesOf({ answers }: DnsMessage, domain: string): readonly MdnsEntry[] {
  const servers = new Map<string, DnsRecord & { readonly type: 'SRV' }>()
  const addresses = new Map<string, string>()
  for (const each of answers) {
    if (each.type === 'SRV') servers.set(each.name, each)
    if (each.type === 'A') addresses.set(each.name, each.address)
    if (each.type === 'AAAA' && !addresses.has(each.name)) addresses.set(each.name, `[${each.address}]`)
  }
  const entries: MdnsEntry[] = []
  for (const each of answers) {
    if (each.type !== 'TXT' || each.texts.length === 0 || entries.length === maxEntries) continue
    const server = servers.get(each.name)
    const host = server && addresses.get(server.target)
    if (!server || !host || server.port === 0) continue
    const record = nodeOf(each.name, `${host}:${server.port}`, each.texts, domain)
    if (record) entries.push({ record, ttl: each.ttl })
  }
  return entries
}

function nodeOf(
  name: string,
  address: string,
  texts: readonly string[],
  domain: string,
): NodeRecord | undefined {
  try {
    const told = unpackTexts(texts)
    const suffix = `.${serviceName(String(told['Service']), domain)}`
    if (!name.endsWith(suffix)) return undefined
    const node = { id: unescape(name.slice(0, -suffix.length)), address, metadata: told['Metadata'] }
    const [record] = nodeRecords({
      name: told['Service'],
      version: told['Version'],
      metadata: told['ServiceMetadata'],
      endpoints: told['Endpoints'],
      nodes: [node],
    })
    return record
  } catch {
    return undefined
  }
}

/**
 * The text of go-micro's `mdnsTxt`: fields in the order of the Go structs, which Go writes with
 * capitals, and `null` for an empty list. A service's own metadata is not among them: where there is
 * any, it is a further field, which a Go peer reads over.
 */
function packTexts({ name, version, metadata, endpoints, nodes }: NodeRecord): readonly string[] {
  const told = {
    Service: name,
    Version: version,
    Endpoints: endpoints.map(endpointText),
    Metadata: sorted(nodes[0].metadata),
    ...(Object.keys(metadata).length > 0 ? { ServiceMetadata: sorted(metadata) } : {}),
  }
  const json = JSON.stringify(told).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  if (Buffer.byteLength(json) > maxJsonBytes) {
    throw new ServiceError('too-large', `the record of ${nodes[0].id} has more than ${maxJsonBytes} bytes`)
  }
  const texts =
    deflateSync(json)
      .toString('hex')
      .match(new RegExp(`.{1,${maxTextBytes}}`, 'g')) ?? []
  const bytes = texts.reduce((sum, { length }) => sum + length + 1, 0)
  if (bytes > maxTextRecordBytes) {
    const message = `the record of ${nodes[0].id} has ${bytes} bytes when it is packed, a record of DNS at most ${maxTextRecordBytes}`
    throw new ServiceError('too-large', message)
  }
  return texts
}

function unpackTexts(texts: readonly string[]): Record<string, unknown> {
  const hex = texts.join('')
  if (hex.length % 2 !== 0 || !/^[0-9a-f]+$/i.test(hex)) throw new TypeError('the text is not hexadecimal')
  const json = inflateSync(Buffer.from(hex, 'hex'), { maxOutputLength: maxJsonBytes }).toString()
  return JSON.parse(json) as Record<string, unknown>
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
function sorted(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)))
}
