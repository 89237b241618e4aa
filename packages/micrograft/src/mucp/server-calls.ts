import { ServiceError, type Dispatcher, type Message, type ServerReply } from '@micrograft/contracts'
import type { Brake } from './brake.js'
import type { Open, OpenRequests } from './open-requests.js'
import { replyMessage, replyTo, understand, type ReplyTo } from './server-messages.js'

export interface ServerCallsOptions {
  readonly requests: OpenRequests
  readonly dispatcher: Dispatcher
  readonly brake: Brake
  /** Answers what is not taken. */
  readonly refuse: (to: ReplyTo, error: ServiceError) => void
}

/** The calls on one connection. Those with the same `Micro-Id` are answered in order: one runs, the others wait behind it. */
export class ServerCalls {
  readonly #options: ServerCallsOptions
  /** What waits, by the id of a call that runs. */
  readonly #behind = new Map<string, Message[]>()

  constructor(options: ServerCallsOptions) {
    this.#options = options
  }

  message(key: string, message: Message): void {
    this.#options.brake.callTaken(message.body.length)
    const behind = this.#behind.get(key)
    if (behind) behind.push(message)
    else this.#call(key, message)
  }

  hasNext(key: string): boolean {
    return (this.#behind.get(key)?.length ?? 0) > 0
  }

  /** A call was released: the next with its id runs. */
  released({ key, bytes }: Open): void {
    this.#options.brake.callDone(bytes)
    const behind = this.#behind.get(key) ?? []
    this.#behind.delete(key)
    for (let next = behind.shift(); next; next = behind.shift()) {
      this.#call(key, next)
      // One that is refused has its answer already: the next one runs.
      if (!this.#behind.has(key)) continue
      this.#behind.set(key, behind)
      return
    }
  }

  /** Lets go of what waits. */
  clear(): void {
    this.#behind.clear()
  }

  #call(key: string, message: Message): void {
    const { requests, dispatcher, brake, refuse } = this.#options
    const bytes = message.body.length
    const to = replyTo(message.header)
    try {
      const understood = understand(message, to)
      const open = requests.begin(understood, 'unary', { key, bytes, stream: undefined })
      this.#behind.set(key, [])
      let reply: Promise<ServerReply>
      try {
        reply = dispatcher.unary(open.request, understood.body)
      } catch (error) {
        reply = Promise.reject(error as Error)
      }
      reply.then(
        (reply) => requests.answered(open, () => replyMessage(open.replyTo, reply)),
        (error: unknown) => requests.failed(open, error),
      )
    } catch (error) {
      brake.callDone(bytes)
      refuse(to, ServiceError.from(error))
    }
  }
}
