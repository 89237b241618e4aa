import { connect, type Socket } from 'node:net'
import { ServiceError, type ErrorCode } from '@micrograft/contracts'
import { adminPaths } from './admin-directory.js'
import type { AdminAbout, AdminEvent, AdminRequest, AdminResponse } from './admin-protocol.js'
import { readLines } from './lines.js'

/** How long a node has to say which it is, in milliseconds. */
const answerMs = 2000

/** A request without its number. */
export type AdminAsk = AdminRequest extends infer R
  ? R extends { id: number }
    ? Omit<R, 'id'>
    : never
  : never

interface Waiting {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

/** A connection to the admin socket of one service. */
export class AdminClient implements Disposable {
  readonly #socket: Socket
  readonly #waiting = new Map<number, Waiting>()
  readonly #onEvent: ((event: AdminEvent) => void) | undefined
  #last = 0

  private constructor(socket: Socket, onEvent: ((event: AdminEvent) => void) | undefined) {
    this.#socket = socket
    this.#onEvent = onEvent
    readLines(socket, (line) => {
      const response = parse(line)
      if (response) this.#take(response)
      else socket.destroy()
    })
    socket.on('error', () => undefined)
    socket.once('close', () => {
      for (const { reject } of this.#waiting.values()) reject(closedError())
      this.#waiting.clear()
    })
  }

  /** @throws `unavailable` where nobody answers. */
  static async connect(path: string, onEvent?: (event: AdminEvent) => void): Promise<AdminClient> {
    const socket = connect(path)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', (error) =>
        reject(
          new ServiceError('unavailable', `nobody answers at ${path}: ${error.message}`, { cause: error }),
        ),
      )
    })
    return new AdminClient(socket, onEvent)
  }

  /** @throws what the service answers, with its code. */
  ask<R>(request: AdminAsk): Promise<R> {
    if (this.#socket.destroyed) return Promise.reject(closedError())
    const id = ++this.#last
    return new Promise<R>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (result: unknown) => void, reject })
      this.#socket.write(`${JSON.stringify({ id, ...request })}\n`)
    })
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }

  #take(response: AdminResponse): void {
    if ('event' in response) {
      this.#onEvent?.(response.event)
      return
    }
    const waiting = this.#waiting.get(response.id)
    this.#waiting.delete(response.id)
    if ('error' in response)
      waiting?.reject(new ServiceError(response.error.code as ErrorCode, response.error.message))
    else waiting?.resolve(response.result)
  }
}

function parse(line: string): AdminResponse | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as AdminResponse) : undefined
  } catch {
    return undefined
  }
}

function closedError(): ServiceError {
  return new ServiceError('unavailable', 'the service closed its admin socket; is it still running?')
}

export interface AdminNode extends AdminAbout {
  readonly path: string
}

/** The nodes of a service, or of all, that this user runs on this machine and that can be asked for swaps. */
export async function adminNodes(service?: string): Promise<readonly AdminNode[]> {
  const found = await Promise.all(
    (await adminPaths(service)).map(async (path) => {
      const client = await AdminClient.connect(path).catch(() => undefined)
      if (!client) return undefined
      // Its process is gone, or stands still.
      const timer = setTimeout(() => client[Symbol.dispose](), answerMs)
      const about = await client.ask<AdminAbout>({ do: 'about' }).catch(() => undefined)
      clearTimeout(timer)
      client[Symbol.dispose]()
      return about && Object.assign(about, { path })
    }),
  )
  return found
    .filter((each) => each !== undefined)
    .filter((each) => service === undefined || each.service === service)
}
