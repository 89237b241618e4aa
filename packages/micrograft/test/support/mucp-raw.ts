import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { until } from '@micrograft/testing'

/** An HTTP/1.1 message as it stands on the wire. */
export interface RawMessage {
  readonly firstLine: string
  /** Lines of the header, as they came. */
  readonly lines: readonly string[]
  /** The same by name in lower case. */
  readonly header: Readonly<Record<string, string>>
  readonly body: Buffer
}

type Header = Readonly<Record<string, string>>

export function rawRequest(header: Header, body: string | Uint8Array = ''): Buffer {
  return raw('POST / HTTP/1.1', { Host: 'test', ...header }, body)
}

export function rawResponse(header: Header, body: string | Uint8Array = '', status = '200 OK'): Buffer {
  return raw(`HTTP/1.1 ${status}`, header, body)
}

/** `Micro-Id` and what a call has at least. */
export function callHeader(endpoint = 'Say.Hello', more: Header = {}): Header {
  return {
    'Content-Type': 'application/json',
    'Micro-Service': 'greeter',
    'Micro-Endpoint': endpoint,
    'Micro-Id': '0',
    ...more,
  }
}

function raw(firstLine: string, header: Header, body: string | Uint8Array): Buffer {
  const bytes = Buffer.from(body)
  const lines = Object.entries({ 'Content-Length': String(bytes.length), ...header }).map(
    ([n, v]) => `${n}: ${v}`,
  )
  return Buffer.concat([Buffer.from(`${[firstLine, ...lines].join('\r\n')}\r\n\r\n`), bytes])
}

/** A bare socket that takes HTTP messages with a Content-Length apart. */
export class RawHttp implements Disposable {
  readonly socket: Socket
  readonly messages: RawMessage[] = []
  onMessage: (message: RawMessage) => void = () => undefined
  closed = false
  #bytes = Buffer.alloc(0)

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => (this.closed = true))
  }

  static async dial(address: string): Promise<RawHttp> {
    const [host, port] = address.split(':')
    const peer = new RawHttp(connect(Number(port), host))
    await until('the raw peer is connected', () => peer.socket.readyState === 'open')
    return peer
  }

  send(...messages: (Buffer | string)[]): void {
    for (const each of messages) this.socket.write(each)
  }

  /** Waits for the `count`-th message and gives it. */
  async message(count = 1): Promise<RawMessage> {
    await until(`message ${count} is there`, () => this.messages.length >= count)
    return this.messages[count - 1] as RawMessage
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }

  #read(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    for (;;) {
      const end = this.#bytes.indexOf('\r\n\r\n')
      if (end === -1) return
      const [firstLine = '', ...lines] = this.#bytes.subarray(0, end).toString().split('\r\n')
      const header = Object.fromEntries(
        lines.map((line) => [
          line.slice(0, line.indexOf(':')).toLowerCase(),
          line.slice(line.indexOf(':') + 2),
        ]),
      )
      const length = Number(header['content-length'] ?? 0)
      if (this.#bytes.length < end + 4 + length) return
      const body = Buffer.from(this.#bytes.subarray(end + 4, end + 4 + length))
      this.#bytes = this.#bytes.subarray(end + 4 + length)
      const message = { firstLine, lines, header, body }
      this.messages.push(message)
      this.onMessage(message)
    }
  }
}

/** A bare server; `answer` gets each message of each connection. */
export async function rawHttpServer(
  answer: (message: RawMessage, peer: RawHttp) => void = () => undefined,
): Promise<{ readonly address: string; readonly peers: RawHttp[] } & AsyncDisposable> {
  const peers: RawHttp[] = []
  const server = createServer((socket) => {
    const peer = new RawHttp(socket)
    peer.onMessage = (message) => answer(message, peer)
    peers.push(peer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    peers,
    async [Symbol.asyncDispose]() {
      for (const peer of peers) peer.socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
