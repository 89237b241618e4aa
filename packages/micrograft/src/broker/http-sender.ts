import { ServiceError, type Node, type WireError } from '@micrograft/contracts'
import { resolveTls, type Tls } from '../transport/tls-options.js'
import { WriteBuffers } from '../transport/write-buffers.js'
import { targetOf } from './http-inboxes.js'
import { HttpOutlet, type Answered } from './http-outlet.js'
import { postFraming } from './post-framing.js'

/** In the metadata of a subscription: how many posts to its address may be under way before the first is answered. */
export const pipelineEntry = 'pipeline'

/** In the metadata of a subscription, as go-micro has it: `true` where it is open to TLS alone. */
export const secureEntry = 'secure'

/** Most posts that are under way on one connection, whatever a subscription says. */
export const maxPipeline = 256

const maxAnswerBytes = 65_536

/** Posts messages to subscriptions: to each in the order in which they were given. */
export class HttpSender implements Disposable {
  readonly #plain = new Map<string, HttpOutlet>()
  /** Who takes an address over may speak TLS where the one before did not. */
  readonly #secure = new Map<string, HttpOutlet>()
  readonly #buffers = new WriteBuffers()
  readonly #framing = postFraming({ maxMessageBytes: maxAnswerBytes, maxHeaderBytes: maxAnswerBytes }, () => {
    throw new Error('nothing is accepted here')
  })
  readonly #tls: Tls | undefined
  /** Where no TLS was given. */
  #plainTls: Tls | undefined
  #closed = false

  constructor(tls: Tls | undefined) {
    this.#tls = tls
  }

  /** Resolves when the subscriber has taken the message. @throws `unavailable`, `timeout`, or what the subscriber answered. */
  async send(node: Node, body: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    if (this.#closed) throw new ServiceError('closed', 'the http broker was closed')
    const answer = this.#outlet(node).post(targetOf(node.id), body, signal)
    const { status, body: text } = await (signal ? orAborted(answer, signal) : answer)
    if (status !== 200) throw failure(status, text)
  }

  [Symbol.dispose](): void {
    this.#closed = true
    for (const each of [...this.#plain.values(), ...this.#secure.values()]) each[Symbol.dispose]()
  }

  /** Whoever does not say that posts may follow one another gets a connection for each subscription, and waits. */
  #outlet({ id, address, metadata }: Node): HttpOutlet {
    const pipeline = metadata[pipelineEntry]
    const isSecure = metadata[secureEntry] === 'true'
    const outlets = isSecure ? this.#secure : this.#plain
    // A text that is made for each message costs it 4 %.
    const key = pipeline === undefined ? `${address} ${id}` : address
    const known = outlets.get(key)
    if (known) return known
    const outlet = new HttpOutlet({
      address,
      tls: isSecure ? this.#secured() : undefined,
      depth: depthOf(pipeline),
      framing: this.#framing,
      buffers: this.#buffers,
      onIdle: () => outlets.delete(key),
    })
    outlets.set(key, outlet)
    return outlet
  }

  #secured(): Tls {
    return this.#tls ?? (this.#plainTls ??= resolveTls('the http broker', {}) as Tls)
  }
}

function depthOf(pipeline: string | undefined): number {
  return pipeline !== undefined && /^\d{1,6}$/.test(pipeline)
    ? Math.min(Math.max(Number(pipeline), 1), maxPipeline)
    : 1
}

/** An answer that comes later than the abort is taken from the connection by nobody. */
function orAborted(answer: Promise<Answered>, signal: AbortSignal): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason as Error)
    if (signal.aborted) aborted()
    signal.addEventListener('abort', aborted)
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted))
  })
}

function failure(status: number, body: Uint8Array): ServiceError {
  try {
    const { id, code, detail } = JSON.parse(new TextDecoder().decode(body)) as WireError
    if (typeof code === 'number' && typeof detail === 'string')
      return ServiceError.fromWire({ id, code, detail, status: '' })
  } catch {
    // Not go-micro's form: the status says what there is to say.
  }
  return ServiceError.fromWire({
    id: 'go.micro.broker',
    code: status,
    detail: `the subscriber answered ${status}`,
    status: '',
  })
}
