import { spawnSync } from 'node:child_process'
import { writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface ChildOptions {
  /** A Node binary. @default the one that runs this */
  readonly node?: string | undefined
  readonly flags?: readonly string[] | undefined
}

/** The descriptor that a child tells its result on: standard output belongs to what it measures. */
const resultDescriptor = 3

/** Runs a compiled script of this package in a process of its own and gives what it reported. */
export function runChild<T>(script: URL, input: unknown, { node, flags = [] }: ChildOptions = {}): T {
  const { status, signal, error, output } = spawnSync(
    node ?? process.execPath,
    [...flags, fileURLToPath(script), JSON.stringify(input)],
    {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
      maxBuffer: 1 << 28,
      env: { ...process.env, NODE_OPTIONS: '', NODE_COMPILE_CACHE: '' },
    },
  )
  if (error) throw error
  if (status !== 0) throw new Error(`${script.pathname.split('/').at(-1)} ended with ${status ?? signal}`)
  return JSON.parse(String(output[resultDescriptor])) as T
}

/** In a child: what it was asked to do. */
export function childInput<T>(): T {
  return JSON.parse(process.argv[2] ?? 'null') as T
}

/** In a child: tells what came of it. */
export function report(result: unknown): void {
  const bytes = Buffer.from(JSON.stringify(result))
  for (let at = 0; at < bytes.length;) at += writeSync(resultDescriptor, bytes, at)
}
