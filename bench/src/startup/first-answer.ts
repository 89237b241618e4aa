import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

export interface Started {
  readonly script: URL
  readonly args?: readonly string[] | undefined
  readonly env: Readonly<Record<string, string>>
  /** Sends a request to an address and gives the reply. */
  readonly ask: (address: string) => Promise<unknown>
  /** What the reply must be. */
  readonly reply: unknown
}

/** Starts a process, asks it as soon as it says its address, and gives the milliseconds from the one to the answer. */
export async function firstAnswer({ script, args = [], env, ask, reply }: Started): Promise<number> {
  const began = performance.now()
  const child = spawn(process.execPath, [fileURLToPath(script), ...args], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], ...env },
  })
  const exited = once(child, 'exit')
  let errors = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text))
  try {
    const lines = createInterface(child.stdio[3] as Readable)[Symbol.asyncIterator]()
    const { value: address, done } = await lines.next()
    if (done) throw new Error(`${script.pathname.split('/').at(-1)} said no address: ${errors}`)
    const answer = await ask(address)
    const ms = performance.now() - began
    if (JSON.stringify(answer) !== JSON.stringify(reply))
      throw new Error(`the first answer was ${JSON.stringify(answer)}`)
    return ms
  } finally {
    child.kill('SIGTERM')
    await exited
  }
}
