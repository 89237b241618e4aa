import { ServiceError, type BrokerMessage, type Delivery } from '@micrograft/contracts'
import type { AsyncMessage } from 'rabbitmq-client'

/*
 * As go-micro's rabbitmq broker has it: the topic is the routing key, the header the AMQP headers with
 * names in title case, and the body the body.
 */

/** How often a message was delivered before it was put aside to be delivered again. */
export const redeliveredHeader = 'micrograft-redelivered'

/** How long a message is put aside for. */
export const pauseHeader = 'micrograft-pause'

/** Most bytes of a header: it goes into one frame. */
const maxHeaderBytes = 122_880

/** @throws `too-large`. */
export function encodeHeaders(topic: string, header: BrokerMessage['header']): Record<string, string> {
  const headers: Record<string, string> = { 'Micro-Topic': topic }
  let bytes = 0
  for (const name of Object.keys(header)) {
    const value = header[name] as string
    const nameBytes = Buffer.byteLength(name)
    bytes += nameBytes + Buffer.byteLength(value) + 8
    if (nameBytes > 255 || bytes > maxHeaderBytes)
      throw new ServiceError(
        'too-large',
        `the header of a message for ${topic} is too large; a name has at most 255 bytes and all of it ${maxHeaderBytes}`,
      )
    headers[titleCase(name)] = value
  }
  return headers
}

/** The message with its header in lower case, without what this broker put in. */
export function decodeMessage(topic: string, { headers = {}, body, ...fields }: AsyncMessage): Delivery {
  const header: Record<string, string> = {}
  let before = 0
  for (const [name, value] of Object.entries(headers) as [string, unknown][]) {
    const lower = name.toLowerCase()
    if (lower === redeliveredHeader) before = countOf(value)
    else if (lower !== 'micro-topic' && isPublishers(name) && typeof value !== 'object')
      header[lower] = String(value)
  }
  // A quorum queue counts; a classic one says that it happened.
  const count = countOf(headers['x-delivery-count'] ?? (fields.redelivered ? 1 : 0))
  return { topic, message: { header, body: bytesOf(body) }, redelivered: before + count }
}

/** Publishers can write these headers too: what is no count is none. */
function countOf(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0
}

/** Whether the publisher wrote a header, and not the server or this broker about earlier deliveries. */
export function isPublishers(name: string): boolean {
  return !/^x-(death|first-death-|last-death-|delivery-count)/.test(name) && name !== pauseHeader
}

/** Where the link does not keep it from that, the library reads what others mark as text or JSON. */
export function bytesOf(body: unknown): Uint8Array {
  if (body instanceof Uint8Array) return body
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

function titleCase(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, before: string, letter: string) => before + letter.toUpperCase())
}
