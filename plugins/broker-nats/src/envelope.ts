import { ServiceError, type BrokerMessage } from '@micrograft/contracts'

/*
 * Go-micro's envelope of its nats broker (v2.9.1, broker.Message through its JSON codec):
 * `{"Header":{"Content-Type":"…"},"Body":"<base64>"}`, header names in title case and sorted.
 */

/** @param topic Goes along as `Micro-Topic`. */
export function encodeEnvelope(topic: string, { header, body }: BrokerMessage): Buffer {
  // Put together as text: to make an object for JSON to walk through took three times as long.
  const named: [string, string][] = [['Micro-Topic', topic]]
  for (const name of Object.keys(header))
    if (name !== 'micro-topic') named.push([titleCase(name), header[name] as string])
  if (named.length > 1) named.sort(([a], [b]) => (a < b ? -1 : 1))
  let fields = ''
  for (const [name, value] of named)
    fields += `${fields === '' ? '' : ','}${JSON.stringify(name)}:${JSON.stringify(value)}`
  // Base64 has nothing that JSON escapes.
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64')
  return Buffer.from(`{"Header":{${fields}},"Body":"${text}"}`)
}

/** @throws `protocol` where the bytes are no envelope. */
export function decodeEnvelope(bytes: Uint8Array): BrokerMessage {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString())
  } catch (cause) {
    throw new ServiceError('protocol', `a message is not JSON: ${(cause as Error).message}`, { cause })
  }
  const { Header, Body } = (typeof value === 'object' && value !== null ? value : {}) as {
    Header?: unknown
    Body?: unknown
  }
  // Go writes an empty map, and empty bytes, as null.
  const given = Header ?? {}
  const body = Body ?? ''
  if (typeof given !== 'object' || Array.isArray(given) || typeof body !== 'string') throw noEnvelope()
  const header: Record<string, string> = {}
  for (const name of Object.keys(given)) {
    const each = (given as Record<string, unknown>)[name]
    if (typeof each !== 'string') throw noEnvelope()
    const lower = name.toLowerCase()
    if (lower !== 'micro-topic' && lower !== '__proto__') header[lower] = each
  }
  return { header, body: Buffer.from(body, 'base64') }
}

function noEnvelope(): ServiceError {
  return new ServiceError('protocol', 'a message has no Header of texts and no Body in base64')
}

/** Those of nearly every message. */
const inTitleCase: ReadonlyMap<string, string> = new Map([
  ['content-type', 'Content-Type'],
  ['micro-id', 'Micro-Id'],
])

function titleCase(name: string): string {
  return (
    inTitleCase.get(name) ??
    name.replace(/(^|-)([a-z])/g, (_, before: string, letter: string) => before + letter.toUpperCase())
  )
}
