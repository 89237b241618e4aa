import type { Client, Connection, Dispatcher, Node, Server, Transport } from '@micrograft/contracts'
import { componentContext, type ClientServerSubject, type ServedNode } from '@micrograft/testing'
import { mucpClient, type MucpClientOptions } from '../../dist/mucp/mucp-client.js'
import { mucpServer, type MucpServerOptions } from '../../dist/mucp/mucp-server.js'

export interface MucpSubjectOptions {
  readonly transport: Transport
  /** To listen on. */
  readonly address: string
  /** Where nobody listens. */
  readonly nobody: string
  /** What lies between two ends of a stream, at most, in messages of 10 KB. */
  readonly maxUnread: number
  readonly client?: Client | MucpClientOptions | undefined
  /** One that is there already serves once. */
  readonly server?: Server | MucpServerOptions | undefined
}

/** A client and servers of `mucp` over a transport, which it owns. */
export class MucpSubject implements ClientServerSubject {
  readonly client: Client
  readonly nobody: Node
  readonly maxUnread: number
  /** The connections that the servers have had. */
  readonly connections: Connection[] = []
  readonly #options: MucpSubjectOptions
  readonly #disposables: AsyncDisposable[] = []

  constructor(options: MucpSubjectOptions) {
    const { transport, client, nobody, maxUnread } = options
    this.#options = options
    this.client = isComponent(client) ? client : mucpClient(client, componentContext({ transport }))
    this.nobody = {
      id: 'nobody',
      address: nobody,
      metadata: { protocol: 'mucp', transport: transport.name },
    }
    this.maxUnread = maxUnread
  }

  start = async (dispatcher: Dispatcher): Promise<ServedNode> => {
    const { transport, server: given } = this.#options
    const server = isComponent(given) ? given : mucpServer(given, componentContext({ transport }))
    this.#disposables.push(server)
    const connections: Connection[] = []
    const { address, metadata } = await server.start({
      dispatcher,
      listen: (accept) =>
        transport.listen(this.#options.address, (connection) => {
          connections.push(connection)
          this.connections.push(connection)
          return accept(connection)
        }),
      listenBytes: () => Promise.reject(new Error('mucp goes over a transport')),
    })
    return {
      server,
      node: { id: `node-${address}`, address, metadata },
      cut() {
        for (const connection of connections) connection.destroy()
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]()
    for (const each of this.#disposables) await each[Symbol.asyncDispose]()
    const { server, transport } = this.#options
    if (isComponent(server)) await server[Symbol.asyncDispose]()
    await transport[Symbol.asyncDispose]()
  }
}

function isComponent<T extends AsyncDisposable>(value: T | object | undefined): value is T {
  return value !== undefined && Symbol.asyncDispose in value
}
