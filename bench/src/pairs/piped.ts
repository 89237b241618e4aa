import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { usageOf, type Usage } from './usage.js'

export interface Program {
  readonly command: string
  readonly args: readonly string[]
  /** Beside `PATH`. @default none */
  readonly env?: Readonly<Record<string, string>> | undefined
}

/** Longest wait for one line, beyond what was asked for, in milliseconds. */
const patienceMs = 30_000

/** A process that is told lines on its input, and tells lines of JSON on a pipe. */
export class Piped implements AsyncDisposable {
  onLine: ((value: unknown) => void) | undefined
  readonly #child: ChildProcess
  readonly #name: string
  readonly #exited: Promise<unknown>
  readonly #lines: unknown[] = []
  #errors = ''
  #ended = false
  #wake: (() => void) | undefined

  constructor(name: string, { command, args, env }: Program) {
    this.#name = name
    this.#child = spawn(command, args, {
      stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], ...env },
    })
    this.#exited = once(this.#child, 'exit').then(() => {
      this.#ended = true
      this.#wake?.()
    })
    this.#child.stdin?.on('error', () => undefined)
    this.#child.stderr
      ?.setEncoding('utf8')
      .on('data', (text: string) => (this.#errors = (this.#errors + text).slice(-4000)))
    createInterface(this.#child.stdio[3] as Readable).on('line', (line) => {
      const value = parse(line)
      if (this.onLine) this.onLine(value)
      else this.#lines.push(value)
      this.#wake?.()
    })
  }

  send(value: unknown): void {
    this.#child.stdin?.write(`${JSON.stringify(value)}\n`)
  }

  /** The next line that it tells. */
  async line<T>(ms = 0): Promise<T> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), ms + patienceMs)
    try {
      while (this.#lines.length === 0) {
        if (this.#ended) throw new Error(`${this.#name} ended: ${this.#errors || 'it took too long'}`)
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
      return this.#lines.shift() as T
    } finally {
      clearTimeout(timer)
    }
  }

  get usage(): Usage | undefined {
    return this.#child.pid === undefined ? undefined : usageOf(this.#child.pid)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 2000)
    await this.#exited
    clearTimeout(timer)
  }
}

/** A program in Go tells its address as it is. */
function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return line
  }
}
