import {
  ServiceError,
  type ClientReply,
  type ClientRequest,
  type Message,
  type Metadata,
  type Node,
} from '@micrograft/contracts'
import { metadataBytes } from '../rpc/metadata.js'
import { protocolError } from '../transport/protocol-error.js'
import { envelopeOf, type Envelope } from './envelope.js'
import {
  endOfStream,
  micro,
  putMetadata,
  readMetadata,
  requireText,
  writeTimeout,
  type Header,
} from './headers.js'
import { readError } from './mucp-error.js'

/** A request as this protocol says it. */
export interface Outgoing {
  readonly request: ClientRequest
  readonly id: string
  readonly envelope: Envelope | undefined
  readonly header: Header
}

export interface OutgoingOptions {
  readonly id: string
  /** Who calls. */
  readonly from: string
  readonly timeoutMs: number | undefined
  readonly legacy: boolean
  readonly stream: boolean
}

/** @throws `bad-request` where the request cannot be said in headers. */
export function checkRequest({ service, endpoint, contentType, metadata }: ClientRequest): void {
  requireText('the service', service)
  requireText('the endpoint', endpoint)
  requireText('the content type', contentType)
  metadataBytes(metadata)
}

/**
 * Whether a node is one of go-micro from before nodes said their protocol: it names its server and no
 * protocol. An address without metadata is called as any other.
 */
export function isLegacy({ metadata }: Node): boolean {
  return metadata['protocol'] === undefined && metadata['server'] !== undefined
}

export function outgoing(request: ClientRequest, options: OutgoingOptions): Outgoing {
  const { id, from, timeoutMs, legacy, stream } = options
  const { service, endpoint, contentType } = request
  const envelope = contentType === 'application/octet-stream' ? undefined : envelopeOf(contentType, legacy)
  const header: Record<string, string> = { 'micro-from-service': from }
  putMetadata(header, request.metadata)
  header['accept'] = contentType
  header['content-type'] = envelope?.contentType ?? contentType
  header['micro-service'] = service
  header['micro-endpoint'] = endpoint
  header['micro-method'] = endpoint
  header['micro-id'] = id
  if (stream) header['micro-stream'] = id
  if (timeoutMs !== undefined) header['timeout'] = writeTimeout(timeoutMs)
  return { request, id, envelope, header }
}

/** The message that asks, or one of a stream. */
export function requestMessage({ request, id, envelope, header }: Outgoing, body: Uint8Array): Message {
  return {
    header,
    body: envelope ? envelope.request({ method: request.endpoint, id, error: '' }, body) : body,
  }
}

/** One message of a server. */
export interface Incoming extends ClientReply {
  /** A stream has ended. */
  readonly ended: boolean
  readonly error: ServiceError | undefined
}

/** Whether a reply repeats the header of the connection's first request, as go-micro's do: `Accept` is no part of a reply. */
export function repeatsRequest({ header }: Message): boolean {
  return header['accept'] !== undefined
}

/**
 * Reads what a server sent for `sent`.
 *
 * @param first The header of the connection's first request.
 * @throws `protocol` for what is no reply to it, after which the connection is of no use.
 */
export function readIncoming(message: Message, sent: Outgoing, first: Header): Incoming {
  const { header, body } = message
  const { request, id, envelope } = sent
  const answered = header['x-micro-id']
  if (answered !== undefined && answered !== id)
    throw protocolError(`a reply is for the call ${answered.slice(0, 40)}, and ${id} is under way`)
  const said = micro(header, 'micro-error')
  const opened = envelope && said === '' && body.length > 0 ? openReply(envelope, body) : undefined
  const text = said || opened?.error || ''
  const repeats = repeatsRequest(message)
  return {
    ended: text === endOfStream,
    error: failure(text, header, body, request),
    metadata: readReplyMetadata(header, repeats ? first : undefined),
    // Where the first request is repeated, so is its type; Go always answers in the type of the request.
    contentType: repeats || envelope ? innerType(sent) : header['content-type'] || request.contentType,
    body: opened?.body ?? body,
  }
}

function failure(
  text: string,
  header: Header,
  body: Uint8Array,
  { service, contentType }: ClientRequest,
): ServiceError | undefined {
  if (text === endOfStream) return undefined
  if (text !== '') return readError(text, service)
  const status = header[':status']
  if (status !== undefined) {
    const said = Buffer.from(body.subarray(0, 1024)).toString().trim()
    const code = Number.parseInt(status, 10)
    return ServiceError.fromWire({ id: service, code, detail: `${status}: ${said}`, status: '' })
  }
  // Go's server says so in a body, without Micro-Error.
  if (header['content-type'] === 'text/plain' && contentType !== 'text/plain') {
    const said = Buffer.from(body.subarray(0, 1024)).toString()
    if (/^unsupported content-type/i.test(said)) return readError(said, service)
  }
  return undefined
}

function readReplyMetadata(header: Header, echoed: Header | undefined): Metadata {
  try {
    return readMetadata(header, echoed)
  } catch (error) {
    throw protocolError(`a reply has headers that are no metadata: ${(error as Error).message}`)
  }
}

function openReply(envelope: Envelope, body: Uint8Array): ReturnType<Envelope['openReply']> {
  try {
    return envelope.openReply(body)
  } catch (error) {
    throw protocolError(`a reply has no ${envelope.contentType} envelope: ${(error as Error).message}`)
  }
}

function innerType({ request, envelope }: Outgoing): string {
  return envelope?.innerType ?? request.contentType
}
