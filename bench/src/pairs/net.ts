import { once } from 'node:events'
import { connect as dial, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Adapter, AdapterOptions, Connection, Payload, ServeOptions } from './adapter.js'
import { loadProtobuf } from './protobuf.js'

/** What goes over one connection; its first message says which. */
type Mode = 'calls' | 'stream' | 'events'

/** Reads messages of four bytes of length and as many bytes. */
function readFrames(socket: Socket, take: (bytes: Buffer) => void): void {
  let rest: Buffer | undefined
  socket.on('data', (chunk) => {
    let bytes = rest ? Buffer.concat([rest, chunk]) : chunk
    rest = undefined
    let at = 0
    while (bytes.length - at >= 4) {
      const end = at + 4 + bytes.readUInt32BE(at)
      if (end > bytes.length) break
      take(bytes.subarray(at + 4, end))
      at = end
    }
    if (at < bytes.length) rest = bytes.subarray(at)
  })
}

/** What is in a message. */
interface Form {
  frame(value: Payload): Buffer
  read(bytes: Buffer): Payload
}

const jsonForm: Form = {
  frame(value) {
    const body = JSON.stringify(value)
    const length = Buffer.byteLength(body)
    const bytes = Buffer.allocUnsafe(4 + length)
    bytes.writeUInt32BE(length)
    bytes.write(body, 4)
    return bytes
  },
  read: (bytes) => JSON.parse(bytes.toString()) as Payload,
}

async function formOf({ format }: AdapterOptions): Promise<Form> {
  if (format !== 'protobuf') return jsonForm
  const { encode, decode } = await loadProtobuf()
  return {
    frame(value) {
      const body = encode(value)
      const bytes = Buffer.allocUnsafe(4 + body.length)
      bytes.writeUInt32BE(body.length)
      bytes.set(body, 4)
      return bytes
    },
    read: decode,
  }
}

/** How messages leave: each by a write of its own, or those of a tick by one. */
type Writer = (socket: Socket) => (bytes: Buffer) => boolean

const plain: Writer = (socket) => (bytes) => socket.write(bytes)

const joined: Writer = (socket) => {
  let waiting: Buffer[] = []
  const flush = () => {
    const all = waiting
    waiting = []
    socket.write(all.length === 1 ? (all[0] as Buffer) : Buffer.concat(all))
  }
  return (bytes) => {
    if (waiting.push(bytes) === 1) process.nextTick(flush)
    return !socket.writableNeedDrain
  }
}

/**
 * The least that a call over a socket takes in Node: a length, and JSON. Answers come in the order of
 * the requests, so not even a number is needed to tell whose they are. No deadline, no metadata, no
 * error, no limit.
 */
export function netAdapter(how: 'plain' | 'joined'): Adapter {
  const writer = how === 'plain' ? plain : joined
  return { serve: (options) => serve(writer, options), connect: connectBy(writer) }
}

async function serve(writer: Writer, options: ServeOptions): Promise<string> {
  const { message, received } = options
  const form = await formOf(options)
  const server = createServer({ noDelay: true }, (socket) => {
    const write = writer(socket)
    let mode: Mode | undefined
    socket.on('error', () => undefined)
    readFrames(socket, (bytes) => {
      if (mode === undefined) {
        mode = JSON.parse(bytes.toString()) as Mode
        if (mode === 'stream') void endless(socket, write, message)
        return
      }
      const value = form.read(bytes)
      if (mode === 'calls') write(form.frame(value))
      else received()
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function endless(socket: Socket, write: (bytes: Buffer) => boolean, message: Payload): Promise<void> {
  for (let n = message.n; !socket.destroyed; n++) {
    if (!write(jsonForm.frame({ ...message, n })))
      await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined)
    // The writes of a tick are joined at its end.
    else if (n % 64 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

function connectBy(writer: Writer) {
  return async (address: string, options: AdapterOptions): Promise<Connection> => {
    const port = Number(address.split(':')[1])
    const form = await formOf(options)
    const open = async (mode: Mode): Promise<Line> => {
      const socket = dial({ port, host: '127.0.0.1', noDelay: true })
      await once(socket, 'connect')
      const write = writer(socket)
      write(jsonForm.frame(mode as never))
      return { socket, write }
    }
    const { connections = 1 } = options.settings ?? {}
    const lines = await Promise.all(
      Array.from({ length: connections }, async () => callLine(await open('calls'), form)),
    )
    let next = 0
    const events = await open('events')
    return {
      call: (value) => {
        const call = lines[next] as (typeof lines)[number]
        next = (next + 1) % connections
        return call(value)
      },
      stream: async function* () {
        const { socket } = await open('stream')
        yield* messages(socket)
      },
      publish: (value) => void events.write(form.frame(value)),
    }
  }
}

interface Line {
  readonly socket: Socket
  readonly write: (bytes: Buffer) => boolean
}

/** Calls over one connection. */
function callLine({ socket, write }: Line, form: Form): (value: Payload) => Promise<Payload> {
  const waiting: ((value: Payload) => void)[] = []
  let answered = 0
  readFrames(socket, (bytes) => {
    const resolve = waiting[answered++]
    resolve?.(form.read(bytes))
    if (answered === 4096) {
      waiting.splice(0, answered)
      answered = 0
    }
  })
  return (value) => {
    write(form.frame(value))
    return new Promise((resolve) => waiting.push(resolve))
  }
}

/** Most messages that wait for their reader. */
const readAhead = 256

async function* messages(socket: Socket): AsyncIterable<Payload> {
  const ready: Payload[] = []
  let wake: (() => void) | undefined
  readFrames(socket, (bytes) => {
    if (ready.push(jsonForm.read(bytes)) > readAhead) socket.pause()
    wake?.()
  })
  try {
    for (;;) {
      for (const each of ready.splice(0)) yield each
      socket.resume()
      if (ready.length === 0) await new Promise<void>((resolve) => (wake = resolve))
    }
  } finally {
    socket.destroy()
  }
}
