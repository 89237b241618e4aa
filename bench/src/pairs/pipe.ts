import { writeSync } from 'node:fs'
import { createInterface, type Interface } from 'node:readline'

/** The descriptor that a child tells on. */
const tellDescriptor = 3

/** In a child: one line of JSON for its parent. */
export function tell(value: unknown): void {
  writeSync(tellDescriptor, `${JSON.stringify(value)}\n`)
}

/** In a child: the lines that its parent sends. The child ends when there are no more. */
export function commands(): Interface {
  return createInterface(process.stdin).on('close', () => process.exit(0))
}

export function adapterUrl(): string {
  return process.argv[2] as string
}

export function childOptions<T>(): T {
  return JSON.parse(process.argv[3] as string) as T
}
