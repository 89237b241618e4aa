import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** A network that holds what is sent on it, and brings it to the server later, also when the sender has gone. */
export class LateLink implements AsyncDisposable {
  /** Whether what clients send is held. */
  held = false
  readonly port: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #late: (() => void)[] = []

  private constructor(server: Server) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
  }

  static async to(port: number): Promise<LateLink> {
    const server = createServer({ allowHalfOpen: true })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const link = new LateLink(server)
    server.on('connection', (near) => link.#join(near, connect(port, '127.0.0.1')))
    return link
  }

  /** Brings what was held. */
  release(): void {
    for (const write of this.#late.splice(0)) write()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #join(near: Socket, far: Socket): void {
    for (const socket of [near, far]) {
      this.#sockets.add(socket)
      socket.on('error', () => undefined).once('close', () => this.#sockets.delete(socket))
    }
    far.on('data', (bytes) => near.write(bytes)).once('close', () => near.destroy())
    near.on('data', (bytes) => {
      if (this.held) this.#late.push(() => far.write(bytes))
      else far.write(bytes)
    })
  }
}
