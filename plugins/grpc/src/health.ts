import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'
import { ServiceError, type Metadata, type ServerRequest, type ServerStream } from '@micrograft/contracts'
import type { InternalEndpoint } from './server-connection.js'

const serving = 1
const notServing = 2
const serviceUnknown = 3

/** How often it is looked whether an unknown service that is watched is known by now. */
const lookAgainMs = 1000

/** `grpc.health.v1.Health`: the server serves until it is stopped. */
export class Health {
  readonly #known: (service: string) => Promise<boolean>
  readonly #watchers = new Set<() => void>()
  /** Those of them whose service is not known: a server is called before the registry has its endpoints. */
  readonly #unknown = new Set<() => void>()
  #looking: NodeJS.Timeout | undefined
  #stopped = false

  constructor(known: (service: string) => Promise<boolean>) {
    this.#known = known
  }

  get endpoints(): readonly (readonly [string, InternalEndpoint])[] {
    return [
      ['/grpc.health.v1.Health/Check', (_, stream) => this.#check(stream)],
      ['/grpc.health.v1.Health/Watch', (request, stream) => this.#watch(request, stream)],
    ]
  }

  /** Says from now on that the server does not serve. */
  stop(): void {
    this.#stopped = true
    for (const tell of this.#watchers) tell()
  }

  async #check(stream: ServerStream): Promise<Metadata> {
    const service = await readRequest(stream)
    const status = await this.#status(service)
    if (status === serviceUnknown)
      throw new ServiceError('not-found', `the server has no service ${JSON.stringify(service)}`)
    await stream.send(response(status))
    return {}
  }

  async #watch({ signal }: ServerRequest, stream: ServerStream): Promise<Metadata> {
    const service = await readRequest(stream)
    let status = await this.#status(service)
    await stream.send(response(status))
    if (this.#stopped) return {}
    for (;;) {
      await this.#change(signal, status === serviceUnknown)
      signal.throwIfAborted()
      if (this.#stopped) break
      const before = status
      status = await this.#status(service)
      if (status !== before) await stream.send(response(status))
    }
    await stream.send(response(notServing))
    throw new ServiceError('unavailable', 'the server stops')
  }

  /** Resolves when the server stops, when the caller has gone, and for an unknown service when it may be known. */
  #change(signal: AbortSignal, isUnknown: boolean): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#watchers.delete(done)
        this.#unknown.delete(done)
        if (this.#unknown.size === 0) {
          clearInterval(this.#looking)
          this.#looking = undefined
        }
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#watchers.add(done)
      signal.addEventListener('abort', done, { once: true })
      if (!isUnknown) return
      this.#unknown.add(done)
      this.#looking ??= setInterval(() => {
        for (const look of this.#unknown) look()
      }, lookAgainMs).unref()
    })
  }

  async #status(service: string): Promise<number> {
    if (!(await this.#known(service))) return serviceUnknown
    return this.#stopped ? notServing : serving
  }
}

/** `HealthCheckRequest`: the name of a service. */
async function readRequest(stream: ServerStream): Promise<string> {
  for await (const bytes of stream.messages) {
    let service = ''
    try {
      const reader = new BinaryReader(bytes)
      while (reader.pos < reader.len) {
        const [field, type] = reader.tag()
        if (field === 1 && type === 2) service = reader.string()
        else reader.skip(type, field)
      }
    } catch (error) {
      throw new ServiceError('bad-request', 'the request is no HealthCheckRequest', { cause: error })
    }
    return service
  }
  throw new ServiceError('protocol', 'a health check takes one request, none came')
}

function response(status: number): Uint8Array {
  return new BinaryWriter().tag(1, 0).int32(status).finish()
}
