import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { errorCodes, ServiceError, type Logger } from '@micrograft/contracts'
import { decodeEnvelope } from './http-envelope.js'
import type { Inbox } from './inbox.js'

export interface HttpInboxesOptions {
  readonly host: string
  readonly port: number
  readonly maxMessageBytes: number
  readonly log: Logger
}

/** Longest wait for the whole of a message that a peer sends, in milliseconds. */
const receiveTimeoutMs = 30_000

/**
 * The receiving side of the http broker: one server for all subscriptions of a process. A publisher
 * posts to `/?id=<subscription>`; 200 says that the message is in the subscription's inbox.
 */
export class HttpInboxes implements AsyncDisposable {
  readonly #options: HttpInboxesOptions
  readonly #inboxes = new Map<string, { readonly topic: string; readonly inbox: Inbox }>()
  #server: Promise<Server> | undefined

  constructor(options: HttpInboxesOptions) {
    this.#options = options
  }

  /** Adds a subscription, and gives the address that messages for it are posted to. */
  async add(id: string, topic: string, inbox: Inbox): Promise<string> {
    this.#inboxes.set(id, { topic, inbox })
    this.#server ??= this.#listen()
    const { address, port, family } = (await this.#server).address() as AddressInfo
    return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`
  }

  remove(id: string): void {
    this.#inboxes.delete(id)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const server = await this.#server?.catch(() => undefined)
    if (!server) return
    await new Promise((resolve) => {
      server.close(resolve)
      server.closeAllConnections()
    })
  }

  #listen(): Promise<Server> {
    const { host, port } = this.#options
    const server = createServer(
      { requestTimeout: receiveTimeoutMs, headersTimeout: receiveTimeoutMs, maxHeaderSize: 16_384 },
      (request, response) => {
        void this.#receive(request, response)
      },
    )
    return new Promise((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) => {
        const code = cause.code === 'EADDRINUSE' ? 'conflict' : 'unavailable'
        reject(
          new ServiceError(
            code,
            `the http broker cannot listen on ${host}:${port}: ${cause.message}; choose another with --broker_address`,
            { cause },
          ),
        )
      })
      server.listen(port, host, () => {
        server.unref()
        resolve(server)
      })
    })
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (request.method !== 'POST')
        throw new ServiceError('bad-request', `the broker takes POST, not ${request.method}`)
      const id = new URL(request.url ?? '/', 'http://broker').searchParams.get('id') ?? ''
      const text = await readText(request, this.#options.maxMessageBytes)
      const found = this.#inboxes.get(id)
      if (!found) throw new ServiceError('not-found', `there is no subscription ${id.slice(0, 256)} here`)
      const { message } = decodeEnvelope(text)
      found.inbox.put({ topic: found.topic, message, redelivered: 0 })
      response.writeHead(200, { 'content-length': 0 }).end()
    } catch (error) {
      const wire = ServiceError.from(error, 'internal', 'go.micro.broker').toWire()
      if (wire.code === errorCodes.internal.status) this.#options.log.error('broker failed', { error })
      const body = JSON.stringify({ ...wire, id: 'go.micro.broker' })
      // What is left of a message that is too large is not waited for.
      if (!request.complete) response.setHeader('connection', 'close')
      response
        .writeHead(wire.code, {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        })
        .end(body)
    }
  }
}

async function readText(request: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes)
      throw new ServiceError(
        'too-large',
        `the message has more than the ${maxBytes} bytes that the broker takes`,
      )
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
