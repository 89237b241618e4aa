import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'
import { freePort } from './free-port.js'
import { guard } from './guard.js'

/** How one kind of server is started. */
export interface ServerKind {
  /** For messages, e.g. `NATS`. */
  readonly name: string
  /** Its address without a port, with the user, password and path that one has which was started. */
  readonly url: string
  /** Its program, looked for in the PATH and in the system's folders for servers. */
  readonly program: string
  /** Its arguments. The folder is there and empty at the first start, and kept over a restart. */
  arguments(place: ServerPlace): readonly string[] | Promise<readonly string[]>
  readonly env?: ((place: ServerPlace) => Readonly<Record<string, string>>) | undefined
  /** Resolves when the server answers; called again and again until it does. @default a TCP connection to the port */
  readonly ready?: ((place: ServerPlace) => Promise<void>) | undefined
  /** Longest wait until it is ready, in milliseconds. @default 60_000 */
  readonly startTimeoutMs?: number | undefined
  /** What it runs as where this process is root. @default root */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined
}

export interface ServerPlace {
  readonly folder: string
  readonly port: number
}

/** Where a server is. */
export interface TestServer extends AsyncDisposable {
  /** As a plugin takes it: with what it needs of scheme, user, password and path. */
  readonly address: string
  readonly host: string
  readonly port: number
  readonly user?: string | undefined
  readonly password?: string | undefined
}

/** A real server of a test's own, on a free port of 127.0.0.1 and in a temporary folder. */
export class ServerProcess implements TestServer {
  readonly host = '127.0.0.1'
  readonly port: number
  readonly address: string
  readonly user: string | undefined
  readonly password: string | undefined
  readonly folder: string
  readonly #kind: ServerKind
  readonly #program: string
  #child: ChildProcess | undefined
  #said = ''

  private constructor(kind: ServerKind, program: string, place: ServerPlace) {
    this.#kind = kind
    this.#program = program
    this.port = place.port
    this.folder = place.folder
    const url = new URL(kind.url)
    url.port = String(place.port)
    this.address = url.href
    this.user = url.username || undefined
    this.password = url.password || undefined
  }

  /**
   * @param parent Where its folder is made. @default the system's for temporary files
   * @throws where the program is not there or does not come up.
   */
  static async start(kind: ServerKind, parent: string = tmpdir()): Promise<ServerProcess> {
    const program = findProgram(kind.program)
    if (program === undefined) throw new Error(`there is no ${kind.name} (${kind.program}) on this machine`)
    const folder = await mkdtemp(join(parent, `micrograft-${basename(kind.program)}-`))
    const server = new ServerProcess(kind, program, { folder, port: await freePort() })
    try {
      await server.start()
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
    return server
  }

  /** What the server has written since it was last started. */
  get log(): string {
    return this.#said
  }

  /** Starts it again, on the same port and in the same folder, and resolves when it answers. */
  async start(): Promise<void> {
    if (this.#child) throw new Error(`the ${this.#kind.name} server runs already`)
    this.#said = ''
    const child = spawn(this.#program, await this.#kind.arguments(this), {
      cwd: this.folder,
      env: { ...process.env, ...this.#kind.env?.(this) },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own: what the program starts goes with it.
      detached: true,
      ...(process.getuid?.() === 0 ? this.#kind.user : undefined),
    })
    this.#child = child
    const letGo = child.pid === undefined ? () => undefined : guard(child.pid, this.folder)
    const hear = (text: string) => (this.#said = (this.#said + text).slice(-65_536))
    child.stdout.setEncoding('utf8').on('data', hear)
    child.stderr.setEncoding('utf8').on('data', hear)
    let ended: string | undefined
    child.once('error', (error) => (ended = error.message))
    child.once('exit', (code, signal) => {
      ended ??= `it ended with ${code ?? signal}`
      letGo()
      if (this.#child === child) this.#child = undefined
    })
    const deadline = Date.now() + (this.#kind.startTimeoutMs ?? 60_000)
    const ready = this.#kind.ready ?? (({ port }) => connects(port))
    for (;;) {
      if (ended !== undefined) throw new Error(`${this.#kind.name} did not start: ${ended}\n${this.#said}`)
      try {
        await ready(this)
        return
      } catch (error) {
        if (Date.now() > deadline)
          throw new Error(
            `${this.#kind.name} did not answer in time: ${(error as Error).message}\n${this.#said}`,
            { cause: error },
          )
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  }

  /** Ends it as a crash does, and resolves when it is gone. */
  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }

  /** Asks it to end, and resolves when it has. */
  stop(): Promise<void> {
    return this.#end('SIGTERM')
  }

  /** Makes it stand still until `resume`: it answers nothing, and its connections stay open. */
  pause(): void {
    for (const pid of this.#signal('SIGSTOP')) standsStill(pid)
  }

  resume(): void {
    this.#signal('SIGCONT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end('SIGKILL')
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }

  /** Gives the processes that it was sent to. */
  #signal(signal: NodeJS.Signals): readonly number[] {
    const pid = this.#child?.pid
    if (pid === undefined) return []
    // PostgreSQL's processes are groups of their own.
    const others = descendants(pid)
    process.kill(-pid, signal)
    for (const each of others) {
      try {
        process.kill(each, signal)
      } catch {
        // It was of the group, or has ended since.
      }
    }
    return [pid, ...others]
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (!child) return
    const gone = new Promise((resolve) => child.once('close', resolve))
    try {
      this.#signal(signal)
    } catch {
      // It is gone already; `close` is still to come.
    }
    await gone
  }
}

/**
 * A server for one test file or test: started, and gone after it. Where there is no such program the
 * test is skipped, or fails with REQUIRE_SERVERS set.
 */
export async function serverFor(t: TestContext, kind: ServerKind): Promise<ServerProcess | undefined> {
  const reason = missing(kind)
  if (reason !== undefined) {
    t.skip(reason)
    return undefined
  }
  const server = await ServerProcess.start(kind)
  t.after(() => server[Symbol.asyncDispose]())
  return server
}

/**
 * Why tests against this kind of server are skipped: `undefined` where it is there.
 * @throws where it is not, and REQUIRE_SERVERS is set.
 */
export function missing({ name, program }: Pick<ServerKind, 'name' | 'program'>): string | undefined {
  if (findProgram(program) !== undefined) return undefined
  const reason = `there is no ${name} (${program}) on this machine`
  const variable = addressVariable({ name })
  if (process.env[variable]) return `${reason}, and what is done here is not done to that of ${variable}`
  if (!['', '0', 'false'].includes(process.env['REQUIRE_SERVERS'] ?? '')) throw new Error(reason)
  return reason
}

/** The variable that names a server of this kind, for tests that only talk to it. */
export function addressVariable({ name }: Pick<ServerKind, 'name'>): string {
  return `TEST_${name.toUpperCase()}_ADDRESS`
}

function findProgram(program: string): string | undefined {
  if (program.includes('/')) return existsSync(program) ? program : undefined
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path))
}

/** Everything that a process has started, as far as the system tells. */
function descendants(root: number): number[] {
  if (!existsSync('/proc/self/stat')) return []
  const parents = new Map<number, number>()
  for (const pid of readdirSync('/proc').map(Number).filter(Boolean)) {
    try {
      const [, parent] = /\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? []
      parents.set(pid, Number(parent))
    } catch {
      // It has ended.
    }
  }
  const found = new Set([root])
  for (let before = 0; before < found.size;) {
    before = found.size
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid)
  }
  found.delete(root)
  return [...found]
}

/** Returns when a process that was sent SIGSTOP has heard of it: on a busy machine it goes on for a while. */
function standsStill(pid: number): void {
  const clock = new Int32Array(new SharedArrayBuffer(4))
  for (let left = 2000; left > 0 && moves(pid); left--) Atomics.wait(clock, 0, 0, 1)
}

/** Whether a thread of it is not stopped, as far as the system tells. */
function moves(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).some((thread) => {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1')
      return !/\) [TtZX] /.test(stat)
    })
  } catch {
    return false
  }
}

function connects(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', reject).once('connect', () => {
      socket.destroy()
      resolve()
    })
  })
}
