import { ServiceError, type BrokerMessage } from '@micrograft/contracts'
import type { IPublishPacket } from 'mqtt'
import { maxHeaderBytes } from './mqtt-options.js'

/** What a server may end the connection over, MQTT 5 §1.5.4: control characters, and what is no character. */
// eslint-disable-next-line no-control-regex
const notToBeSent = /[\0-\x1f\x7f-\x9f\p{Surrogate}\p{Noncharacter_Code_Point}]/u

/** Headers are user properties, MQTT 5 §3.3.2.3.7. @throws `too-large`, `bad-request`. */
export function encodeHeader(topic: string, header: BrokerMessage['header']): Record<string, string> {
  // Names are a publisher's: none may meet a prototype.
  const properties = Object.create(null) as Record<string, string>
  for (const name of Object.keys(header)) {
    const value = (properties[name] = header[name] as string)
    if (notToBeSent.test(name) || notToBeSent.test(value))
      throw new ServiceError(
        'bad-request',
        `the header ${JSON.stringify(name.slice(0, 64))} of a message for ${topic} has a character that MQTT does not carry; encode it`,
      )
  }
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
