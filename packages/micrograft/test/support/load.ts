import assert from 'node:assert/strict'
import type { Service } from 'micrograft'

/** Calls a service without a break, some at a time, and keeps what goes wrong. */
export class CallLoad implements AsyncDisposable {
  done = 0
  readonly failures: Error[] = []
  readonly #stopping = new AbortController()
  readonly #workers: Promise<void>[]

  constructor(caller: Service, workers = 16, target = 'greeter') {
    this.#workers = Array.from({ length: workers }, (_, worker) => this.#work(caller, target, worker))
  }

  /** Ends it and expects that every call was answered right. */
  async end(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#workers)
    assert.deepEqual(
      this.failures.slice(0, 3).map((error) => error.stack),
      [],
      `${this.failures.length} of ${this.done + this.failures.length} calls failed`,
    )
    assert.ok(this.done > 0, 'no call was made')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#workers)
  }

  async #work(caller: Service, target: string, worker: number): Promise<void> {
    for (let i = 0; !this.#stopping.signal.aborted; i++) {
      const name = `${worker}-${i}`
      try {
        const reply = await caller.client.call<{ msg: string }>(
          target,
          'Say.Hello',
          { name },
          { timeoutMs: 20_000 },
        )
        assert.equal(reply.msg, `Hello ${name}`)
        this.done++
      } catch (error) {
        this.failures.push(error as Error)
      }
      if (i % 8 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  }
}
