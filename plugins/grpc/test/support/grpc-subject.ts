import { createServer, type AddressInfo, type Socket } from 'node:net'
import type {
  ByteStream,
  Client,
  Dispatcher,
  Listener,
  Metadata,
  Node,
  Server,
  ServerContext,
  ServerReply,
  ServerRequest,
  ServerStream,
} from '@micrograft/contracts'
import { componentContext, type ClientServerSubject, type ServedNode } from '@micrograft/testing'
import { grpcClient, grpcServer, type GrpcClientOptions, type GrpcServerOptions } from '@micrograft/grpc'

/** A door as a service gives it to its server, which knows the sockets that came through. */
export class TestDoor {
  readonly sockets = new Set<Socket>()

  readonly listenBytes = async (accept: (stream: ByteStream) => void): Promise<Listener> => {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.sockets.add(socket)
      socket.once('close', () => this.sockets.delete(socket))
      accept(socket)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return {
      address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
      async [Symbol.asyncDispose]() {
        // A service's door lets in who has come; each turn of the loop lets in one.
        for (let turn = 0; turn < 40; turn++) await new Promise((resolve) => setImmediate(resolve))
        server.close()
      },
    }
  }

  context(dispatcher: Dispatcher): ServerContext {
    return {
      dispatcher,
      listen: () => Promise.reject(new Error('grpc goes over TCP')),
      listenBytes: this.listenBytes,
    }
  }
}

export interface Makers {
  readonly client: () => Client | Promise<Client>
  readonly server: () => Server | Promise<Server>
}

export function direct(client?: GrpcClientOptions, server?: GrpcServerOptions): Makers {
  return {
    client: () => grpcClient(client, componentContext()),
    server: () => grpcServer(server, componentContext()),
  }
}

/** A client and servers of `grpc`. */
export class GrpcSubject implements ClientServerSubject {
  readonly client: Client
  readonly nobody: Node = { id: 'nobody', address: '127.0.0.1:1', metadata: { protocol: 'grpc' } }
  /** 256 KiB of window, and what Node's streams hold at both ends. */
  readonly maxUnread = 36
  readonly #server: () => Server | Promise<Server>
  readonly #disposables: AsyncDisposable[] = []

  private constructor(client: Client, server: () => Server | Promise<Server>) {
    this.client = client
    this.#server = server
  }

  static async make({ client, server }: Makers): Promise<GrpcSubject> {
    return new GrpcSubject(await client(), server)
  }

  start = async (dispatcher: Dispatcher): Promise<ServedNode> => {
    const server = await this.#server()
    this.#disposables.push(server)
    const door = new TestDoor()
    const { address, metadata } = await server.start(door.context(dispatcher))
    return {
      server,
      node: { id: `node-${address}`, address, metadata },
      cut() {
        for (const socket of door.sockets) socket.destroy()
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]()
    for (const each of this.#disposables) await each[Symbol.asyncDispose]()
  }
}

type Unary = (request: ServerRequest, body: Uint8Array) => Promise<ServerReply | Uint8Array>
type Stream = (request: ServerRequest, stream: ServerStream) => Promise<Metadata | void>

/** A dispatcher of functions by endpoint. */
export function dispatcherOf(
  unary: Readonly<Record<string, Unary>>,
  streams: Readonly<Record<string, Stream>> = {},
): Dispatcher {
  return {
    kind: (endpoint) =>
      Object.hasOwn(unary, endpoint) ? 'unary' : Object.hasOwn(streams, endpoint) ? 'stream' : undefined,
    async unary(request, body) {
      const reply = await (unary[request.endpoint] as Unary)(request, body)
      return reply instanceof Uint8Array
        ? { metadata: {}, contentType: request.contentType, body: reply }
        : reply
    },
    async stream(request, stream) {
      return (await (streams[request.endpoint] as Stream)(request, stream)) ?? {}
    },
  }
}
