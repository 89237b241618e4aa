import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** A TCP proxy between a client and a server that can be told to fail: a network that the test holds. */
export class FaultyLink implements AsyncDisposable {
  readonly port: number
  /** How long bytes are held up on their way, each direction, in milliseconds. */
  delayMs = 0
  /** How many connections there have been. */
  made = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
  }

  static async to(port: number, host = '127.0.0.1'): Promise<FaultyLink> {
    const server = createServer({ allowHalfOpen: false })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const link = new FaultyLink(server)
    server.on('connection', (near) => {
      link.made++
      link.#join(near, connect(port, host))
    })
    return link
  }

  get connections(): number {
    return this.#sockets.size / 2
  }

  /** Resets every connection; new ones may come at once. */
  reset(): void {
    for (const socket of this.#sockets) {
      // Reset while it is shutting down, a socket is never closed on Node 26, whose process then never ends.
      if (socket.writableEnded) socket.destroy()
      else socket.resetAndDestroy()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.reset()
    await closed
  }

  #join(near: Socket, far: Socket): void {
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from)
      from.on('data', (bytes: Buffer) => this.#pass(from, to, bytes))
      from.on('error', () => undefined)
      from.once('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
    }
  }

  #pass(from: Socket, to: Socket, bytes: Buffer): void {
    const write = () => {
      if (to.destroyed || to.write(bytes)) return
      from.pause()
      to.once('drain', () => from.resume())
    }
    if (this.delayMs === 0) write()
    else setTimeout(write, this.delayMs)
  }
}
