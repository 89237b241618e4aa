import type { Service } from 'micrograft'

/** How much of each kind is under way at a time. */
export interface LoadShape {
  /** Unary calls. */
  readonly calls: number
  /** Values written to the service's store and read again. */
  readonly keeps: number
  /** Server streams. */
  readonly streams: number
  /** Two-way streams. */
  readonly channels: number
  /** A two-way stream that is open as long as the load goes on. */
  readonly lasting: boolean
  /** Each publishes one message after another. */
  readonly publishers: number
}

export const fullLoad: LoadShape = {
  calls: 32,
  keeps: 2,
  streams: 2,
  channels: 2,
  lasting: false,
  publishers: 2,
}

/** What came of the load so far. */
export interface LoadReport {
  readonly calls: number
  readonly keeps: number
  readonly streams: number
  readonly channels: number
  /** By publisher. */
  readonly published: readonly number[]
  readonly failed: number
  /** Of the first that failed. */
  readonly failures: readonly string[]
  /** What has not ended. */
  readonly open: readonly string[]
}

const timeoutMs = 30_000
const streamLength = 60
const maxFailures = 20

/** Calls, streams and messages without a break. Nothing is tried again: whatever goes wrong shows. */
export class Load {
  /** Called with when a unary call began and how long it took, in milliseconds. */
  onCall: ((began: number, ms: number) => void) | undefined
  readonly #service: Service
  /** Tells the requests of one process from those of another. */
  readonly #id: string
  readonly #done = { calls: 0, keeps: 0, streams: 0, channels: 0 }
  readonly #next = new Map<string, number>()
  readonly #failures: string[] = []
  #failed = 0
  #running = false
  readonly #open = new Set<string>()
  #workers: Promise<void>[] = []

  constructor(service: Service, id: string) {
    this.#service = service
    this.#id = id
  }

  begin(shape: LoadShape): void {
    this.#running = true
    const each = (count: number, kind: string, work: (worker: string) => Promise<void>) =>
      Array.from({ length: count }, (_, i) => this.#repeat(`${kind} ${i}`, work))
    this.#workers = [
      ...each(shape.calls, 'call', (worker) => this.#call(worker)),
      ...each(shape.keeps, 'keep', (worker) => this.#keep(worker)),
      ...each(shape.streams, 'stream', () => this.#stream()),
      ...each(shape.channels, 'channel', () => this.#channel(streamLength)),
      ...each(shape.publishers, 'publish', (worker) => this.#publish(worker)),
      ...(shape.lasting ? [this.#repeat('lasting', () => this.#channel(Infinity))] : []),
    ]
  }

  /** Begins nothing more, and resolves when all has ended. */
  async end(): Promise<void> {
    this.#running = false
    await Promise.all(this.#workers)
  }

  /** Resolves when so many more unary calls were answered, or as much has failed; how much that is. */
  async pass(calls: number): Promise<number> {
    const before = this.#failed
    const enough = this.#done.calls + before + calls
    while (this.#running && this.#done.calls + this.#failed < enough) await pause(1)
    return this.#failed - before
  }

  report(): LoadReport {
    const published: number[] = []
    for (let i = 0; this.#next.has(`publish ${i}`); i++)
      published.push(this.#next.get(`publish ${i}`) as number)
    return { ...this.#done, published, failed: this.#failed, failures: this.#failures, open: [...this.#open] }
  }

  async #repeat(worker: string, work: (worker: string) => Promise<void>): Promise<void> {
    while (this.#running) {
      this.#open.add(worker)
      try {
        await work(worker)
      } catch (error) {
        this.#fail(worker, error as Error)
        // What fails at once must not keep all else from running.
        await pause(1)
      }
      this.#open.delete(worker)
    }
  }

  #number(worker: string): number {
    const n = this.#next.get(worker) ?? 0
    this.#next.set(worker, n + 1)
    return n
  }

  async #call(worker: string): Promise<void> {
    const n = this.#number(worker)
    const name = `${worker}-${n}`
    const began = performance.now()
    const request = { name, worker: `${this.#id} ${worker}`, n }
    const { msg } = await this.#service.client.call<{ msg: string }>('greeter', 'Say.Hello', request, {
      timeoutMs,
      retries: 0,
    })
    this.onCall?.(began, performance.now() - began)
    if (msg !== `Hello ${name}`) throw new Error(`${name} was answered with ${msg}`)
    this.#done.calls++
  }

  async #keep(worker: string): Promise<void> {
    const n = this.#number(worker)
    const key = `${worker}-${n % 16}`
    const options = { timeoutMs, retries: 0 }
    await this.#service.client.call('greeter', 'Keep.Put', { key, n }, options)
    const kept = await this.#service.client.call<number>('greeter', 'Keep.Get', { key }, options)
    if (kept !== n) throw new Error(`${key} was ${n} and is ${kept}`)
    this.#done.keeps++
  }

  async #stream(): Promise<void> {
    const options = { timeoutMs, retries: 0 }
    let last = 0
    const stream = this.#service.client.stream<number>('greeter', 'Say.Count', { to: streamLength }, options)
    for await (const n of stream) {
      if (n !== last + 1) throw new Error(`${n} came after ${last}`)
      last = n
    }
    if (last !== streamLength) throw new Error(`a stream ended after ${last} of ${streamLength}`)
    this.#done.streams++
  }

  async #channel(length: number): Promise<void> {
    const channel = this.#service.client.open<number, number>('greeter', 'Say.Echo', {
      timeoutMs: length === Infinity ? 0 : timeoutMs,
      retries: 0,
    })
    let sent = 0
    const sending = (async () => {
      const more = () => sent < length && (length < Infinity || this.#running)
      while (more()) {
        await channel.send(sent++)
        if (length === Infinity) await pause(2)
      }
      await channel.end()
    })()
    // What breaks the stream shows where it is read.
    sending.catch(() => undefined)
    let next = 0
    for await (const n of channel) {
      if (n !== next) throw new Error(`${n} came back where ${next} should`)
      next++
    }
    await sending
    if (next !== sent) throw new Error(`a channel ended after ${next} of ${sent}`)
    this.#done.channels++
  }

  async #publish(worker: string): Promise<void> {
    const publisher = Number(worker.split(' ')[1])
    const n = this.#next.get(worker) ?? 0
    await this.#service.publish('orders', { publisher, n })
    this.#next.set(worker, n + 1)
    await pause(2)
  }

  #fail(worker: string, error: Error): void {
    this.#failed++
    const { code } = error as { readonly code?: string }
    if (this.#failures.length < maxFailures)
      this.#failures.push(`${worker}: ${code === undefined ? '' : `[${code}] `}${error.message}`)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
