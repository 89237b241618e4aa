import { statSync, watch as watchDirectory, type FSWatcher } from 'node:fs'
import { timerMs, type Logger } from '@micrograft/contracts'

/** Where the system cannot tell of changes, looking costs one system call. */
const blindPollMs = 50

export interface DirectoryFollowerOptions {
  readonly path: string
  /** How often `poll` is called even though the system tells of no change, in milliseconds. */
  readonly pollMs: number
  readonly log: Logger
  /** These files changed, or nobody knows which. */
  readonly changed: (names: readonly string[] | undefined) => void
  /** It is time to look whatever the system told, and to `follow` again. */
  readonly poll: () => void
}

/** Tells of changes of a directory: at once where the system tells of them, and regularly in any case. */
export class DirectoryFollower {
  readonly #options: DirectoryFollowerOptions
  readonly #changed = new Set<string>()
  #system: FSWatcher | undefined
  /** The directory that the system watches: another may have its name by now. */
  #inode = 0
  #poll: NodeJS.Timeout | undefined

  constructor(options: DirectoryFollowerOptions) {
    this.#options = options
  }

  /** Begins, or goes on with the directory that has the name now. @throws where there is none. */
  follow(): void {
    const { path, pollMs, log } = this.#options
    if (!this.#poll) this.#pollEvery(pollMs)
    const { ino } = statSync(path)
    if (this.#system && this.#inode === ino) return
    this.forget()
    this.#inode = ino
    try {
      this.#system = watchDirectory(path, { persistent: false }, (event, name) => {
        // Files are replaced, never written to: `change` is a renewal.
        if (event === 'rename') this.#soon(name)
      })
      this.#system.on('error', () => this.forget())
      this.#pollEvery(pollMs)
    } catch (error) {
      log.debug('changes of the directory are not told, polling', { path, error })
      this.#pollEvery(Math.min(blindPollMs, pollMs))
    }
  }

  /** Lets go of the directory; the next poll may find another. */
  forget(): void {
    this.#system?.close()
    this.#system = undefined
  }

  stop(): void {
    this.forget()
    clearInterval(this.#poll)
    this.#poll = undefined
    this.#changed.clear()
  }

  #pollEvery(ms: number): void {
    clearInterval(this.#poll)
    this.#poll = setInterval(() => this.#options.poll(), timerMs(ms)).unref()
  }

  /** Many files change together: they are told at once. */
  #soon(name: string | null): void {
    if (this.#changed.size === 0) setImmediate(() => this.#tell())
    this.#changed.add(name ?? '')
  }

  #tell(): void {
    if (!this.#poll || this.#changed.size === 0) return
    const names = [...this.#changed]
    this.#changed.clear()
    this.#options.changed(names.includes('') ? undefined : names)
  }
}
