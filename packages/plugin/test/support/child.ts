import { spawn } from 'node:child_process'
import type { Workshop } from './workshop.js'

/** How a child process ended. */
export interface Ended {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  /** Flags for Node, e.g. `--enable-source-maps`. */
  readonly flags?: readonly string[]
  readonly args?: readonly string[]
}

/** Runs an ES module in a process of its own, in the workshop's folder, until it ends. */
export async function runModule(
  { write, folder }: Pick<Workshop, 'write' | 'folder'>,
  name: string,
  source: string,
  { flags = [], args = [] }: RunOptions = {},
): Promise<Ended> {
  return runFile(await write(name, source), folder, { flags, args })
}

/** Runs a script that is there. */
function runFile(path: string, cwd: string, { flags = [], args = [] }: RunOptions = {}): Promise<Ended> {
  const child = spawn(process.execPath, [...flags, path, ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    // In a group of its own: what a script does to its group does not reach the tests.
    detached: process.platform !== 'win32',
    // Under a test runner's own variables a child would report as a test.
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], TMPDIR: process.env['TMPDIR'] },
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }))
  })
}
