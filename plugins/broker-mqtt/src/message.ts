import { ServiceError, type BrokerMessage } from '@micrograft/contracts'
import type { IPublishPacket } from 'mqtt'
import { maxHeaderBytes } from './mqtt-options.js'

/** Headers are user properties, MQTT 5 §3.3.2.3.7. @throws `too-large`. */
export function encodeHeader(topic: string, header: BrokerMessage['header']): Record<string, string> {
  // Names are a publisher's: none may meet a prototype.
  const properties = Object.create(null) as Record<string, string>
  for (const name of Object.keys(header)) properties[name] = header[name] as string
  const sizes = Object.entries(properties).map(([name, value]) => [
    Buffer.byteLength(name),
    Buffer.byteLength(value),
  ]) as [number, number][]
  const total = sizes.reduce((sum, [name, value]) => sum + name + value + 5, 0)
  if (total > maxHeaderBytes || sizes.some((each) => Math.max(...each) > 65_535))
    throw new ServiceError(
      'too-large',
      `the header of a message for ${topic} is too large; a value has at most 65535 bytes and all of it ${maxHeaderBytes}`,
    )
  return properties
}

/** What a packet holds beside its body, in bytes, and a little more. */
export function overhead(topic: string, properties: Readonly<Record<string, string>>): number {
  return Object.entries(properties).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value) + 5,
    Buffer.byteLength(topic) + 32,
  )
}

/** The message with its header in lower case; of properties that come several times, the last. */
export function decodeMessage({ payload, properties }: IPublishPacket): BrokerMessage {
  const header: Record<string, string> = {}
  for (const [name, value] of Object.entries(properties?.userProperties ?? {}))
    header[name.toLowerCase()] = Array.isArray(value) ? (value.at(-1) ?? '') : value
  // A copy: the library may have cut it out of what came with it.
  return { header, body: new Uint8Array(payload as Buffer) }
}
