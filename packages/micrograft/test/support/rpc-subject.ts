import type { Client, Connection, Dispatcher, Node, Transport } from '@micrograft/contracts'
import { componentContext, type ClientServerSubject, type ServedNode } from '@micrograft/testing'
import { rpcClient, type RpcClientOptions } from '../../dist/rpc/rpc-client.js'
import { rpcServer, type RpcServerOptions } from '../../dist/rpc/rpc-server.js'

export interface RpcSubjectOptions {
  readonly client?: RpcClientOptions | undefined
  readonly server?: RpcServerOptions | undefined
}

/** A client and servers of `rpc` over `transport`, which it owns. */
export class RpcSubject implements ClientServerSubject {
  readonly client: Client
  readonly transport: Transport
  readonly nobody: Node
  /** 256 KiB of window, and one message. */
  readonly maxUnread = 28
  readonly #address: string
  readonly #options: RpcSubjectOptions
  readonly #disposables: AsyncDisposable[] = []

  constructor(transport: Transport, address: string, nobody: string, options: RpcSubjectOptions = {}) {
    this.transport = transport
    this.client = rpcClient(options.client, componentContext({ transport }))
    this.nobody = { id: 'nobody', address: nobody, metadata: { protocol: 'rpc', transport: transport.name } }
    this.#address = address
    this.#options = options
  }

  start = async (dispatcher: Dispatcher): Promise<ServedNode> => {
    const { transport } = this
    const server = rpcServer(this.#options.server, componentContext({ transport }))
    this.#disposables.push(server)
    const connections: Connection[] = []
    const { address, metadata } = await server.start({
      dispatcher,
      listen: (accept) =>
        transport.listen(this.#address, (connection) => {
          connections.push(connection)
          return accept(connection)
        }),
      listenBytes: () => Promise.reject(new Error('rpc goes over a transport')),
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
    await this.transport[Symbol.asyncDispose]()
  }
}
