import { ServiceError, type Message, type Metadata, type ServerReply } from '@micrograft/contracts'
import { metadataBytes } from '../rpc/metadata.js'
import { envelopeOf, type Envelope } from './envelope.js'
import {
  endOfStream,
  longIdError,
  maxIdLength,
  micro,
  protobuf,
  putMetadata,
  readMetadata,
  readTimeout,
  requireText,
  setTwins,
  type Header,
} from './headers.js'
import { writeError } from './mucp-error.js'

const noBody = new Uint8Array(0)

/** How to answer one request, which is known before the request is understood. */
export interface ReplyTo {
  readonly id: string
  readonly contentType: string
  readonly envelope: Envelope | undefined
}

export interface Understood {
  readonly service: string
  readonly endpoint: string
  /** Of the body inside an envelope. */
  readonly contentType: string
  readonly metadata: Metadata
  /** What is left of the caller's deadline, in milliseconds. */
  readonly timeoutMs: number
  readonly body: Uint8Array
  readonly replyTo: ReplyTo
}

/** How to answer `header` where nothing else is known of it. */
export function replyTo(header: Header): ReplyTo {
  const contentType = header['content-type'] || protobuf
  const bare = contentType.replace(/;.*$/s, '').trim().toLowerCase()
  return { id: micro(header, 'micro-id'), contentType, envelope: envelopeOf(bare, isLegacy(header)) }
}

/** @throws `bad-request` */
export function understand({ header, body }: Message, reply: ReplyTo): Understood {
  const { envelope, contentType } = reply
  const inside = envelope?.openRequest(body)
  if (inside && inside.id.length > maxIdLength) throw longIdError()
  const endpoint = micro(header, 'micro-endpoint') || micro(header, 'micro-method') || inside?.method || ''
  requireText('the endpoint', endpoint)
  if (!/^[^.]+\.[^.]+$/.test(endpoint))
    throw new ServiceError(
      'bad-request',
      `the endpoint is ${JSON.stringify(endpoint)}; Micro-Endpoint says Type.Method`,
    )
  return {
    service: micro(header, 'micro-service') || micro(header, 'micro-target'),
    endpoint,
    contentType: envelope?.innerType ?? contentType,
    metadata: readMetadata(header),
    timeoutMs: readTimeout(header),
    body: inside?.body ?? body,
    replyTo: inside ? { ...reply, id: inside.id || reply.id } : reply,
  }
}

/** @throws `bad-request` for metadata that is none. */
export function replyMessage(to: ReplyTo, { metadata, contentType, body }: ServerReply): Message {
  const header = headerOf(to, metadata)
  // Go sets it where there is a body; an empty one needs it only where it is not what was asked in.
  if (to.envelope) header['content-type'] = to.contentType
  else if (body.length > 0 || contentType !== to.contentType)
    header['content-type'] = requireText('the content type', contentType)
  return { header, body: to.envelope ? to.envelope.reply({ method: '', id: to.id, error: '' }, body) : body }
}

export function errorMessage(to: ReplyTo, error: ServiceError): Message {
  return endMessage(to, headerOf(to, {}), writeError(error))
}

/** The header of a stream's messages. */
export function streamHeader(to: ReplyTo, stream: string, { service, endpoint }: Understood): Header {
  const header = headerOf(to, {})
  setTwins(header, 'micro-service', service)
  setTwins(header, 'micro-method', endpoint)
  setTwins(header, 'micro-endpoint', endpoint)
  header['micro-stream'] = stream
  header['content-type'] = to.contentType
  return header
}

export function streamMessage(to: ReplyTo, header: Header, body: Uint8Array): Message {
  return { header, body: to.envelope ? to.envelope.reply({ method: '', id: to.id, error: '' }, body) : body }
}

/** The last message of a stream. @throws `bad-request` for metadata that is none. */
export function streamEnd(to: ReplyTo, metadata: Metadata): Message {
  return endMessage(to, headerOf(to, metadata), endOfStream)
}

/** Readers of an envelope look for the error inside first, and fail where there is none. */
function endMessage(to: ReplyTo, header: Record<string, string>, error: string): Message {
  setTwins(header, 'micro-error', error)
  if (!to.envelope) return { header, body: noBody }
  header['content-type'] = to.contentType
  return { header, body: to.envelope.reply({ method: '', id: to.id, error }, noBody) }
}

function headerOf({ id }: ReplyTo, metadata: Metadata): Record<string, string> {
  metadataBytes(metadata)
  const header: Record<string, string> = {}
  putMetadata(header, metadata)
  setTwins(header, 'micro-id', id)
  return header
}

/** Whether a request is from before there were headers for service and method (`setupProtocol` of go-micro). */
function isLegacy(header: Header): boolean {
  if (micro(header, 'micro-protocol') !== '') return false
  if (micro(header, 'micro-target') !== '') return true
  return ['micro-service', 'micro-method', 'micro-endpoint'].every(
    (name) => micro(header, name as 'micro-service') === '',
  )
}
