import { connect, type Socket } from 'node:net'
import { until } from '@micrograft/testing'

/** A bare socket that writes what it is told and keeps what it gets, as text. */
export class HttpPeer implements Disposable {
  readonly socket: Socket
  closed = false
  text = ''

  constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => (this.text += chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => (this.closed = true))
  }

  static async dial(address: string): Promise<HttpPeer> {
    const [host, port] = address.split(':')
    const peer = new HttpPeer(connect({ host, port: Number(port), allowHalfOpen: true }))
    await until('the peer is connected', () => peer.socket.readyState === 'open')
    return peer
  }

  /** The status of each response that has come. */
  get statuses(): number[] {
    return [...this.text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
  }

  /** Waits until the other side has ended, and ends this one. */
  async ended(): Promise<void> {
    await until('the other side ends', () => this.socket.readableEnded || this.closed)
    this.socket.end()
    await until('the connection is closed', () => this.closed)
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}
