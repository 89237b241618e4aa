// The other end of the wire of xrpc-client.ts.

import {
  definePlugin,
  ServiceError,
  type ComponentContext,
  type Connection,
  type ConnectionHandler,
  type Listener,
  type Message,
  type Server,
  type ServerAddress,
  type ServerContext,
  type StopOptions,
} from '@micrograft/contracts'

export const Plugin = definePlugin({
  name: 'xrpc',
  type: 'server',
  version: '1.0.0',
  newFunc: (_options: object, context: ComponentContext) => new XrpcServer(context),
})

class XrpcServer implements Server {
  readonly name = 'xrpc'
  readonly protocol = 'xrpc'
  readonly #context: ComponentContext
  readonly #connections = new Set<Connection>()
  readonly #running = new Set<Promise<void>>()
  #listener: Listener | undefined

  constructor(context: ComponentContext) {
    this.#context = context
    context.log.info('xrpc server made')
  }

  async start(context: ServerContext): Promise<ServerAddress> {
    this.#listener = await context.listen((connection) => this.#accept(connection, context))
    return {
      address: this.#listener.address,
      metadata: { protocol: this.protocol, transport: this.#context.use('transport').name },
    }
  }

  async stop({ graceMs = 10_000 }: StopOptions = {}): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]()
    const late = new Promise((resolve) => setTimeout(resolve, graceMs).unref())
    await Promise.race([Promise.all(this.#running), late])
    for (const connection of this.#connections) await connection.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop({ graceMs: 0 })
  }

  #accept(connection: Connection, context: ServerContext): ConnectionHandler {
    this.#connections.add(connection)
    const gone = new AbortController()
    return {
      message: (message) => {
        const running = this.#serve(message, connection, context, gone.signal)
        this.#running.add(running)
        void running.finally(() => this.#running.delete(running))
      },
      closed: () => {
        this.#connections.delete(connection)
        gone.abort(new ServiceError('canceled', 'the caller is gone'))
      },
    }
  }

  async #serve(
    { header, body }: Message,
    connection: Connection,
    { dispatcher }: ServerContext,
    signal: AbortSignal,
  ): Promise<void> {
    const id = header['xrpc-id'] ?? ''
    const contentType = header['content-type'] ?? ''
    const request = {
      service: this.#context.service,
      endpoint: header['xrpc-endpoint'] ?? '',
      contentType,
      metadata: {},
      remote: connection.remote,
      signal,
      deadline: undefined,
    }
    try {
      const reply = await dispatcher.unary(request, body)
      connection.send({ header: { 'xrpc-id': id, 'content-type': reply.contentType }, body: reply.body })
    } catch (error) {
      const wire = JSON.stringify(ServiceError.from(error).toWire())
      if (!signal.aborted)
        connection.send({ header: { 'xrpc-id': id, 'xrpc-error': wire }, body: new Uint8Array() })
    }
  }
}
