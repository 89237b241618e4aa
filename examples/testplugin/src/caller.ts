import { setImmediate } from 'node:timers/promises'

/** A host that is busy: it calls `hello` again and again until it is disposed. */
export class Caller implements AsyncDisposable {
  made = 0
  failed = 0
  readonly #answers = new Map<string, number>()
  readonly #hello: (print: (line: string) => void) => void
  readonly #running: Promise<void>
  #stopped = false

  constructor(hello: (print: (line: string) => void) => void) {
    this.#hello = hello
    this.#running = this.#run()
  }

  /** How many calls gave `answer`. */
  answered(answer: string): number {
    return this.#answers.get(answer) ?? 0
  }

  /** Waits until so many more calls were made. */
  async more(count: number): Promise<void> {
    const enough = this.made + count
    while (this.made < enough) await setImmediate()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.made++
      try {
        this.#hello((line) => this.#answers.set(line, this.answered(line) + 1))
      } catch {
        this.failed++
      }
      await setImmediate()
    }
  }
}
