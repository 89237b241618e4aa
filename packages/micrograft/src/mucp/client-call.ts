import { type ClientReply, type UnaryRequest } from '@micrograft/contracts'
import type { Pending } from './pending.js'

export interface CallOptions {
  readonly request: UnaryRequest
  readonly legacy: boolean
  readonly resolve: (reply: ClientReply) => void
  readonly reject: (error: unknown) => void
}

/** One request and its one reply. */
export class ClientCall {
  readonly request: UnaryRequest
  readonly legacy: boolean
  pending!: Pending
  /** Where it is: a place in a queue, then a connection. */
  place: CallPlace | undefined
  readonly #resolve: (reply: ClientReply) => void
  readonly #reject: (error: unknown) => void

  constructor({ request, legacy, resolve, reject }: CallOptions) {
    this.request = request
    this.legacy = legacy
    this.#resolve = resolve
    this.#reject = reject
  }

  /** Its caller gave up, or its deadline has passed. */
  cancel(reason: unknown): void {
    this.#reject(reason)
    this.place?.abandon(this)
    this.place = undefined
  }

  done(reply: ClientReply): void {
    this.pending.settle()
    this.#resolve(reply)
  }

  failed(error: unknown): void {
    this.pending.settle()
    this.#reject(error)
  }
}

export interface CallPlace {
  /** Nobody waits for `call` any more. */
  abandon(call: ClientCall): void
}
