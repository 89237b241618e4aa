import type { Message } from '@micrograft/contracts'
import { headerOf, malformed } from './frames.js'

/*
 * Go-micro's nats transport (go-plugins transport/nats; in go-micro since v5.8): a message is
 * `{"Header":{…},"Body":"<base64>"}`, and one reply inbox is one connection.
 */

/** Names that go-micro writes otherwise since v4.10.0; over NATS nobody else makes them alike, so they go both ways. */
const bothWays: Readonly<Record<string, string>> = {
  'Micro-Id': 'Micro-ID',
  'Micro-Trace-Id': 'Micro-Trace-ID',
  'Micro-Span-Id': 'Micro-Span-ID',
}

export function encodeGoMessage({ header, body }: Message): Buffer {
  const named = Object.entries(header).flatMap(([name, value]) => {
    const title = name.replace(
      /(^|-)([a-z])/g,
      (_, dash: string, letter: string) => dash + letter.toUpperCase(),
    )
    const other = bothWays[title]
    return other === undefined
      ? [[title, value] as const]
      : [[title, value] as const, [other, value] as const]
  })
  return Buffer.from(
    JSON.stringify({
      Header: Object.fromEntries(named.sort(([a], [b]) => (a < b ? -1 : 1))),
      Body: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64'),
    }),
  )
}

/** @throws `protocol` */
export function decodeGoMessage(data: Uint8Array): Message {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString())
  } catch (cause) {
    throw malformed(`it is not JSON: ${(cause as Error).message}`)
  }
  const { Header: header, Body: body = null } = (
    typeof value === 'object' && value !== null ? value : {}
  ) as {
    Header?: unknown
    Body?: unknown
  }
  if (body !== null && typeof body !== 'string') throw malformed('its Body is no text')
  // Go writes an empty map, and empty bytes, as null.
  return { header: headerOf(header ?? {}), body: Buffer.from(body ?? '', 'base64') }
}
