import {
  ServiceError,
  type Client,
  type Dispatcher,
  type ErrorCode,
  type Node,
  type Server,
  type ServerRequest,
  type ServerStream,
  type UnaryRequest,
} from '@micrograft/contracts'
import { componentContext } from '@micrograft/testing'
import { mucpClient, type MucpClientOptions } from '../../dist/mucp/mucp-client.js'
import { mucpServer, type MucpServerOptions } from '../../dist/mucp/mucp-server.js'
import { httpTransport, type HttpTransportOptions } from '../../dist/transport/http-transport.js'
import { rawHttpServer, type RawHttp, type RawMessage } from './mucp-raw.js'

export interface RawNode extends AsyncDisposable {
  readonly client: Client
  readonly node: Node
  readonly peers: RawHttp[]
  call(more?: Partial<UnaryRequest>): ReturnType<Client['call']>
}

/** A client of mucp over http, of a service `caller`, and a node whose bytes are the test's. */
export async function rawNode(
  answer: (message: RawMessage, peer: RawHttp) => void,
  options?: MucpClientOptions,
): Promise<RawNode> {
  const server = await rawHttpServer(answer)
  const transport = httpTransport(undefined, componentContext())
  const client = mucpClient(options, { ...componentContext({ transport }), service: 'caller' })
  const node = { id: 'raw', address: server.address, metadata: { protocol: 'mucp', transport: 'http' } }
  return {
    client,
    node,
    peers: server.peers,
    call: (more) => client.call(node, request(more)),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]()
      await transport[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

export function request(more: Partial<UnaryRequest> = {}): UnaryRequest {
  return {
    service: 'greeter',
    endpoint: 'Say.Hello',
    contentType: 'application/json',
    metadata: {},
    timeoutMs: 5000,
    body: Buffer.from('{"name":"John"}'),
    ...more,
  }
}

export interface Handlers {
  readonly unary?: (request: ServerRequest, body: Uint8Array) => Promise<Uint8Array> | Uint8Array
  readonly stream?: (request: ServerRequest, stream: ServerStream) => Promise<void>
}

export interface Served extends AsyncDisposable {
  readonly address: string
  readonly server: Server
  readonly metadata: Node['metadata']
  /** Tells every connection that the transport is being replaced. */
  retire(): void
}

/** A server of mucp over http; endpoints of the type `Stream` are streams, and those of `No` are none. */
export async function serveMucp(
  { unary = (_, body) => body, stream = async () => undefined }: Handlers = {},
  options?: MucpServerOptions,
  transportOptions?: HttpTransportOptions,
): Promise<Served> {
  const transport = httpTransport(transportOptions, componentContext())
  const server = mucpServer(options, componentContext({ transport }))
  const dispatcher: Dispatcher = {
    kind: (endpoint) =>
      endpoint.startsWith('No.') ? undefined : endpoint.startsWith('Stream.') ? 'stream' : 'unary',
    unary: async (request, body) => ({
      metadata: {},
      contentType: request.contentType,
      body: await unary(request, body),
    }),
    async stream(request, each) {
      await stream(request, each)
      return {}
    },
  }
  const retire: (() => void)[] = []
  const { address, metadata } = await server.start({
    dispatcher,
    listen: (accept) =>
      transport.listen('127.0.0.1:0', (connection) => {
        const handler = accept(connection)
        retire.push(() => handler.retire?.())
        return handler
      }),
    listenBytes: () => Promise.reject(new Error('mucp goes over a transport')),
  })
  return {
    address,
    server,
    metadata,
    retire() {
      for (const each of retire) each()
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await transport[Symbol.asyncDispose]()
    },
  }
}

/** Whether a rejection is a `ServiceError` of this code and about this. */
export function code(expected: ErrorCode, about = /(?:)/): (error: unknown) => true {
  return (error) => {
    if (error instanceof ServiceError && error.code === expected && about.test(error.message)) return true
    throw error
  }
}
