import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Settings } from './settings.js'

/** A running program of go-micro, and the lines of JSON that it prints. */
export class GoProcess implements AsyncDisposable {
  readonly lines: Record<string, unknown>[] = []
  readonly #child: ChildProcessWithoutNullStreams
  readonly #closed: Promise<unknown>
  #log = ''
  #wake: (() => void)[] = []

  constructor(program: string, command: 'server' | 'client', settings: Settings) {
    const { tag, etcdPort, natsPort, registries } = settings
    const flags = {
      tag,
      etcd: `127.0.0.1:${etcdPort}`,
      nats: `nats://127.0.0.1:${natsPort}`,
      registries: registries.join(),
    }
    const args = Object.entries(flags).map(([name, value]) => `-${name}=${value}`)
    this.#child = spawn(program, [command, ...args])
    this.#closed = once(this.#child, 'close').then(() => this.#told())
    this.#child.stdin.on('error', () => undefined)
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-500_000)
    })
    createInterface(this.#child.stdout).on('line', (line) => {
      // Some versions log there.
      if (!line.startsWith('{')) return
      this.lines.push(JSON.parse(line) as Record<string, unknown>)
      this.#told()
    })
  }

  /** What it logged last. */
  get log(): string {
    return this.#log
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Whether it prints such a line in time, or has. */
  async prints(is: (line: Record<string, unknown>) => boolean, timeoutMs: number): Promise<boolean> {
    const deadline = Date.now() + timeoutMs
    while (!this.lines.some(is)) {
      const left = deadline - Date.now()
      if (left <= 0 || this.hasEnded) return false
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
    return true
  }

  /** Whether it ends by itself in time. */
  async ends(timeoutMs: number): Promise<boolean> {
    const late = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs)
    await this.#closed
    clearTimeout(late)
    return this.#child.exitCode === 0
  }

  /** Asks it to end, and makes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end()
    await this.ends(5000)
  }

  #told(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}
