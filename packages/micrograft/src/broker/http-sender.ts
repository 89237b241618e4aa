import { Agent, request } from 'node:http'
import { ServiceError, type Node, type WireError } from '@micrograft/contracts'

/** Longest wait for a subscriber to take a message, in milliseconds. */
const timeoutMs = 5000

/** Posts messages to subscriptions: to each in the order in which they were given. */
export class HttpSender implements Disposable {
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 64, timeout: 60_000 })
  /** The last post to each subscription that has one under way. */
  readonly #last = new Map<string, Promise<void>>()

  /** Resolves when the subscriber has taken the message. @throws `unavailable`, or what the subscriber answered. */
  send(node: Node, body: string, signal: AbortSignal | undefined): Promise<void> {
    const before = this.#last.get(node.id)
    const sent = before
      ? before.catch(() => undefined).then(() => this.#post(node, body, signal))
      : this.#post(node, body, signal)
    this.#last.set(node.id, sent)
    const forget = () => {
      if (this.#last.get(node.id) === sent) this.#last.delete(node.id)
    }
    sent.then(forget, forget)
    return sent
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }

  #post({ id, address }: Node, body: string, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error)
      const { hostname, port } = new URL(`http://${address}`)
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
      const post = request({
        agent: this.#agent,
        host: hostname.replace(/^\[|\]$/g, ''),
        port,
        method: 'POST',
        path: `/?id=${encodeURIComponent(id)}`,
        headers,
        timeout: timeoutMs,
        ...(signal ? { signal } : {}),
      })
      const lost = (cause: Error) =>
        reject(
          signal?.aborted
            ? (signal.reason as Error)
            : new ServiceError(
                'unavailable',
                `the subscriber at ${address} cannot be reached: ${cause.message}`,
                { cause },
              ),
        )
      post.on('error', lost)
      post.on('timeout', () => post.destroy(new Error(`no answer within ${timeoutMs} ms`)))
      post.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => {
          if (chunks.length < 16) chunks.push(chunk)
        })
        response.on('error', lost)
        response.on('end', () => {
          if (response.statusCode === 200) resolve()
          else reject(failure(response.statusCode ?? 0, Buffer.concat(chunks).toString('utf8')))
        })
      })
      post.end(body)
    })
  }
}

function failure(status: number, text: string): ServiceError {
  try {
    const { id, code, detail } = JSON.parse(text) as WireError
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
