import { ServiceError, type BrokerMessage } from '@micrograft/contracts'

/*
 * Go-micro's envelope of its nats broker (v2.9.1, broker.Message through its JSON codec):
 * `{"Header":{"Content-Type":"…"},"Body":"<base64>"}`, header names in title case and sorted.
 */

/** @param topic Goes along as `Micro-Topic`. */
export function encodeEnvelope(topic: string, { header, body }: BrokerMessage): Buffer {
  const named = Object.entries({ ...header, 'micro-topic': topic }).map(
    ([name, value]) => [titleCase(name), value] as const,
  )
  named.sort(([a], [b]) => (a < b ? -1 : 1))
  return Buffer.from(
    JSON.stringify({
      Header: Object.fromEntries(named),
      Body: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64'),
    }),
  )
}

/** @throws `protocol` where the bytes are no envelope. */
export function decodeEnvelope(bytes: Uint8Array): BrokerMessage {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString())
  } catch (cause) {
    throw new ServiceError('protocol', `a message is not JSON: ${(cause as Error).message}`, { cause })
  }
  const { Header, Body: body = null } = (typeof value === 'object' && value !== null ? value : {}) as {
    Header?: unknown
    Body?: unknown
  }
  // Go writes an empty map, and empty bytes, as null.
  const header = Header ?? {}
  if (
    typeof header !== 'object' ||
    Array.isArray(header) ||
    Object.values(header).some((each) => typeof each !== 'string') ||
    (body !== null && typeof body !== 'string')
  ) {
    throw new ServiceError('protocol', 'a message has no Header of texts and no Body in base64')
  }
  const { 'micro-topic': _topic, ...rest } = Object.fromEntries(
    Object.entries(header as Record<string, string>).map(([name, each]) => [name.toLowerCase(), each]),
  )
  return { header: rest, body: Buffer.from(body ?? '', 'base64') }
}

function titleCase(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, before: string, letter: string) => before + letter.toUpperCase())
}
