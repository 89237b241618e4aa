import { ServiceError, type BrokerMessage } from '@micrograft/contracts'

/** One message as a stream has it. */
export interface Entry {
  readonly id: string
  /** How often it was delivered before. */
  readonly redelivered: number
  readonly message: BrokerMessage
}

/** An entry whose fields are no message of this broker. */
export interface BrokenEntry {
  readonly id: string
  readonly error: ServiceError
}

/** The fields of a message, as XADD takes them. The body is copied: it may wait for a connection. */
export function fieldsOf({ header, body }: BrokerMessage): (string | Buffer)[] {
  const text = JSON.stringify(header)
  return [...(text === '{}' ? [] : ['header', text]), 'body', Buffer.from(body)]
}

/** Fields beside `header` and `body` are another's, and passed over. */
export function readEntry(id: string, redelivered: number, fields: readonly Buffer[]): Entry | BrokenEntry {
  let header: Readonly<Record<string, string>> = {}
  let body = new Uint8Array()
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const name = (fields[index] as Buffer).toString()
    const value = fields[index + 1] as Buffer
    // A copy: it is a part of what came from the socket, and the subscriber's from now on.
    if (name === 'body') body = new Uint8Array(value)
    if (name === 'header') {
      const read = readHeader(value.toString())
      if (!read) return { id, error: new ServiceError('protocol', `the header of message ${id} is none`) }
      header = read
    }
  }
  return { id, redelivered, message: { header, body } }
}

function readHeader(text: string): Readonly<Record<string, string>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return Object.values(value).every((each) => typeof each === 'string')
      ? (value as Record<string, string>)
      : undefined
  } catch {
    return undefined
  }
}

/** Whether id `a` comes before id `b`: two numbers, milliseconds and a count. */
export function isBefore(a: string, b: string): boolean {
  const [aTime = '', aCount = '0'] = a.split('-')
  const [bTime = '', bCount = '0'] = b.split('-')
  return aTime === bTime ? BigInt(aCount) < BigInt(bCount) : BigInt(aTime) < BigInt(bTime)
}
