import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

const installed = fileURLToPath(new URL('../../../../node_modules', import.meta.url))

/** This environment without what would colour, or uncolour, output that is no terminal's. */
const { FORCE_COLOR: _forced, NO_COLOR: _none, ...env } = process.env

/** The command as it is installed. */
export const bin: string = fileURLToPath(new URL('../../bin/micrograft.js', import.meta.url))

export interface Result {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A command that goes on: lines as they come. */
export interface Running {
  /** The next line of its output. */
  line(): Promise<string>
  /** Every line of its output that is left when it has ended. */
  rest(): Promise<string[]>
  /** The next line of its errors. */
  errorLine(): Promise<string>
  /** Reads no further, as `head` does when it has enough. */
  closeOutput(): void
  /** Sends a signal and gives the exit status. */
  stop(signal: NodeJS.Signals): Promise<number | null>
  readonly ended: Promise<number | null>
}

/** A temporary folder in which the command is run; it goes with the test. */
export interface CommandLine {
  readonly folder: string
  path(name: string): string
  /** Writes a file at one go, as an editor does that renames. */
  write(name: string, content: string | Uint8Array): Promise<string>
  read(name: string): Promise<string>
  micrograft(...args: string[]): Promise<Result>
  start(...args: string[]): Running
}

export async function commandLine(t: TestContext): Promise<CommandLine> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'micrograft-cli-')))
  const children = new Set<ReturnType<typeof run>>()
  t.after(async () => {
    for (const child of children) child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })
  await symlink(installed, join(folder, 'node_modules'), 'junction')
  const path = (name: string) => join(folder, name)

  function run(args: readonly string[]) {
    const child = spawn(process.execPath, [bin, ...args], {
      cwd: folder,
      // Sockets of services go there too, away from those of other tests.
      env: { ...env, XDG_RUNTIME_DIR: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.add(child)
    child.once('close', () => children.delete(child))
    return child
  }

  const write = async (name: string, content: string | Uint8Array) => {
    await mkdir(dirname(path(name)), { recursive: true })
    await writeFile(path(`${name}.tmp`), content)
    await rename(path(`${name}.tmp`), path(name))
    return path(name)
  }
  await write('package.json', JSON.stringify({ name: 'command-line', version: '0.0.1', type: 'module' }))
  return {
    folder,
    path,
    write,
    read: (name) => readFile(path(name), 'utf8'),
    async micrograft(...args) {
      const child = run(args)
      const [stdout, stderr, [status]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, 'close') as Promise<[number | null]>,
      ])
      return { status, stdout, stderr }
    },
    start(...args) {
      const child = run(args)
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
      const errorLines = createInterface(child.stderr)[Symbol.asyncIterator]()
      const next = async (from: AsyncIterator<string>) => {
        const { value, done } = await from.next()
        if (done) throw new Error('the command ended without another line')
        return value
      }
      const ended = once(child, 'close').then(([status]) => status as number | null)
      return {
        line: () => next(lines),
        async rest() {
          const left: string[] = []
          for await (const line of lines) left.push(line)
          return left
        },
        errorLine: () => next(errorLines),
        closeOutput: () => child.stdout.destroy(),
        ended,
        stop(signal) {
          child.kill(signal)
          return ended
        },
      }
    },
  }
}
