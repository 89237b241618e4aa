import { ServiceError, type BrokerMessage } from '@micrograft/contracts'

/*
 * Go-micro's envelope of the http, nats and redis brokers (v2.9.1, broker.Message through its JSON
 * codec): `{"Header":{"Content-Type":"…"},"Body":"<base64>"}`, header names in title case and sorted.
 */

/** @param topic Goes along as `Micro-Topic`. */
export function encodeEnvelope(topic: string, { header, body }: BrokerMessage): string {
  const named = Object.entries({ ...header, 'micro-topic': topic }).map(
    ([name, value]) => [titleCase(name), value] as const,
  )
  named.sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify({
    Header: Object.fromEntries(named),
    Body: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64'),
  })
}

export interface Envelope {
  readonly topic: string | undefined
  readonly message: BrokerMessage
}

/** @throws `bad-request` where the text is no envelope. */
export function decodeEnvelope(text: string): Envelope {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new ServiceError('bad-request', `the message is not JSON: ${(cause as Error).message}`, { cause })
  }
  const { Header, Body: body } = (typeof value === 'object' && value !== null ? value : {}) as {
    Header?: unknown
    Body?: unknown
  }
  // Go writes an empty map as null.
  const header = Header ?? {}
  if (
    typeof header !== 'object' ||
    header === null ||
    Object.values(header).some((each) => typeof each !== 'string') ||
    (body !== null && typeof body !== 'string')
  ) {
    throw new ServiceError('bad-request', 'the message has no Header of texts and no Body in base64')
  }
  const { 'micro-topic': topic, ...rest } = Object.fromEntries(
    Object.entries(header as Record<string, string>).map(([name, each]) => [name.toLowerCase(), each]),
  )
  return { topic, message: { header: rest, body: Buffer.from((body as string | null) ?? '', 'base64') } }
}

function titleCase(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, before: string, letter: string) => before + letter.toUpperCase())
}
