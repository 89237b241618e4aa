import { isIPv4 } from 'node:net'
import { malformed, NameWriter, readName } from './dns-name.js'

/** RFC 1035 §3.2.2, RFC 3596, RFC 2782. */
export const dnsTypes = { A: 1, PTR: 12, TXT: 16, AAAA: 28, SRV: 33, ANY: 255 } as const

export interface DnsQuestion {
  readonly name: string
  readonly type: number
  /** 1 is the Internet; the highest bit asks for a unicast answer (RFC 6762 §18.12). */
  readonly class: number
}

interface RecordHead {
  readonly name: string
  /** In seconds; 0 takes the record back. */
  readonly ttl: number
}

export type DnsRecord =
  | (RecordHead & { readonly type: 'A' | 'AAAA'; readonly address: string })
  | (RecordHead & { readonly type: 'PTR'; readonly target: string })
  | (RecordHead & { readonly type: 'TXT'; readonly texts: readonly string[] })
  | (RecordHead & {
      readonly type: 'SRV'
      readonly priority: number
      readonly weight: number
      readonly port: number
      readonly target: string
    })

export interface DnsMessage {
  readonly id: number
  /** The second pair of bytes: 0x8000 is a response, 0x0400 an authoritative one. */
  readonly flags: number
  readonly questions: readonly DnsQuestion[]
  /** Answers and additional records; those of other types are left out. */
  readonly answers: readonly DnsRecord[]
}

/** More in one message than any peer has to say. */
const maxQuestions = 64
const maxRecords = 1024
const internet = 1

/** @param compress Whether names point back to names before them. */
export function encodeDnsMessage({ id, flags, questions, answers }: DnsMessage, compress: boolean): Buffer {
  const names = new NameWriter()
  const head = Buffer.alloc(12)
  ;[id, flags, questions.length, answers.length].forEach((value, index) =>
    head.writeUInt16BE(value, index * 2),
  )
  const parts: Buffer[] = [head]
  let offset = head.length
  const append = (part: Buffer): void => {
    parts.push(part)
    offset += part.length
  }
  for (const each of questions) {
    append(names.write(each.name, offset, compress))
    append(pair(each.type, each.class))
  }
  for (const each of answers) {
    append(names.write(each.name, offset, compress))
    const fixed = Buffer.alloc(10)
    fixed.writeUInt16BE(dnsTypes[each.type], 0)
    fixed.writeUInt16BE(internet, 2)
    fixed.writeUInt32BE(each.ttl, 4)
    const data = dataOf(each, names, offset + fixed.length, compress)
    fixed.writeUInt16BE(data.length, 8)
    append(fixed)
    append(data)
  }
  return Buffer.concat(parts)
}

/** @throws `protocol` for what is no DNS message, or one that is above the limits. */
export function decodeDnsMessage(bytes: Buffer): DnsMessage {
  if (bytes.length < 12) throw malformed('it is shorter than its head')
  const [id, flags, questionCount, ...recordCounts] = [0, 2, 4, 6, 8, 10].map((at) =>
    bytes.readUInt16BE(at),
  ) as [number, number, number, ...number[]]
  const recordCount = recordCounts.reduce((sum, each) => sum + each, 0)
  if (questionCount > maxQuestions || recordCount > maxRecords) throw malformed('it holds too many records')
  const questions: DnsQuestion[] = []
  const answers: DnsRecord[] = []
  let at = 12
  for (let i = 0; i < questionCount; i++) {
    const { name, end } = readName(bytes, at)
    need(bytes, end, 4)
    questions.push({ name, type: bytes.readUInt16BE(end), class: bytes.readUInt16BE(end + 2) })
    at = end + 4
  }
  const [answerCount = 0, authorityCount = 0] = recordCounts
  for (let i = 0; i < recordCount; i++) {
    const { name, end } = readName(bytes, at)
    need(bytes, end, 10)
    const data = end + 10
    at = data + bytes.readUInt16BE(end + 8)
    need(bytes, data, at - data)
    const isAuthority = i >= answerCount && i < answerCount + authorityCount
    // The highest bit tells other caches to forget what they know (RFC 6762 §10.2).
    if (isAuthority || (bytes.readUInt16BE(end + 2) & 0x7fff) !== internet) continue
    const record = recordOf(
      bytes,
      bytes.readUInt16BE(end),
      { name, ttl: bytes.readUInt32BE(end + 4) },
      data,
      at,
    )
    if (record) answers.push(record)
  }
  return { id, flags, questions, answers }
}

function dataOf(record: DnsRecord, names: NameWriter, offset: number, compress: boolean): Buffer {
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return packAddress(record.address)
    case 'PTR':
      return names.write(record.target, offset, compress)
    case 'TXT':
      return Buffer.concat(record.texts.map(packText))
    case 'SRV': {
      const { priority, weight, port, target } = record
      // A target is written whole, as RFC 2782 has it.
      return Buffer.concat([pair(priority, weight), uint16(port), names.write(target, offset + 6, false)])
    }
  }
}

function recordOf(
  bytes: Buffer,
  type: number,
  head: RecordHead,
  data: number,
  end: number,
): DnsRecord | undefined {
  switch (type) {
    case dnsTypes.A:
    case dnsTypes.AAAA:
      if (end - data !== (type === dnsTypes.A ? 4 : 16)) throw malformed('an address has a wrong length')
      return {
        ...head,
        type: type === dnsTypes.A ? 'A' : 'AAAA',
        address: unpackAddress(bytes.subarray(data, end)),
      }
    case dnsTypes.PTR:
      return { ...head, type: 'PTR', target: within(readName(bytes, data), end) }
    case dnsTypes.TXT:
      return { ...head, type: 'TXT', texts: unpackTexts(bytes.subarray(data, end)) }
    case dnsTypes.SRV: {
      if (end - data < 7) throw malformed('a service record is too short')
      const [priority, weight, port] = [0, 2, 4].map((at) => bytes.readUInt16BE(data + at)) as [
        number,
        number,
        number,
      ]
      return { ...head, type: 'SRV', priority, weight, port, target: within(readName(bytes, data + 6), end) }
    }
    default:
      return undefined
  }
}

function within({ name, end }: { readonly name: string; readonly end: number }, limit: number): string {
  if (end !== limit) throw malformed('a name is not as long as its record')
  return name
}

function packText(text: string): Buffer {
  const bytes = Buffer.from(text)
  if (bytes.length > 255) throw new RangeError('a text of a TXT record has at most 255 bytes')
  return Buffer.concat([Buffer.of(bytes.length), bytes])
}

function unpackTexts(bytes: Buffer): readonly string[] {
  const texts: string[] = []
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + (bytes[at] ?? 0)
    need(bytes, at, end - at)
    texts.push(bytes.toString('utf8', at + 1, end))
    at = end
  }
  return texts
}

function packAddress(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail] = address.split('::')
  const front = groups(head)
  const back = groups(tail ?? '')
  return Buffer.concat([front, Buffer.alloc(tail === undefined ? 0 : 16 - front.length - back.length), back])
}

function groups(text: string): Buffer {
  if (text === '') return Buffer.alloc(0)
  return Buffer.concat(
    text.split(':').map((each) => (isIPv4(each) ? packAddress(each) : uint16(Number.parseInt(each, 16)))),
  )
}

function unpackAddress(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  const written = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(
    ':',
  )
  // The URL parser shortens it as RFC 5952 has it.
  return new URL(`http://[${written}]`).hostname.slice(1, -1)
}

function need(bytes: Buffer, at: number, count: number): void {
  if (at + count > bytes.length) throw malformed('it ends within a record')
}

function uint16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff)
}

function pair(first: number, second: number): Buffer {
  return Buffer.concat([uint16(first), uint16(second)])
}
