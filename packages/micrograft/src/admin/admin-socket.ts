import { chmod, unlink } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { ServiceError } from '@micrograft/contracts'
import type { SwapEvent, SwapReport } from '../components/swap-options.js'
import { removeStale } from '../transport/unix-path.js'
import {
  adminError,
  type AdminAbout,
  type AdminRequest,
  type AdminResponse,
  type AdminSlots,
} from './admin-protocol.js'
import { readLines } from './lines.js'

const maxConnections = 32
/** Requests of one connection that are under way. */
const maxRequests = 64

/** What the socket is a way to. */
export interface AdminTarget {
  about(): AdminAbout
  slots(): AdminSlots
  swap(request: Extract<AdminRequest, { do: 'swap' }>): Promise<SwapReport>
  share(request: Extract<AdminRequest, { do: 'share' }>): Promise<SwapReport>
  rollback(request: Extract<AdminRequest, { do: 'rollback' }>): Promise<SwapReport>
  onSwap(listener: (event: SwapEvent) => void): () => void
}

/** A socket on which the service's user can ask for swaps. Only that user can open it. */
export class AdminSocket implements AsyncDisposable {
  readonly path: string
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(path: string, server: Server) {
    this.path = path
    this.#server = server
  }

  /** @throws `conflict` where another process answers there, `unavailable` where it cannot be opened. */
  static async open(path: string, target: AdminTarget): Promise<AdminSocket> {
    const isFile = process.platform !== 'win32'
    // A process that was killed leaves its socket file behind.
    if (isFile && !(await removeStale(path)))
      throw new ServiceError(
        'conflict',
        `${path} is in use; give the service another id, or admin another path`,
      )
    const server = createServer()
    server.maxConnections = maxConnections
    const admin = new AdminSocket(path, server)
    server.on('connection', (socket) => admin.#serve(socket, target))
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) =>
        reject(
          new ServiceError('unavailable', `cannot open the admin socket ${path}: ${error.message}`, {
            cause: error,
          }),
        ),
      )
      server.listen(path, resolve)
    })
    server.unref()
    if (isFile) await chmod(path, 0o600)
    return admin
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
    if (process.platform !== 'win32') await unlink(this.path).catch(() => undefined)
  }

  #serve(socket: Socket, target: AdminTarget): void {
    this.#sockets.add(socket)
    socket.unref()
    let running = 0
    const say = (response: AdminResponse) => {
      if (!socket.destroyed) socket.write(`${JSON.stringify(response)}\n`)
    }
    const end = target.onSwap(({ error, ...event }) =>
      running > 0
        ? say({ id: 0, event: { ...event, ...(error ? { error: adminError(error) } : {}) } })
        : undefined,
    )
    socket.on('error', () => undefined)
    socket.once('close', () => {
      end()
      this.#sockets.delete(socket)
    })
    readLines(socket, (line) => {
      if (running >= maxRequests) return socket.destroy()
      running++
      void answer(line, target)
        .then(say)
        .finally(() => running--)
    })
  }
}

async function answer(line: string, target: AdminTarget): Promise<AdminResponse> {
  let id = 0
  try {
    const request = parse(line)
    id = request.id
    return { id, result: await perform(request, target) }
  } catch (error) {
    return { id, error: adminError(error) }
  }
}

function parse(line: string): AdminRequest {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw new ServiceError('bad-request', `a request is one JSON object a line: ${(error as Error).message}`)
  }
  if (typeof value === 'object' && value !== null && Number.isSafeInteger((value as AdminRequest).id))
    return value as AdminRequest
  throw new ServiceError('bad-request', 'a request is an object with a number as id')
}

async function perform(
  request: AdminRequest,
  target: AdminTarget,
): Promise<AdminAbout | AdminSlots | SwapReport> {
  switch (request.do) {
    case 'about':
      return target.about()
    case 'slots':
      return target.slots()
    case 'swap':
      return target.swap(request)
    case 'share':
      return target.share(request)
    case 'rollback':
      return target.rollback(request)
    default:
      throw new ServiceError(
        'bad-request',
        `there is no ${JSON.stringify((request as { do: unknown }).do)}; there are about, slots, swap, share, rollback`,
      )
  }
}
