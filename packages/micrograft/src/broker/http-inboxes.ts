import type { AddressInfo, Server, Socket } from 'node:net'
import { errorCodes, ServiceError, type Logger } from '@micrograft/contracts'
import { dialableHost, formatHostAddress } from '../transport/host-address.js'
import { letIn, makeServer, opened } from '../transport/sockets.js'
import type { Tls } from '../transport/tls-options.js'
import { StreamConnection, type StreamConnectionOptions } from '../transport/stream-connection.js'
import { WriteBuffers } from '../transport/write-buffers.js'
import { decodeEnvelope } from './http-envelope.js'
import type { Inbox } from './inbox.js'
import { postFraming, type PostAnswer } from './post-framing.js'

export interface HttpInboxesOptions {
  /** Empty is `127.0.0.1`. */
  readonly host: string
  readonly port: number
  /** As it lies on the wire. */
  readonly maxMessageBytes: number
  /** What posts come over. */
  readonly tls: Tls | undefined
  readonly log: Logger
}

const maxHeaderBytes = 16_384
const maxConnections = 10_000
/** Answers that a publisher leaves unread cost it its connection from here on. */
const maxQueuedBytes = 1_048_576

const taken: PostAnswer = { status: 200, body: '' }

/**
 * The receiving side of the http broker: one server for all subscriptions of a process. A publisher
 * posts to `/?id=<subscription>`; 200 says that the message is in the subscription's inbox. Posts may
 * follow one another without waiting: they are answered in their order.
 */
export class HttpInboxes implements AsyncDisposable {
  readonly #options: HttpInboxesOptions
  readonly #inboxes = new Map<string, { readonly topic: string; readonly inbox: Inbox }>()
  /** By the target that leads to it. */
  readonly #targets = new Map<string, string>()
  readonly #connections = new Set<StreamConnection>()
  /** Below TLS. */
  readonly #unready = new Set<Socket>()
  #server: Promise<Server> | undefined

  constructor(options: HttpInboxesOptions) {
    this.#options = options
  }

  /** Adds a subscription, and gives the address that messages for it are posted to. */
  async add(id: string, topic: string, inbox: Inbox): Promise<string> {
    this.#server ??= this.#listen().catch((error: unknown) => {
      // The next subscription tries again.
      this.#server = undefined
      throw error
    })
    const { address, port } = (await this.#server).address() as AddressInfo
    this.#inboxes.set(id, { topic, inbox })
    this.#targets.set(targetOf(id), id)
    // A host name stays what publishers dial: it may lead elsewhere from there.
    const isAny = address === '0.0.0.0' || address === '::'
    return formatHostAddress({ host: isAny ? dialableHost(address) : this.#options.host || address, port })
  }

  remove(id: string): void {
    this.#inboxes.delete(id)
    this.#targets.delete(targetOf(id))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const server = await this.#server?.catch(() => undefined)
    if (!server) return
    await letIn(server)
    server.close()
    // A publisher whose message was taken must be told so, or it goes to another subscriber as well.
    await Promise.all([...this.#connections].map((each) => each.close()))
    for (const socket of this.#unready) socket.destroy()
  }

  async #listen(): Promise<Server> {
    const { port, maxMessageBytes, tls } = this.#options
    const host = this.#options.host || '127.0.0.1'
    const options: Omit<StreamConnectionOptions, 'remote'> = {
      dialled: undefined,
      framing: postFraming({ maxMessageBytes, maxHeaderBytes }, (target, body) => this.#take(target, body)),
      limits: { maxMessageBytes: maxQueuedBytes, maxQueuedBytes },
      buffers: new WriteBuffers(),
      onClosed: (ended) => this.#connections.delete(ended),
    }
    const secured = tls && { tls, protocols: undefined }
    const server = makeServer(secured, (socket) => this.#accept(socket, options))
    if (tls) server.on('connection', (socket) => this.#watchUnready(socket))
    server.maxConnections = maxConnections
    try {
      await opened(server, { host, port })
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException
      throw new ServiceError(
        code === 'EADDRINUSE' ? 'conflict' : 'unavailable',
        `the http broker cannot listen on ${host}:${port}: ${message}; choose another with --broker_address`,
        { cause },
      )
    }
    // Errors of accepting, e.g. too many open files, leave the door open.
    server.on('error', (error) => this.#options.log.warn('the http broker cannot accept', { error }))
    return server.unref()
  }

  #accept(socket: Socket, options: Omit<StreamConnectionOptions, 'remote'>): void {
    const { remoteAddress = 'unknown', remotePort = 0 } = socket
    const remote = formatHostAddress({ host: remoteAddress, port: remotePort })
    const connection = new StreamConnection(socket, { ...options, remote })
    this.#connections.add(connection)
    connection.attach({ message: () => undefined, closed: () => undefined })
  }

  #watchUnready(socket: Socket): void {
    this.#unready.add(socket)
    socket.once('close', () => this.#unready.delete(socket))
  }

  #take(target: string, body: Uint8Array): PostAnswer {
    try {
      const id = this.#targets.get(target) ?? idIn(target)
      const found = this.#inboxes.get(id)
      if (!found) throw new ServiceError('not-found', `there is no subscription ${id.slice(0, 256)} here`)
      const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString()
      const { message } = decodeEnvelope(text)
      found.inbox.put({ topic: found.topic, message, redelivered: 0 })
      return taken
    } catch (error) {
      const wire = ServiceError.from(error, 'internal', 'go.micro.broker').toWire()
      if (wire.code === errorCodes.internal.status) this.#options.log.error('broker failed', { error })
      return { status: wire.code, body: JSON.stringify({ ...wire, id: 'go.micro.broker' }) }
    }
  }
}

/** Where messages for a subscription are posted. */
export function targetOf(id: string): string {
  return `/?id=${encodeURIComponent(id)}`
}

function idIn(target: string): string {
  try {
    return new URL(target, 'http://broker').searchParams.get('id') ?? ''
  } catch (cause) {
    throw new ServiceError('bad-request', 'the target of a post is no URL', { cause })
  }
}
