import { STATUS_CODES } from 'node:http'

/** Why a peer's bytes are not taken, with the status that HTTP has for it. The reader makes a `ServiceError` of it. */
export class HttpRefusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** A response that says `message` and ends the connection. */
export function refusalResponse(status: number, message: string): string {
  const body = `${message}\n`
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    ...(status === 405 ? ['Allow: POST'] : []),
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n')
}
