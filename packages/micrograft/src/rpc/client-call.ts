import type { ClientReply, UnaryRequest } from '@micrograft/contracts'
import { protocolError } from '../transport/protocol-error.js'
import { Exchange, type ExchangeOwner } from './client-exchange.js'
import { FrameType } from './frame.js'
import type { FrameReader } from './frame-reader.js'
import { callHead, type Scratch, type WireTarget } from './frame-writer.js'

/** One request and its one reply. */
export class ClientCall extends Exchange {
  declare readonly request: UnaryRequest
  readonly #resolve: (reply: ClientReply) => void
  readonly #reject: (error: unknown) => void

  constructor(
    request: UnaryRequest,
    owner: ExchangeOwner,
    resolve: (reply: ClientReply) => void,
    reject: (error: unknown) => void,
  ) {
    super(request, owner)
    this.#resolve = resolve
    this.#reject = reject
  }

  override get body(): Uint8Array {
    return this.request.body
  }

  override writeHead(scratch: Scratch, slot: number, timeoutMs: number, target: WireTarget): number {
    return callHead(scratch, FrameType.call, slot, timeoutMs, target, this.request.metadata)
  }

  override started(): void {}

  override take(type: number, reader: FrameReader): boolean {
    if (type !== FrameType.reply) throw protocolError('a call was answered as a stream is')
    if (this.ended) return true
    const contentType = reader.contentType() || this.request.contentType
    const metadata = reader.metadata()
    this.finish()
    this.#resolve({ metadata, contentType, body: reader.rest() })
    return true
  }

  protected override fail(error: unknown): void {
    this.#reject(error)
  }
}
