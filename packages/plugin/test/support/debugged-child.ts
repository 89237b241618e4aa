import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import type { TestContext } from 'node:test'
import { until } from './until.js'

/** What is used of `ws`, which brings no types. */
interface Socket {
  on(event: 'open' | 'close', listener: () => void): void
  on(event: 'message', listener: (data: Buffer) => void): void
  on(event: 'error', listener: (error: Error) => void): void
  send(text: string): void
  close(): void
}

const { WebSocket } = createRequire(import.meta.url)('ws') as { WebSocket: new (url: string) => Socket }

export type Params = Record<string, unknown>

/** A process that waits for its debugger, which is this: the Chrome DevTools Protocol over a web socket. */
export interface DebuggedChild {
  readonly process: ChildProcessWithoutNullStreams
  /** What it wrote to its standard output so far. */
  output(): string
  send<T = Params>(method: string, params?: Params): Promise<T>
  /** The next event of that name for which `which` holds, also of those that came already; each is given once. */
  event<T = Params>(method: string, which?: (params: T) => boolean): Promise<T>
}

export async function debuggedChild(
  t: TestContext,
  script: string,
  ...args: string[]
): Promise<DebuggedChild> {
  const child = spawn(process.execPath, ['--inspect-brk=127.0.0.1:0', script, ...args], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], TMPDIR: process.env['TMPDIR'] },
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const url = await until('the child listens', () => /^Debugger listening on (ws:\S+)$/m.exec(stderr)?.[1])
  const socket = new WebSocket(url)
  t.after(() => socket.close())

  const answers = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>()
  const events: { method: string; params: unknown }[] = []
  socket.on('message', (data) => {
    const message = JSON.parse(data.toString()) as {
      id?: number
      result?: unknown
      error?: { message: string }
    }
    if (message.id === undefined) return void events.push(message as never)
    const answer = answers.get(message.id)
    answers.delete(message.id)
    if (message.error) answer?.reject(new Error(message.error.message))
    else answer?.resolve(message.result as never)
  })
  await new Promise<void>((resolve, reject) => {
    socket.on('open', resolve)
    socket.on('error', reject)
  })

  let last = 0
  return {
    process: child,
    output: () => stdout,
    send: (method, params = {}) =>
      new Promise((resolve, reject) => {
        const id = ++last
        answers.set(id, { resolve, reject })
        socket.send(JSON.stringify({ id, method, params }))
      }),
    event: async <T>(method: string, which: (params: T) => boolean = () => true) => {
      const found = await until(`${method}\n${stderr}`, () =>
        events.find((each) => each.method === method && which(each.params as T)),
      )
      events.splice(events.indexOf(found), 1)
      return found.params as T
    },
  }
}
