import { ServiceError, type BrokerMessage } from '@micrograft/contracts'

/*
 * Go-micro's envelope of the http, nats and redis brokers (v2.9.1, broker.Message through its JSON
 * codec): `{"Header":{"Content-Type":"…"},"Body":"<base64>"}`, header names in title case and sorted.
 */

/** @param topic Goes along as `Micro-Topic`. */
export function encodeEnvelope(topic: string, { header, body }: BrokerMessage): string {
  const named: [string, string][] = [['Micro-Topic', topic]]
  for (const name in header) {
    if (name !== 'micro-topic') named.push([titleCase(name), header[name] as string])
  }
  named.sort(byName)
  let fields = ''
  for (const [name, value] of named)
    fields += `${fields === '' ? '' : ','}${JSON.stringify(name)}:${JSON.stringify(value)}`
  // Base64 has nothing that JSON escapes.
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64')
  return `{"Header":{${fields}},"Body":"${text}"}`
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1
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
  const given = Header ?? {}
  if (typeof given !== 'object' || (body !== null && typeof body !== 'string')) throw noEnvelope()
  let topic: string | undefined
  const header: Record<string, string> = {}
  for (const name of Object.keys(given)) {
    const each = (given as Record<string, unknown>)[name]
    if (typeof each !== 'string') throw noEnvelope()
    const lower = name.toLowerCase()
    if (lower === 'micro-topic') topic = each
    else if (lower !== '__proto__') header[lower] = each
  }
  return { topic, message: { header, body: Buffer.from(body ?? '', 'base64') } }
}

function noEnvelope(): ServiceError {
  return new ServiceError('bad-request', 'the message has no Header of texts and no Body in base64')
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
