import {
  connect,
  type ClientHttp2Session,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'

export interface RawAnswer {
  /** Headers and trailers together. */
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** What the stream was reset with; 0 where it was not. */
  readonly reset: number
}

/** A message as gRPC frames it. */
export function frame(
  body: Uint8Array | string,
  flag = 0,
  length = Buffer.byteLength(body as Uint8Array),
): Buffer {
  const head = Buffer.alloc(5)
  head[0] = flag
  head.writeUInt32BE(length, 1)
  return Buffer.concat([head, Buffer.from(body as Uint8Array)])
}

/** A connection of HTTP/2 without gRPC. */
export function rawSession(address: string): ClientHttp2Session {
  const session = connect(`http://${address}`, { maxSendHeaderBlockLength: 16_777_216 })
  session.on('error', () => undefined)
  return session
}

/** Sends bytes as the body of a call and gives what comes back. */
export function rawCall(
  session: ClientHttp2Session,
  body: Uint8Array,
  headers: OutgoingHttpHeaders = {},
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/echo.Say/Hello',
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    })
    let got: IncomingHttpHeaders = {}
    const chunks: Buffer[] = []
    stream.on('response', (each) => (got = { ...got, ...each }))
    stream.on('trailers', (each) => (got = { ...got, ...each }))
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', () => undefined)
    stream.on('close', () =>
      resolve({ headers: got, body: Buffer.concat(chunks), reset: stream.rstCode ?? 0 }),
    )
    stream.end(body)
  })
}
