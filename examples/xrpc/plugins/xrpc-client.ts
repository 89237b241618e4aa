// A client that the framework has never heard of. Its wire: a message with the headers `xrpc-id` and
// `xrpc-endpoint` is a call; the answer has the same id, and `xrpc-error` where it failed.

import {
  definePlugin,
  ServiceError,
  type CallOptions,
  type Client,
  type ClientReply,
  type ClientStream,
  type ComponentContext,
  type Connection,
  type Message,
  type Node,
  type UnaryRequest,
} from '@micrograft/contracts'

export const Plugin = definePlugin({
  name: 'xrpc',
  type: 'client',
  version: '1.0.0',
  newFunc: (_options: object, context: ComponentContext) => new XrpcClient(context),
})

interface Pending {
  readonly resolve: (reply: ClientReply) => void
  readonly reject: (error: Error) => void
}

class XrpcClient implements Client {
  readonly name = 'xrpc'
  readonly protocol = 'xrpc'
  readonly #context: ComponentContext
  readonly #connections = new Map<string, Promise<Connection>>()
  readonly #pending = new Map<string, Pending>()
  #lastId = 0
  #closed = false

  constructor(context: ComponentContext) {
    this.#context = context
    context.log.info('xrpc client made')
  }

  async call(
    node: Node,
    { endpoint, contentType, body, timeoutMs }: UnaryRequest,
    { signal }: CallOptions = {},
  ): Promise<ClientReply> {
    signal?.throwIfAborted()
    if (this.#closed) throw new ServiceError('closed', 'the xrpc client was closed')
    const connection = await this.#connect(node)
    const id = String(++this.#lastId)
    const limits = [
      signal,
      timeoutMs === undefined ? undefined : AbortSignal.timeout(Math.ceil(timeoutMs)),
    ].filter((each) => each !== undefined)
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#pending.delete(id)
        reject(
          signal?.aborted
            ? (signal.reason as Error)
            : new ServiceError('timeout', `${endpoint} did not answer within ${timeoutMs} ms`),
        )
      }
      for (const limit of limits) limit.addEventListener('abort', giveUp, { once: true })
      this.#pending.set(id, { resolve, reject })
      connection.send({
        header: { 'xrpc-id': id, 'xrpc-endpoint': endpoint, 'content-type': contentType },
        body,
      })
    })
  }

  stream(): Promise<ClientStream> {
    return Promise.reject(new ServiceError('unsupported', 'xrpc has no streams; call with another client'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    for (const connection of this.#connections.values())
      await connection.then(
        (each) => each.close(),
        () => undefined,
      )
  }

  #connect({ address, metadata }: Node): Promise<Connection> {
    let connection = this.#connections.get(address)
    if (!connection) {
      const transport = this.#context.use('transport', metadata['transport'])
      connection = transport.dial(address, {
        message: (message) => this.#answer(message),
        closed: () => {
          this.#connections.delete(address)
          for (const { reject } of this.#pending.values())
            reject(new ServiceError('unavailable', `the connection to ${address} was lost`))
          this.#pending.clear()
        },
      })
      connection.catch(() => this.#connections.delete(address))
      this.#connections.set(address, connection)
    }
    return connection
  }

  #answer({ header, body }: Message): void {
    const id = header['xrpc-id'] ?? ''
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    const error = header['xrpc-error']
    if (error === undefined)
      pending?.resolve({ metadata: {}, contentType: header['content-type'] ?? '', body })
    else pending?.reject(ServiceError.fromWire(JSON.parse(error) as never))
  }
}
