import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { until } from '@micrograft/testing'

/** A shell into which one line after another is typed, as a person does who waits for what they see. */
export class Shell implements AsyncDisposable {
  readonly #child: ChildProcess
  #output = ''
  #errors = ''
  #typed = 0

  constructor(folder: string, env: Readonly<Record<string, string>>) {
    // A group of its own, to be ended as a whole.
    this.#child = spawn('sh', [], { cwd: folder, env, detached: true, stdio: 'pipe' })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#output += text))
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#errors += text))
  }

  /** What the line prints when it has ended well; or, with `&` at its end, when it has said something. */
  async type(line: string): Promise<string> {
    const [outputBefore, errorsBefore] = [this.#output.length, this.#errors.length]
    const background = /\s*&$/
    if (background.test(line)) {
      this.#write(line.replace(background, ' </dev/null &'))
      await this.#until(line, () => this.#output.length + this.#errors.length > outputBefore + errorsBefore)
      return this.#output.slice(outputBefore)
    }
    const ended = new RegExp(`ended ${++this.#typed} (\\d+)\\n`)
    this.#write(`${line} </dev/null`)
    this.#write(`echo ended ${this.#typed} $?`)
    await this.#until(line, () => ended.test(this.#output))
    const [, status] = ended.exec(this.#output) as unknown as [string, string]
    assert.equal(
      status,
      '0',
      `${line} failed: ${this.#output.slice(outputBefore)}${this.#errors.slice(errorsBefore)}`,
    )
    this.#output = this.#output.replace(ended, '')
    return this.#output.slice(outputBefore)
  }

  #write(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  async #until(line: string, condition: () => boolean): Promise<void> {
    await until(`${line} is done`, () => condition() || this.#child.exitCode !== null, 60_000)
    assert.ok(condition(), `the shell ended: ${this.#errors}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.pid === undefined) return
    const closed = once(this.#child, 'close')
    process.kill(-this.#child.pid, 'SIGKILL')
    await closed
  }
}
