import type { ClientRequest, IncomingMessage } from 'node:http'
import { ServiceError } from '@micrograft/contracts'
import type { EtcdAccount, EtcdEndpoint } from './etcd-endpoint.js'
import { EtcdFailure, etcdError, noEtcd } from './etcd-error.js'

export interface EtcdClientOptions {
  readonly endpoints: readonly EtcdEndpoint[]
  readonly account: EtcdAccount | undefined
  /** Longest time of one call, over all endpoints. */
  readonly timeoutMs: number
  /** Time between two looks whether the member of a stream still answers. */
  readonly checkIntervalMs: number
  readonly maxAnswerBytes: number
}

export interface StreamOptions {
  readonly signal: AbortSignal
  readonly onMessage: (result: unknown) => void
  /** What the member must answer while the stream is open: path and body of a call. */
  readonly probe: readonly [path: string, body: unknown]
}

/**
 * Speaks JSON with the gateway that every member of etcd has (etcd v3.4 API, gRPC gateway).
 *
 * On `node:http` and not on `fetch`, which takes neither certificates nor a pool of connections that
 * ends with the registry.
 */
export class EtcdClient implements Disposable {
  readonly #options: EtcdClientOptions
  readonly #where: string
  #current = 0
  #token: Promise<string> | undefined
  #closed = false

  constructor(options: EtcdClientOptions) {
    this.#options = options
    this.#where = options.endpoints.map(({ label }) => label).join()
  }

  /** @throws a `ServiceError`. */
  async call<T>(path: string, body: unknown): Promise<T> {
    const { endpoints, timeoutMs } = this.#options
    const end = performance.now() + timeoutMs
    let newToken = false
    for (let left = endpoints.length; ; left--) {
      const endpoint = this.#endpoint()
      try {
        return (await this.#ask(endpoint, path, body, (end - performance.now()) / left)) as T
      } catch (error) {
        if (this.#closed) throw closedError()
        if (error instanceof EtcdFailure && error.tokenIsOld && !newToken) {
          newToken = true
          this.#token = undefined
          left++
          continue
        }
        if (left <= 1 || (error instanceof EtcdFailure && !error.elsewhere)) throw this.#failure(error)
        this.#leave(endpoint)
      }
    }
  }

  /** Goes on until the signal aborts, or throws what it ended with. */
  async stream(path: string, body: unknown, { signal, onMessage, probe }: StreamOptions): Promise<void> {
    const { timeoutMs, checkIntervalMs, maxAnswerBytes } = this.#options
    const endpoint = this.#endpoint()
    let timer: NodeJS.Timeout | undefined
    try {
      const text = JSON.stringify(body)
      const request = endpoint.post(path, await this.#headers(endpoint, text, timeoutMs), true)
      const onAbort = () => request.destroy()
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        if (signal.aborted) return
        const response = await answered(request, text, timeoutMs)
        timer = setInterval(() => {
          this.#ask(endpoint, ...probe, timeoutMs).catch((error: Error) => request.destroy(error))
        }, checkIntervalMs).unref()
        for await (const line of lines(response, maxAnswerBytes)) {
          const message = object(parse(line))
          if (message['result'] === undefined) throw EtcdFailure.from(message, response.statusCode ?? 0)
          object(object(message['result'])['header'])
          onMessage(message['result'])
        }
        throw new Error('the stream has ended')
      } finally {
        signal.removeEventListener('abort', onAbort)
        request.destroy()
      }
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof EtcdFailure && error.tokenMayBeOld) this.#token = undefined
      else this.#leave(endpoint)
      throw this.#failure(error)
    } finally {
      clearInterval(timer)
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true
    for (const endpoint of this.#options.endpoints) endpoint[Symbol.dispose]()
  }

  #endpoint(): EtcdEndpoint {
    if (this.#closed) throw closedError()
    return this.#options.endpoints[this.#current] as EtcdEndpoint
  }

  /** On to the next, unless another call has gone on already. */
  #leave(endpoint: EtcdEndpoint): void {
    const { endpoints } = this.#options
    if (endpoints[this.#current] === endpoint) this.#current = (this.#current + 1) % endpoints.length
  }

  #failure(error: unknown): ServiceError {
    return this.#closed ? closedError() : etcdError(this.#where, error)
  }

  async #ask(endpoint: EtcdEndpoint, path: string, body: unknown, timeoutMs: number): Promise<unknown> {
    const text = JSON.stringify(body)
    const end = performance.now() + timeoutMs
    const headers = await this.#headers(endpoint, text, timeoutMs)
    return this.#post(endpoint, path, text, headers, end)
  }

  async #post(
    endpoint: EtcdEndpoint,
    path: string,
    text: string,
    headers: Record<string, string | number>,
    end: number,
  ): Promise<unknown> {
    for (;;) {
      const left = Math.max(1, end - performance.now())
      const request = endpoint.post(path, headers, false)
      const timer = setTimeout(() => request.destroy(late()), left)
      try {
        const response = await answered(request, text, left)
        const answer = object(parse(await firstLine(response, this.#options.maxAnswerBytes)))
        if (response.statusCode !== 200 || answer['error'] !== undefined)
          throw EtcdFailure.from(answer, response.statusCode ?? 0)
        // Each answer of etcd has one, and one of a stream has it within.
        object(object(answer['result'] ?? answer)['header'])
        return answer
      } catch (error) {
        // A connection that was kept may have been ended by the server at the moment that it was used.
        const { code = '' } = error as { code?: string }
        if (request.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(code) && !this.#closed) continue
        throw error
      } finally {
        clearTimeout(timer)
      }
    }
  }

  async #headers(
    endpoint: EtcdEndpoint,
    text: string,
    timeoutMs: number,
  ): Promise<Record<string, string | number>> {
    const headers = { 'content-length': Buffer.byteLength(text) }
    if (!this.#options.account) return headers
    const token = (this.#token ??= this.#authenticate(endpoint, this.#options.account, timeoutMs))
    try {
      return { ...headers, authorization: await token }
    } catch (error) {
      if (this.#token === token) this.#token = undefined
      throw error
    }
  }

  async #authenticate(
    endpoint: EtcdEndpoint,
    { user, password }: EtcdAccount,
    timeoutMs: number,
  ): Promise<string> {
    const text = JSON.stringify({ name: user, password })
    const headers = { 'content-length': Buffer.byteLength(text) }
    const end = performance.now() + timeoutMs
    const answer = await this.#post(endpoint, '/v3/auth/authenticate', text, headers, end)
    return (answer as { token: string }).token
  }
}

export function closedError(): ServiceError {
  return new ServiceError('closed', 'the etcd registry is closed; open another')
}

function late(): Error {
  return Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })
}

/** Sends the body, and resolves when an answer begins. */
function answered(request: ClientRequest, text: string, timeoutMs: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => request.destroy(late()), timeoutMs)
    request.once('close', () => clearTimeout(timer))
    request.on('error', reject)
    request.once('response', (response) => {
      clearTimeout(timer)
      resolve(response)
    })
    request.end(text)
  })
}

/** The lines of an answer, each of which is a JSON text. */
async function* lines(response: IncomingMessage, maxBytes: number): AsyncGenerator<string> {
  let pieces: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    let from = 0
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      yield Buffer.concat([...pieces, chunk.subarray(from, at)]).toString()
      pieces = []
      size = 0
      from = at + 1
    }
    if (from === chunk.length) continue
    pieces.push(chunk.subarray(from))
    size += chunk.length - from
    if (size > maxBytes) throw tooLarge(maxBytes)
  }
  if (size > 0) yield Buffer.concat(pieces).toString()
}

/** What an answer says, which is read to its end: its connection is used again. */
async function firstLine(response: IncomingMessage, maxBytes: number): Promise<string> {
  let first = ''
  let size = 0
  for await (const line of lines(response, maxBytes)) {
    first ||= line
    size += line.length
    if (size > maxBytes) throw tooLarge(maxBytes)
  }
  return first
}

function tooLarge(maxBytes: number): ServiceError {
  return new ServiceError(
    'too-large',
    `an answer of etcd has more than ${maxBytes} bytes; raise maxAnswerBytes, or give the registry a prefix of its own`,
  )
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw noEtcd(cause)
  }
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw noEtcd()
  return value as Readonly<Record<string, unknown>>
}
