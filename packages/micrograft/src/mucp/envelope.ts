import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'
import { ServiceError } from '@micrograft/contracts'
import { firstElement, jsonMembers } from './json-members.js'

/** What goes around a body beside it. */
export interface EnvelopeHead {
  /** `Type.Method` in a request; servers leave it empty in the protobuf envelope of a reply. */
  readonly method: string
  readonly id: string
  readonly error: string
}

export interface Opened extends EnvelopeHead {
  readonly body: Buffer
}

/** A way to put method, id and error around a body, from before go-micro had headers for them. */
export interface Envelope {
  readonly contentType: string
  /** Of what is inside. */
  readonly innerType: string
  request(head: EnvelopeHead, body: Uint8Array): Buffer
  reply(head: EnvelopeHead, body: Uint8Array): Buffer
  /** @throws `bad-request` */
  openRequest(bytes: Uint8Array): Opened
  /** @throws `bad-request` */
  openReply(bytes: Uint8Array): Opened
}

const noBytes = Buffer.alloc(0)
const jsonNull = Buffer.from('null')

/** JSON-RPC 1.0, its id a text: `codec/jsonrpc` of go-micro. */
const jsonRpc: Envelope = {
  contentType: 'application/json-rpc',
  innerType: 'application/json',
  request: ({ method, id }, body) =>
    Buffer.concat([
      Buffer.from(`{"method":${JSON.stringify(method)},"params":[`),
      inner(body),
      Buffer.from(`],"id":${JSON.stringify(id)}}\n`),
    ]),
  reply: ({ id, error }, body) =>
    Buffer.concat([
      Buffer.from(`{"id":${JSON.stringify(id)},"result":`),
      inner(body),
      Buffer.from(`,"error":${error === '' ? 'null' : JSON.stringify(error)}}\n`),
    ]),
  openRequest(bytes) {
    const members = readMembers(bytes)
    const params = members.get('params')
    return {
      method: textOf(members.get('method'), 'method'),
      id: textOf(members.get('id'), 'id'),
      error: '',
      body: (params && elementOf(params)) ?? jsonNull,
    }
  },
  openReply(bytes) {
    const members = readMembers(bytes)
    return {
      method: '',
      id: textOf(members.get('id'), 'id'),
      error: textOf(members.get('error'), 'error'),
      body: members.get('result') ?? jsonNull,
    }
  },
}

/** A header message and the body, each behind its length: `codec/protorpc` of go-micro. */
const protoRpc: Envelope = {
  contentType: 'application/proto-rpc',
  innerType: 'application/protobuf',
  request: (head, body) => Buffer.concat([netstring(writeHead(head)), netstring(body)]),
  reply: (head, body) => Buffer.concat([netstring(writeHead(head)), netstring(body)]),
  openRequest: openNetstrings,
  openReply: openNetstrings,
}

/** The envelope that a content type asks for; with `legacy` also the types that had one before there were headers. */
export function envelopeOf(contentType: string, legacy = false): Envelope | undefined {
  if (contentType === jsonRpc.contentType) return jsonRpc
  if (contentType === protoRpc.contentType) return protoRpc
  if (!legacy) return undefined
  if (contentType === jsonRpc.innerType) return jsonRpc
  return contentType === protoRpc.innerType || contentType === 'application/octet-stream'
    ? protoRpc
    : undefined
}

function inner(body: Uint8Array): Uint8Array {
  return body.length === 0 ? jsonNull : body
}

function readMembers(bytes: Uint8Array): Map<string, Buffer> {
  try {
    return jsonMembers(asBuffer(bytes))
  } catch (cause) {
    throw refusal(`it is no JSON object: ${(cause as Error).message}`, cause)
  }
}

function elementOf(params: Buffer): Buffer | undefined {
  try {
    return firstElement(params)
  } catch (cause) {
    throw refusal(`its params are no array: ${(cause as Error).message}`, cause)
  }
}

/** A text, or a number as text; `null` and what is not there are empty. */
function textOf(value: Buffer | undefined, what: string): string {
  if (!value) return ''
  let parsed: unknown
  try {
    parsed = JSON.parse(value.toString('utf8'))
  } catch (cause) {
    throw refusal(`its ${what} is no JSON`, cause)
  }
  if (parsed === null) return ''
  if (typeof parsed === 'string' || typeof parsed === 'number') return String(parsed)
  throw refusal(`its ${what} is no text`)
}

function writeHead({ method, id, error }: EnvelopeHead): Uint8Array {
  const writer = new BinaryWriter()
  if (method !== '') writer.tag(1, 2).string(method)
  const sequence = /^\d{1,18}$/.test(id) ? BigInt(id) : 0n
  if (sequence !== 0n) writer.tag(2, 1).fixed64(sequence)
  if (error !== '') writer.tag(3, 2).string(error)
  return writer.finish()
}

function readHead(bytes: Buffer): EnvelopeHead {
  let method = ''
  let id = '0'
  let error = ''
  try {
    const reader = new BinaryReader(bytes)
    while (reader.pos < reader.len) {
      const [field, wire] = reader.tag()
      if (field === 1 && wire === 2) method = reader.string()
      else if (field === 2 && wire === 1) id = String(reader.fixed64())
      else if (field === 3 && wire === 2) error = reader.string()
      else reader.skip(wire, field)
    }
  } catch (cause) {
    throw refusal('its head is no protobuf', cause)
  }
  return { method, id, error }
}

function netstring(bytes: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(4 + bytes.length)
  framed.writeUInt32BE(bytes.length)
  framed.set(bytes, 4)
  return framed
}

function openNetstrings(bytes: Uint8Array): Opened {
  const buffer = asBuffer(bytes)
  const [head, at] = readNetstring(buffer, 0)
  // Go's reader takes a missing second one as empty.
  const [body] = at === buffer.length ? [noBytes] : readNetstring(buffer, at)
  return { ...readHead(head), body }
}

function readNetstring(bytes: Buffer, at: number): [Buffer, number] {
  if (at + 4 > bytes.length) throw refusal('it ends inside a length')
  const end = at + 4 + bytes.readUInt32BE(at)
  if (end > bytes.length)
    throw refusal(`a length says ${end - at - 4} bytes, ${bytes.length - at - 4} follow`)
  return [bytes.subarray(at + 4, end), end]
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function refusal(why: string, cause?: unknown): ServiceError {
  return new ServiceError('bad-request', `the envelope of the message is none: ${why}`, { cause })
}
