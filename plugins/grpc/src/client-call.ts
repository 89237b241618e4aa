import { ServiceError, type ClientReply, type Metadata, type UnaryRequest } from '@micrograft/contracts'
import type { Exchange, ExchangeSink } from './client-exchange.js'

/** A call with one request and one reply. */
export class ClientCall implements ExchangeSink {
  exchange: Exchange | undefined
  readonly #request: UnaryRequest
  readonly #resolve: (reply: ClientReply) => void
  readonly #reject: (error: Error) => void
  #contentType: string
  #body: Buffer | undefined

  constructor(request: UnaryRequest, resolve: (reply: ClientReply) => void, reject: (error: Error) => void) {
    this.#request = request
    this.#contentType = request.contentType
    this.#resolve = resolve
    this.#reject = reject
  }

  opened(): void {
    this.exchange?.write(this.#request.body)
    this.exchange?.end()
  }

  headers(_: Metadata, contentType: string): void {
    this.#contentType = contentType
  }

  message(body: Buffer): void {
    if (this.#body) throw new ServiceError('protocol', 'more than one reply to one request')
    this.#body = body
  }

  ended(metadata: Metadata, error: ServiceError | undefined): void {
    if (error) this.#reject(error)
    else if (this.#body) this.#resolve({ metadata, contentType: this.#contentType, body: this.#body })
    else {
      const { service, endpoint } = this.#request
      this.#reject(new ServiceError('protocol', `${service} ended ${endpoint} without a reply`))
    }
  }

  failed(error: Error): void {
    this.#reject(error)
  }
}
