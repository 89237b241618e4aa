import { ServiceError } from '@micrograft/contracts'

/** Most bytes of a name on the wire, and most pointers followed to read one (RFC 1035 §2.3.4). */
const maxNameBytes = 255
const maxLabelBytes = 63
const maxPointers = 64
/** A pointer has 14 bits. */
const maxPointerOffset = 0x3fff

/** The labels of a name as it is written, e.g. `greeter-1.greeter.micro.`; `\.` is a dot within a label. */
export function labelsOf(name: string): readonly Buffer[] {
  const written = name.endsWith('.') && !name.endsWith('\\.') ? name.slice(0, -1) : name
  if (written === '') return []
  const labels = (written.match(/(?:\\.|[^.\\])*(?:\.|$)/gs) ?? [])
    .slice(0, -1)
    .map((label) => Buffer.from(label.replace(/\.$/, '').replace(/\\(.)/gs, '$1')))
  const bytes = labels.reduce((sum, { length }) => sum + length + 1, 1)
  if (bytes > maxNameBytes || labels.some(({ length }) => length === 0 || length > maxLabelBytes)) {
    const message = `${JSON.stringify(name.slice(0, 300))} is no DNS name: each part has 1 to ${maxLabelBytes} bytes, all have at most ${maxNameBytes}`
    throw new ServiceError('bad-request', message)
  }
  return labels
}

/** Appends names to a message, pointing back to what was written before. */
export class NameWriter {
  readonly #offsets = new Map<string, number>()

  /**
   * @param offset Where in the message the name will stand.
   * @param compress Whether it may point back; others may point to it in any case.
   */
  write(name: string, offset: number, compress: boolean): Buffer {
    const labels = labelsOf(name)
    const parts: Buffer[] = []
    // As on the wire: a length before each label keeps apart what dots would not.
    let rest = labels.map((label) => String.fromCharCode(label.length) + label.toString('latin1')).join('')
    let at = offset
    for (const label of labels) {
      const known = this.#offsets.get(rest)
      if (compress && known !== undefined) {
        parts.push(Buffer.of(0xc0 | (known >> 8), known & 0xff))
        return Buffer.concat(parts)
      }
      if (known === undefined && at <= maxPointerOffset) this.#offsets.set(rest, at)
      parts.push(Buffer.of(label.length), label)
      at += label.length + 1
      rest = rest.slice(label.length + 1)
    }
    parts.push(Buffer.of(0))
    return Buffer.concat(parts)
  }
}

/**
 * The name at `offset` and where what follows it begins. Pointers lead back, each further than the
 * one before, so that none of them can go round in a circle.
 *
 * @throws `protocol`
 */
export function readName(bytes: Buffer, offset: number): { readonly name: string; readonly end: number } {
  const labels: string[] = []
  let length = 1
  let at = offset
  let limit = offset
  let end = -1
  for (let pointers = 0; ;) {
    const size = byteAt(bytes, at)
    if (size === 0) return { name: `${labels.join('.')}.`, end: end < 0 ? at + 1 : end }
    if (size >= 0xc0) {
      const target = ((size & 0x3f) << 8) | byteAt(bytes, at + 1)
      if (end < 0) end = at + 2
      if (target >= limit || ++pointers > maxPointers) throw malformed('a name points where it must not')
      at = limit = target
    } else if (size > maxLabelBytes) {
      throw malformed('a name has a part of an unknown kind')
    } else {
      length += size + 1
      if (length > maxNameBytes) throw malformed(`a name has more than ${maxNameBytes} bytes`)
      if (at + 1 + size > bytes.length) throw malformed('it ends within a name')
      labels.push(bytes.toString('utf8', at + 1, at + 1 + size).replace(/[.\\]/g, '\\$&'))
      at += size + 1
    }
  }
}

export function malformed(message: string): ServiceError {
  return new ServiceError('protocol', `malformed DNS message: ${message}`)
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at]
  if (byte === undefined) throw malformed('it ends within a name')
  return byte
}
