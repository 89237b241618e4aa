import { statSync, watch, type BigIntStats, type FSWatcher } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import {
  longestTimerMs,
  requireNumber,
  resolveOptions,
  ServiceError,
  type CallOptions,
  type Config,
} from '@micrograft/contracts'
import { ConfigChanges, type ConfigTree } from './config-changes.js'

export interface FileConfigOptions {
  /** JSON files; where two have a name, the later counts, level by level. @default none: an empty tree */
  readonly addresses?: readonly string[] | undefined
  /** How often files are looked at where the operating system tells of no change, in milliseconds. @default 1000 */
  readonly pollMs?: number | undefined
  /** Largest file, in bytes. @default 1_048_576 (1 MiB) */
  readonly maxBytes?: number | undefined
}

/** Settings in JSON files. */
export function fileConfig(options?: FileConfigOptions): Config {
  const { addresses, pollMs, maxBytes } = resolveOptions(
    'the options of the file config',
    { addresses: [] as readonly string[], pollMs: 1000, maxBytes: 1_048_576 },
    options,
  )
  requireNumber('pollMs of the file config', pollMs, { min: 1, max: longestTimerMs })
  requireNumber('maxBytes of the file config', maxBytes, { min: 0 })
  return new FileConfig(
    addresses.map((path) => resolve(path)),
    pollMs,
    maxBytes,
  )
}

class FileConfig implements Config {
  readonly name = 'file'
  readonly #paths: readonly string[]
  readonly #pollMs: number
  readonly #maxBytes: number
  readonly #changes = new ConfigChanges()
  readonly #errorListeners = new Set<(error: Error) => void>()
  #watchers: FSWatcher[] = []
  #poll: NodeJS.Timeout | undefined
  #look = ''
  #looking: Promise<void> | undefined
  #again = false
  #closed = false

  constructor(paths: readonly string[], pollMs: number, maxBytes: number) {
    this.#paths = paths
    this.#pollMs = pollMs
    this.#maxBytes = maxBytes
  }

  async read({ signal }: CallOptions = {}): Promise<ConfigTree> {
    signal?.throwIfAborted()
    if (this.#closed) throw new ServiceError('closed', 'the file config was closed')
    let tree: ConfigTree = {}
    for (const path of this.#paths) tree = merge(tree, await this.#readFile(path)) as ConfigTree
    return tree
  }

  watch({
    signal,
    onError = () => undefined,
  }: CallOptions & {
    readonly onError?: ((error: Error) => void) | undefined
  } = {}): AsyncIterableIterator<ConfigTree> {
    this.#errorListeners.add(onError)
    const followed = this.#changes.follow(signal, () => {
      this.#errorListeners.delete(onError)
      if (!this.#changes.watched) this.#rest()
    })
    if (!this.#closed) this.#begin()
    return followed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#rest()
    this.#changes.end()
    await this.#looking
  }

  #begin(): void {
    if (this.#poll) return
    // Folders, not files: an editor puts another file into the place of the old one.
    for (const folder of new Set(this.#paths.map((path) => dirname(path)))) {
      const names = new Set(
        this.#paths.filter((path) => dirname(path) === folder).map((path) => basename(path)),
      )
      try {
        const watcher = watch(
          folder,
          { persistent: false },
          (_, name) => (name === null || names.has(name)) && this.#lookSoon(),
        )
        watcher.on('error', () => watcher.close())
        this.#watchers.push(watcher)
      } catch {
        // The poll sees what no notification tells.
      }
    }
    this.#poll = setInterval(() => this.#lookSoon(), this.#pollMs)
    this.#poll.unref()
    // At once: what changes from here on is to be told.
    this.#look = this.#paths.map(firstLookOf).join('\n')
  }

  #rest(): void {
    clearInterval(this.#poll)
    this.#poll = undefined
    for (const watcher of this.#watchers.splice(0)) watcher.close()
  }

  #lookSoon(): void {
    this.#again = true
    this.#looking = (this.#looking ?? Promise.resolve()).then(() => {
      if (!this.#again || this.#closed) return
      this.#again = false
      return this.#lookNow()
    })
  }

  async #lookNow(): Promise<void> {
    const look = (await Promise.all(this.#paths.map(lookOf))).join('\n')
    if (look === this.#look) return
    this.#look = look
    try {
      this.#changes.tell(await this.read())
    } catch (error) {
      // Looked at again even if nothing changes: it may have been half written.
      this.#look = ''
      for (const listener of this.#errorListeners) listener(error as Error)
    }
  }

  async #readFile(path: string): Promise<ConfigTree> {
    let text: string
    try {
      const { size } = await stat(path)
      if (size > this.#maxBytes)
        throw new ServiceError('too-large', `${path} has ${size} bytes and the limit is ${this.#maxBytes}`)
      text = await readFile(path, 'utf8')
    } catch (cause) {
      if (cause instanceof ServiceError) throw cause
      throw new ServiceError(
        'unavailable',
        `cannot read the settings in ${path}: ${(cause as Error).message}`,
        { cause },
      )
    }
    try {
      const value: unknown = JSON.parse(text)
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as ConfigTree
    } catch (cause) {
      throw new ServiceError('bad-request', `${path} is not JSON: ${(cause as Error).message}`, { cause })
    }
    throw new ServiceError('bad-request', `${path} holds no JSON object; settings are named values`)
  }
}

function merge(a: unknown, b: unknown): unknown {
  if (
    typeof a !== 'object' ||
    a === null ||
    Array.isArray(a) ||
    typeof b !== 'object' ||
    b === null ||
    Array.isArray(b)
  )
    return b
  const merged = new Map(Object.entries(a))
  for (const [name, value] of Object.entries(b))
    merged.set(name, merged.has(name) ? merge(merged.get(name), value) : value)
  return Object.fromEntries(merged)
}

function seen({ size, mtimeNs, ctimeNs, ino }: BigIntStats): string {
  return [size, mtimeNs, ctimeNs, ino].join(' ')
}

function lookOf(path: string): Promise<string> {
  return stat(path, { bigint: true }).then(seen, () => 'gone')
}

function firstLookOf(path: string): string {
  try {
    return seen(statSync(path, { bigint: true }))
  } catch {
    return 'gone'
  }
}
