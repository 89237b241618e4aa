import { watch, type FSWatcher } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { PluginError, reason, type PluginErrorCode } from '../errors.js'
import { requireTime, resolveOptions } from '../options.js'
import { pluginSuffix } from '../plugin-suffix.js'

export interface WatchOptions {
  /**
   * How long a file that looks unfinished must stay as it is before it is refused, in milliseconds.
   * A file that is complete is taken at once. @default 2000
   */
  readonly settleMs?: number | undefined
  /**
   * How often the directory is read where the operating system tells of no change, in milliseconds:
   * network file systems do not, and notifications can be lost. @default 1000
   */
  readonly pollMs?: number | undefined
}

/** Watches a directory until it is closed. */
export interface Watcher extends AsyncDisposable {
  readonly directory: string
  /** Stops, once the file that is being opened is. Plugins stay open. */
  close(): Promise<void>
}

export interface WatchTarget {
  readonly open: (path: string) => Promise<unknown>
  readonly refused: (path: string, error: PluginError) => void
  readonly stopped: () => void
}

/** What a file that is still being written can look like. */
const unfinished: ReadonlySet<PluginErrorCode> = new Set([
  'empty',
  'truncated',
  'not-a-plugin',
  'manifest-mismatch',
  'malformed-signature',
  'code-mismatch',
  'changed-while-reading',
  'not-found',
])

/** @throws `not-found`, `not-a-file` or `unreadable` where the directory cannot be watched, `invalid-option`. */
export async function watchDirectory(
  directory: string,
  options: WatchOptions | undefined,
  target: WatchTarget,
): Promise<Watcher> {
  const { settleMs, pollMs } = resolveOptions('the watch options', { settleMs: 2000, pollMs: 1000 }, options)
  requireTime('settleMs', settleMs, 0)
  requireTime('pollMs', pollMs, 1)
  await listPlugins(directory)
  const watcher = new DirectoryWatcher(directory, settleMs, pollMs, target)
  await watcher.scan()
  return watcher
}

/** What is known of one file: how it looked, and since when it has looked unfinished. */
interface Seen {
  readonly look: string
  readonly since: number
  readonly waiting: PluginError | undefined
}

class DirectoryWatcher implements Watcher {
  readonly directory: string
  readonly #settleMs: number
  readonly #target: WatchTarget
  readonly #seen = new Map<string, Seen>()
  readonly #poll: NodeJS.Timeout
  #notifier: FSWatcher | undefined
  #retry: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #again = false
  #closed = false
  #listing: PluginError | undefined

  constructor(directory: string, settleMs: number, pollMs: number, target: WatchTarget) {
    this.directory = directory
    this.#settleMs = settleMs
    this.#target = target
    this.#poll = setInterval(() => void this.scan(), pollMs)
    this.#poll.unref()
    this.#notify()
  }

  /** Looks at every file now; one look at a time, and another after it where one was asked for meanwhile. */
  async scan(): Promise<void> {
    if (this.#closed) return
    this.#again = true
    this.#running ??= this.#scanAll().finally(() => (this.#running = undefined))
    await this.#running
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#poll)
    clearTimeout(this.#retry)
    this.#notifier?.close()
    await this.#running
    this.#target.stopped()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #scanAll(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false
      const names = await this.#list()
      for (const path of this.#seen.keys()) if (!names.includes(path)) this.#seen.delete(path)
      for (const path of names) if (!this.#closed) await this.#look(path)
    }
  }

  async #list(): Promise<readonly string[]> {
    try {
      const paths = await listPlugins(this.directory)
      this.#listing = undefined
      if (!this.#notifier && !this.#closed) this.#notify()
      return paths
    } catch (error) {
      // Told once, until the directory is back.
      if (!this.#listing) this.#target.refused(this.directory, (this.#listing = error as PluginError))
      this.#notifier?.close()
      this.#notifier = undefined
      return []
    }
  }

  async #look(path: string): Promise<void> {
    const look = await lookOf(path)
    const seen = this.#seen.get(path)
    if (seen?.look === look) {
      if (!seen.waiting) return
      if (Date.now() - seen.since >= this.#settleMs) {
        this.#seen.set(path, { ...seen, waiting: undefined })
        this.#target.refused(path, seen.waiting)
        return
      }
    }
    const error = await this.#open(path)
    const waiting = error && unfinished.has(error.code) ? error : undefined
    this.#seen.set(path, { look, since: seen?.look === look ? seen.since : Date.now(), waiting })
    if (waiting) this.#lookAgainSoon()
    else if (error) this.#target.refused(path, error)
  }

  async #open(path: string): Promise<PluginError | undefined> {
    try {
      await this.#target.open(path)
      return undefined
    } catch (error) {
      return error as PluginError
    }
  }

  #lookAgainSoon(): void {
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => void this.scan(), Math.max(10, Math.ceil(this.#settleMs / 4)))
    this.#retry.unref()
  }

  #notify(): void {
    try {
      this.#notifier = watch(this.directory, { persistent: false }, () => void this.scan())
      this.#notifier.on('error', () => {
        this.#notifier?.close()
        this.#notifier = undefined
      })
    } catch {
      // The poll sees what no notification tells; it tries again to be told.
      this.#notifier = undefined
    }
  }
}

async function listPlugins(directory: string): Promise<string[]> {
  try {
    const names = await readdir(directory)
    return names
      .filter((name) => name.endsWith(pluginSuffix) && !name.startsWith('.'))
      .sort()
      .map((name) => join(directory, name))
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ENOENT')
      throw new PluginError('not-found', `there is no directory ${directory}; make it before watching it`, {
        path: directory,
        cause,
      })
    if (code === 'ENOTDIR')
      throw new PluginError(
        'not-a-file',
        `${directory} is not a directory; name the directory that the file is in`,
        { path: directory, cause },
      )
    throw new PluginError('unreadable', `cannot read the directory ${directory}: ${reason(cause)}`, {
      path: directory,
      cause,
    })
  }
}

/** Tells one state of a file from another, also where a rename put another file in its place. */
async function lookOf(path: string): Promise<string> {
  try {
    const { size, mtimeNs, ctimeNs, ino } = await stat(path, { bigint: true })
    return [size, mtimeNs, ctimeNs, ino].join(' ')
  } catch {
    return 'gone'
  }
}
