import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { SwapPhase } from 'micrograft'
import type { MemberAsks, MemberInput } from './member-protocol.js'

interface Answer {
  readonly id?: number
  readonly gives?: unknown
  readonly error?: { readonly message: string; readonly code?: string; readonly stack?: string }
  readonly event?: SwapStep
}

/** A step of a swap, as the process tells it. */
export interface SwapStep {
  readonly slot: string
  readonly phase: SwapPhase
  readonly to: string
}

/** A process of the fleet, as its driver sees it. */
export class Member {
  /** Called with each step of each swap. */
  onSwap: ((step: SwapStep) => void) | undefined
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #waiting = new Map<number, { resolve(gives: never): void; reject(error: Error): void }>()
  #lastId = 0
  #errors = ''

  constructor(input: MemberInput) {
    this.#child = spawn(
      process.execPath,
      ['--expose-gc', fileURLToPath(new URL('member-child.js', import.meta.url)), JSON.stringify(input)],
      { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], env: { ...process.env, NODE_OPTIONS: '' } },
    )
    this.#exited = once(this.#child, 'exit')
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#errors += text))
    this.#child.on('message', (answer: Answer) => this.#answer(answer))
    this.#child.on('exit', (status, signal) => {
      const error = new Error(`the ${input.role} ended with ${status ?? signal}: ${this.#errors}`)
      for (const { reject } of this.#waiting.values()) reject(error)
      this.#waiting.clear()
    })
  }

  /** What it wrote to standard error. */
  get errors(): string {
    return this.#errors
  }

  ask<K extends keyof MemberAsks>(
    ask: K,
    ...[given]: MemberAsks[K]['with'] extends undefined ? [] : [MemberAsks[K]['with']]
  ): Promise<MemberAsks[K]['gives']> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#child.send({ id, ask, given }, (error) => {
        if (!error) return
        this.#waiting.delete(id)
        reject(error)
      })
    })
  }

  /** Ends it as it should be ended. */
  async stop(): Promise<void> {
    await this.ask('stop')
    await this.#exited
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  #answer({ id, gives, error, event }: Answer): void {
    if (event) this.onSwap?.(event)
    const waiting = id === undefined ? undefined : this.#waiting.get(id)
    if (id === undefined || !waiting) return
    this.#waiting.delete(id)
    if (error)
      waiting.reject(Object.assign(new Error(error.message), { code: error.code, stack: error.stack }))
    else waiting.resolve(gives as never)
  }
}
