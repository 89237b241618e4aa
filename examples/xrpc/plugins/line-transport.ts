// A transport of one's own: every message is a line of JSON on a TCP connection.

import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import {
  definePlugin,
  ServiceError,
  type ComponentContext,
  type Connection,
  type ConnectionHandler,
  type Listener,
  type Transport,
} from '@micrograft/contracts'

export const Plugin = definePlugin({
  name: 'line',
  type: 'transport',
  version: '1.0.0',
  newFunc: (_options: object, context: ComponentContext) => {
    context.log.info('line transport made')
    return lineTransport()
  },
})

function lineTransport(): Transport {
  const open = new Set<AsyncDisposable>()
  const sockets = new Set<Socket>()

  const wrap = (socket: Socket, handlerOf: (connection: Connection) => ConnectionHandler): Connection => {
    sockets.add(socket)
    const connection: Connection = {
      remote: `${socket.remoteAddress}:${socket.remotePort}`,
      send: ({ header, body }) =>
        socket.write(`${JSON.stringify({ header, body: Buffer.from(body).toString('base64') })}\n`),
      drained: () =>
        new Promise((resolve) => (socket.writableNeedDrain ? socket.once('drain', resolve) : resolve())),
      pause: () => void socket.pause(),
      resume: () => void socket.resume(),
      close: () =>
        new Promise((resolve) =>
          socket.destroyed ? resolve() : socket.once('close', () => resolve()).end(),
        ),
      destroy: () => void socket.destroy(),
    }
    const handler = handlerOf(connection)
    const lines = createInterface({ input: socket })
    lines.on('line', (line) => {
      const { header, body } = JSON.parse(line) as { header: Record<string, string>; body: string }
      handler.message({ header, body: Buffer.from(body, 'base64') })
    })
    let failure: Error | undefined
    socket.on('error', (error) => (failure = error))
    socket.on('close', () => {
      sockets.delete(socket)
      handler.closed(failure && new ServiceError('unavailable', failure.message, { cause: failure }))
    })
    return connection
  }

  return {
    name: 'line',
    async listen(address, accept): Promise<Listener> {
      const [host, port] = (address || '127.0.0.1:0').split(':')
      const server = createServer((socket) => void wrap(socket, accept))
      await new Promise<void>((resolve, reject) =>
        server.once('error', reject).listen(Number(port), host, resolve),
      )
      const listener = {
        address: `${host}:${(server.address() as AddressInfo).port}`,
        [Symbol.asyncDispose]: async () => void server.close(),
      }
      open.add(listener)
      return listener
    },
    dial(address, handler) {
      const [host, port] = address.split(':')
      return new Promise((resolve, reject) => {
        const socket = connect(Number(port), host)
        const refused = (cause: Error) =>
          reject(new ServiceError('unavailable', `cannot reach ${address}: ${cause.message}`, { cause }))
        socket.once('error', refused)
        socket.once('connect', () => {
          socket.off('error', refused)
          resolve(wrap(socket, () => handler))
        })
      })
    },
    async [Symbol.asyncDispose]() {
      for (const listener of open) await listener[Symbol.asyncDispose]()
      for (const socket of sockets) socket.destroy()
    },
  }
}
