import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { until } from '@micrograft/testing'

/** One message with an empty header, as the socket transports frame it. */
export function framed(body: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + body.length)
  frame.writeUInt32BE(body.length + 1)
  frame.set(body, 5)
  return frame
}

/** A bare socket that keeps what it gets, as the bodies of messages. */
export class RawPeer implements Disposable {
  readonly socket: Socket
  closed = false
  #chunks: Buffer[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => this.#chunks.push(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => (this.closed = true))
  }

  static async dial(address: string): Promise<RawPeer> {
    const [host, port] = address.split(':')
    const peer = new RawPeer(connect(Number(port), host))
    await until('the raw peer is connected', () => peer.socket.readyState === 'open')
    return peer
  }

  /** Sends each body as a message. */
  send(...bodies: Uint8Array[]): void {
    this.socket.write(Buffer.concat(bodies.map(framed)))
  }

  /** The bodies that have come. */
  get frames(): Buffer[] {
    const all: Buffer[] = []
    const bytes = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks)
    this.#chunks = [bytes]
    for (let at = 0; at + 5 <= bytes.length;) {
      const end = at + 4 + bytes.readUInt32BE(at)
      if (end > bytes.length) break
      all.push(bytes.subarray(at + 5, end))
      at = end
    }
    return all
  }

  /** The frames of one type. */
  ofType(type: number): Buffer[] {
    return this.frames.filter((frame) => frame[0] === type)
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}

/** A bare server, whose connections are raw peers. */
export async function rawServer(
  accept: (peer: RawPeer) => void,
): Promise<{ address: string; server: Server } & AsyncDisposable> {
  const peers: RawPeer[] = []
  const server = createServer((socket) => {
    const peer = new RawPeer(socket)
    peers.push(peer)
    accept(peer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    server,
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const peer of peers) peer.socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
